// Stands in for Cloudflare Access's edge: lets machines with a known service token through, each with a signed token
// of the form that the documentation pages "Service tokens" and "Application token" describe, and publishes its keys.
// It does what Access does and shares no code with the Workers that verify its tokens.
//
// Beside that, for developers: POST /cdn-cgi/local/rotate signs with a new key from now on, the old ones stay published as
// after a rotation of Access's; POST /cdn-cgi/local/retire publishes the new one only. Tests call `rotate` and `retire`.
import { WorkerEntrypoint } from "cloudflare:workers";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, SignJWT, type JWK } from "jose";

interface Env {
  /** The Worker behind Access. */
  ORIGIN: Fetcher;
  KEYS: KVNamespace;
  /** This Worker's public origin, and the tokens' issuer. */
  TEAM_DOMAIN: string;
  AUD: string;
  /** Client id -> secret. */
  SERVICE_TOKENS: Record<string, string>;
  /** The application's `read_service_tokens_from_header`; empty: the pair of headers only. */
  READ_SERVICE_TOKENS_FROM_HEADER: string;
  /** In tests: what is armed at `access-certs` happens to an answer with keys (see `certs`). */
  FAULTS?: { ask(point: string): Promise<string | null> };
}

// Only Access says who is there, and the secret is for Access alone: what a client sends under these names goes no further.
const OURS = ["cf-access-jwt-assertion", "cf-access-client-id", "cf-access-client-secret", "cf-access-authenticated-user-email"];
const SESSION_SECONDS = 3600;

/** The private keys, the one that signs first. One promise an isolate, made by the first request and shared by those that
 *  come meanwhile: two first requests must not publish two keys. It holds no object of that request. */
let keys: Promise<JWK[]> | undefined;

async function makeKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair("RS256", { modulusLength: 2048, extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: "RS256", use: "sig" };
}

export default class Access extends WorkerEntrypoint<Env> {
  async fetch(request: Request): Promise<Response> {
    this.ctx.waitUntil(this.#keys()); // the others wait for it even when the client who was first hangs up
    const { pathname } = new URL(request.url);
    if (pathname === "/cdn-cgi/access/certs") return this.#certs();
    const change = request.method === "POST" && /^\/cdn-cgi\/local\/(rotate|retire)$/.exec(pathname)?.[1];
    if (change) return Response.json({ kid: await this[change as "rotate" | "retire"]() });

    const clientId = await this.#authenticate(request.headers);
    if (!clientId) return forbidden();
    const headers = new Headers(request.headers);
    for (const name of OURS) headers.delete(name);
    const single = this.env.READ_SERVICE_TOKENS_FROM_HEADER;
    if (single && pairIn(headers.get(single))) headers.delete(single);
    headers.set("cf-access-jwt-assertion", await this.#sign(clientId));
    // The URL, method and body stay the client's; a redirect of the origin's is the client's to follow.
    return this.env.ORIGIN.fetch(new Request(request, { headers, redirect: "manual" }));
  }

  /** Signs with a new key from now on, and tells its name; those before stay published. */
  rotate(): Promise<string> {
    return this.#change(async (old) => [await makeKey(), ...old]);
  }
  /** Publishes no key any more but the one that signs, and tells its name. */
  retire(): Promise<string> {
    return this.#change(async ([newest]) => [newest]);
  }

  /** Kept in KV, so that tokens outlive a restart. */
  #keys(): Promise<JWK[]> {
    return (keys ??= (async () => (await this.env.KEYS.get<JWK[]>("keys", "json")) ?? this.#keep([await makeKey()]))().catch((cause) => {
      keys = undefined; // the next request tries again
      throw cause;
    }));
  }
  async #change(change: (old: JWK[]) => Promise<JWK[]>): Promise<string> {
    const old = this.#keys(); // one after the other, when two come at the same time
    const changed = old.then(change).then((these) => this.#keep(these));
    keys = changed.catch(() => old);
    return (await changed)[0].kid!;
  }
  async #keep(these: JWK[]): Promise<JWK[]> {
    await this.env.KEYS.put("keys", JSON.stringify(these));
    return these;
  }

  async #certs(): Promise<Response> {
    const [fault, milliseconds] = (await this.env.FAULTS?.ask("access-certs"))?.split(" ") ?? [];
    if (fault === "slow") await new Promise((done) => setTimeout(done, Number(milliseconds)));
    if (fault === "down") return new Response("Internal Server Error", { status: 500 });
    if (fault === "rubbish") return new Response("<!doctype html><title>Error</title>", { headers: { "content-type": "text/html" } });
    if (fault === "cut") // the connection is closed after half of an answer
      return new Response(new ReadableStream({ start(to) { to.enqueue(new TextEncoder().encode('{"keys":[')); }, pull(to) { to.error("cut"); } }));
    // Access also sends the certificates as `public_cert` and `public_certs`; a JWK says all that they do.
    return Response.json({ keys: (await this.#keys()).map(({ kty, n, e, kid, alg, use }) => ({ kid, kty, alg, use, e, n })) });
  }

  /** The client id of the request's service token, if it is one of ours. */
  async #authenticate(headers: Headers): Promise<string | undefined> {
    const { SERVICE_TOKENS: tokens, READ_SERVICE_TOKENS_FROM_HEADER: single } = this.env;
    const pair = [headers.get("cf-access-client-id"), headers.get("cf-access-client-secret")];
    // The pair says who it is, where there is one: a wrong one is not made good by the other header.
    const [id, secret] = pair.every((value) => value === null) ? ((single && pairIn(headers.get(single))) || ["", ""]) : pair.map((v) => v ?? "");
    const expected = Object.hasOwn(tokens, id) ? tokens[id] : "";
    // An unknown id is compared as well, so that time tells no id.
    return (await sameText(secret, expected)) && expected ? id : undefined;
  }

  async #sign(clientId: string): Promise<string> {
    const [jwk] = await this.#keys(), now = Math.floor(Date.now() / 1000);
    return new SignJWT({ type: "app", common_name: clientId })
      .setProtectedHeader({ alg: "RS256", typ: "JWT", kid: jwk.kid })
      .setIssuer(this.env.TEAM_DOMAIN)
      .setAudience([this.env.AUD])
      .setSubject("") // a service token's mark
      .setIssuedAt(now)
      .setNotBefore(now)
      .setExpirationTime(now + SESSION_SECONDS)
      .sign(await importJWK(jwk, "RS256"));
  }
}

/** Id and secret from one header: `{"cf-access-client-id": "…", "cf-access-client-secret": "…"}`, names in any case. */
function pairIn(header: string | null): [string, string] | undefined {
  let members: [string, unknown][];
  try {
    members = Object.entries(JSON.parse(header ?? "")).map(([name, value]) => [name.toLowerCase(), value]);
  } catch {
    return undefined; // the header of somebody else's scheme, for the origin
  }
  const { "cf-access-client-id": id, "cf-access-client-secret": secret } = Object.fromEntries(members);
  return typeof id === "string" && typeof secret === "string" ? [id, secret] : undefined;
}

/** Digests have one length, which timingSafeEqual wants, and a mismatch says nothing about the text. */
async function sameText(a: string, b: string): Promise<boolean> {
  const digest = (text: string) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return crypto.subtle.timingSafeEqual(await digest(a), await digest(b));
}

/** Access answers 403 whatever the path, before the origin hears of the request. */
function forbidden(): Response {
  const page = "<!doctype html><title>Forbidden</title><h1>Forbidden</h1><p>You don't have permission to view this.</p>";
  return new Response(page, { status: 403, headers: { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" } });
}
