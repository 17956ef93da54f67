// Stands in for Cloudflare Access's edge: lets machines with a known service token through, each with a signed token
// of the form that the documentation pages "Service tokens" and "Application token" describe, and publishes its key.
// It does what Access does and shares no code with the Workers that verify its tokens.
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
}

// Only Access says who is there, and the secret is for Access alone: what a client sends under these names goes no further.
const OURS = ["cf-access-jwt-assertion", "cf-access-client-id", "cf-access-client-secret", "cf-access-authenticated-user-email"];
const SESSION_SECONDS = 3600;

// One promise an isolate, made by the first request and shared by those that come meanwhile: two first requests must
// not publish two keys. It holds no object of that request.
let signingKey: Promise<JWK> | undefined;

/** The private key, kept in KV so that tokens outlive a restart. */
async function loadOrMakeKey(kv: KVNamespace): Promise<JWK> {
  const kept = await kv.get<JWK>("signing-key", "json");
  if (kept) return kept;
  const { privateKey } = await generateKeyPair("RS256", { modulusLength: 2048, extractable: true });
  const jwk = await exportJWK(privateKey);
  const made = { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: "RS256", use: "sig" };
  await kv.put("signing-key", JSON.stringify(made));
  return made;
}

function key(env: Env): Promise<JWK> {
  return (signingKey ??= loadOrMakeKey(env.KEYS).catch((cause) => {
    signingKey = undefined; // the next request tries again
    throw cause;
  }));
}

export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    ctx.waitUntil(key(env)); // the others wait for it even when the client who was first hangs up
    if (new URL(request.url).pathname === "/cdn-cgi/access/certs") return certs(await key(env));
    const clientId = await authenticate(request.headers, env.SERVICE_TOKENS);
    if (!clientId) return forbidden();

    const headers = new Headers(request.headers);
    for (const name of OURS) headers.delete(name);
    headers.set("cf-access-jwt-assertion", await sign(clientId, env));
    // The URL, method and body stay the client's; a redirect of the origin's is the client's to follow.
    return env.ORIGIN.fetch(new Request(request, { headers, redirect: "manual" }));
  },
} satisfies ExportedHandler<Env>;

function certs({ kty, n, e, kid, alg, use }: JWK): Response {
  // Access also sends the certificates as `public_cert` and `public_certs`; a JWK says all that they do.
  return Response.json({ keys: [{ kid, kty, alg, use, e, n }] });
}

/** The client id of the request's service token, if it is one of ours. */
async function authenticate(headers: Headers, tokens: Record<string, string>): Promise<string | undefined> {
  const id = headers.get("cf-access-client-id") ?? "";
  const secret = headers.get("cf-access-client-secret") ?? "";
  // An unknown id is compared as well, with something that no header can hold, so that time tells no id.
  const expected = (Object.hasOwn(tokens, id) ? tokens[id] : undefined) ?? "\0";
  return (await sameText(secret, expected)) ? id : undefined;
}

/** Digests have one length, which timingSafeEqual wants, and a mismatch says nothing about the text. */
async function sameText(a: string, b: string): Promise<boolean> {
  const digest = (text: string) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return crypto.subtle.timingSafeEqual(await digest(a), await digest(b));
}

async function sign(clientId: string, env: Env): Promise<string> {
  const jwk = await key(env);
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ type: "app", common_name: clientId })
    .setProtectedHeader({ alg: "RS256", typ: "JWT", kid: jwk.kid })
    .setIssuer(env.TEAM_DOMAIN)
    .setAudience([env.AUD])
    .setSubject("") // a service token's mark
    .setIssuedAt(now)
    .setNotBefore(now)
    .setExpirationTime(now + SESSION_SECONDS)
    .sign(await importJWK(jwk, "RS256"));
}

/** Access answers 403 whatever the path, before the origin hears of the request. */
function forbidden(): Response {
  const page = "<!doctype html><title>Forbidden</title><h1>Forbidden</h1><p>You don't have permission to view this.</p>";
  return new Response(page, { status: 403, headers: { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" } });
}
