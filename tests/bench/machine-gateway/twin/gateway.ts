// The gateway in TypeScript, as its author would write it with Hono, jose and http-message-signatures: the routes of orders, for
// machines that Access or a signature vouches for, with the refusals and the log.
import { createHash, createHmac, createPublicKey, createSecretKey, timingSafeEqual, verify } from "node:crypto";
import type { Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import { createMiddleware } from "hono/factory";
import { verifyMessage } from "http-message-signatures/lib/httpbis/index.js"; // not the whole: that asks for `require`
import { createRemoteJWKSet, errors, jwtVerify } from "jose";
import { parseDictionary } from "structured-headers";
import { api, type Env, type Identity, outcomeUnknown, Problem, unavailable } from "./api.ts";

interface Machine { principal: string; scopes: string[] }
interface Signer extends Machine { alg: string; keys: ((base: Buffer, signature: Buffer) => boolean)[] } // two during a rotation
interface Proven extends Machine { credential: string; proof: "access" | "http-signature"; once?: { name: string; until: number } }
interface Bindings {
  TEAM_DOMAIN: string; POLICY_AUD: string; PRINCIPALS: string; ORDERS: Fetcher; LIMITER: { limit(options: { key: string }): Promise<{ success: boolean }> };
  NONCES: { getByName(name: string): { admit(name: string, until: number, now: number): Promise<boolean> } };
}
const MAX_BODY = 16 << 10, MAX_AGE = 300, SKEW = 60; // bytes, seconds, seconds

/** One answer to the anonymous and to all whose proof does not hold: which check failed is for the log. */
const unauthorized = (why: unknown) => new Problem(401, "unauthorized", "this API is for machines that it knows, with a proof of who they are", why,
  { "www-authenticate": 'Bearer realm="machine-gateway"' });

/** What another Worker or an object answers, waited for as long as makes sense. */
async function answered<T>(answer: Promise<T>, failed = unavailable): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, fail) => { timer = setTimeout(fail, 5000, new Error("no answer in time")); });
  return Promise.race([answer, late]).catch((e) => { throw failed(e); }).finally(() => clearTimeout(timer));
}

function verifierOf({ alg, secret, public_key }: { alg: string; secret: string; public_key: string }): Signer["keys"][number] {
  if (alg === "hmac-sha256") {
    const key = createSecretKey(secret, "base64"), mac = (base: Buffer) => createHmac("sha256", key).update(base).digest();
    return (base, signature) => signature.length === 32 && timingSafeEqual(mac(base), signature);
  }
  const key = createPublicKey(public_key);
  return (base, signature) => verify(null, base, key, signature);
}

/** The policy document, by what a machine names itself with. */
function read(document: string) {
  const { version, principals } = JSON.parse(document), tokens = new Map<string, Machine>(), signers = new Map<string, Signer>();
  if (version !== 1) throw new Error(`version ${version} of the policy is not known`);
  for (const { id: principal, scopes, credentials } of principals) for (const credential of credentials) {
    const { type, keyid, alg, client_id } = credential;
    if (type === "access_service_token") tokens.set(client_id, { principal, scopes });
    if (type === "http_signature") signers.set(keyid, { principal, scopes, alg, keys: [...(signers.get(keyid)?.keys ?? []), verifierOf(credential)] });
  }
  return { tokens, signers };
}
let policy: ReturnType<typeof read> | undefined, keys: ReturnType<typeof createRemoteJWKSet> | undefined; // for as long as the isolate lives

/** Whose token of Access this is. (jose remembers keys, no tokens: one that comes again is verified again.) */
async function byToken(token: string, { TEAM_DOMAIN, POLICY_AUD }: Bindings, tokens: Map<string, Machine>): Promise<Proven> {
  keys ??= createRemoteJWKSet(new URL("/cdn-cgi/access/certs", TEAM_DOMAIN));
  const { payload } = await jwtVerify(token, keys, { issuer: TEAM_DOMAIN, audience: POLICY_AUD, algorithms: ["RS256"], requiredClaims: ["exp"] }).catch((e) => {
    throw e instanceof errors.JWKSTimeout || !(e instanceof errors.JOSEError) ? unavailable(e) : unauthorized(e);
  });
  const credential = String(payload.common_name), machine = tokens.get(credential);
  if (!machine) throw unauthorized("the policy does not list this service token");
  return { ...machine, credential, proof: "access" };
}

/** Whose signature this is (RFC 9421). */
async function bySignature({ req }: Context, signers: Map<string, Signer>): Promise<Proven> {
  let signer: Signer | undefined, keyid = "", nonce: unknown, until = 0, count = 0;
  const held = await verifyMessage({
    requiredParams: ["created", "keyid", "nonce"], requiredFields: ["@method", "@authority", "@target-uri", ...(req.raw.body ? ["content-digest"] : [])],
    maxAge: MAX_AGE, tolerance: SKEW,
    async keyLookup(params) {
      if (++count > 1) throw new Error("more than one signature");
      [keyid, nonce, until] = [params.keyid!, params.nonce, Number(params.created) + (MAX_AGE + SKEW) * 1000];
      return (signer = signers.get(keyid)) ? { algs: [signer.alg], verify: async (base, signature) => signer!.keys.some((key) => key(base, signature)) } : null;
    },
  }, { method: req.method, url: req.url, headers: req.header() }).catch((e) => { throw unauthorized(e); });
  if (!held || !signer) throw unauthorized(signer ? "the signature is not the key's" : "the policy does not list this key");
  if (typeof nonce !== "string" || !/^[\x20-\x7e]{1,256}$/.test(nonce)) throw unauthorized("the nonce is none");
  return { ...signer, credential: keyid, proof: "http-signature", once: { name: `http-signature ${keyid} ${nonce}`, until } };
}

/** The body must be what the header says (RFC 9530), by each hash that is known and at least one. */
function checkDigest(header: string, body: ArrayBuffer) {
  try {
    const known = [...parseDictionary(header)].filter(([name]) => name === "sha-256" || name === "sha-512");
    const digest = (name: string) => createHash(name.replace("-", "")).update(new Uint8Array(body)).digest();
    if (known.length && known.every(([name, [value]]) => value instanceof ArrayBuffer && digest(name).equals(new Uint8Array(value)))) return;
  } catch {} // not a dictionary
  throw unauthorized("the body is not what content-digest says");
}

/** Every route says which scope it takes, and no request comes to one without a proof. */
const allowed = (scope: string) => createMiddleware<Env<Bindings, Proven>>(async (c, next) => {
  const { principal, scopes } = c.get("caller");
  c.get("notes").scope = scope;
  if (!scopes.includes(scope)) throw new Problem(403, "forbidden", `this machine has not the scope ${scope}`);
  if (!(await c.env.LIMITER.limit({ key: principal })).success)
    throw new Problem(429, "too-many-requests", "ask again a little later", undefined, { "retry-after": "10" });
  await next();
});

/** Spends the nonce, last of all, and asks the Worker inside, whose answer it is. Of the caller's headers only the type goes along. */
async function forward(c: Context<Env<Bindings, Proven>>) {
  const { principal, credential, proof, once } = c.get("caller"), { method, url, raw } = c.req, now = Date.now();
  const type = c.req.header("content-type"), body = raw.body ? await c.req.arrayBuffer() : undefined;
  if (once && body) checkDigest(c.req.header("content-digest")!, body);
  if (once && !(await answered(c.env.NONCES.getByName(principal).admit(once.name, once.until, now)))) throw unauthorized("a replay");
  c.get("notes").outcome = "allowed";
  const identity: Identity = { v: 1, principal, credential, proof, traceparent: c.get("traceparent"), request_id: c.get("requestId") };
  const headers = { ...(type && { "content-type": type }), "x-machine-identity": JSON.stringify(identity), traceparent: identity.traceparent,
    "cf-ray": identity.request_id };
  const answer = await answered(c.env.ORDERS.fetch(url, { method, headers, body, redirect: "manual" }), method === "GET" ? unavailable : outcomeUnknown);
  if (answer.status === 501) throw unavailable("the two Workers do not understand each other: is one not deployed yet?");
  return c.newResponse(answer.body, answer);
}

const gateway = api<Bindings, Proven>();
gateway.use(async (c, next) => {
  const head = [...c.req.raw.headers], token = c.req.header("cf-access-jwt-assertion");
  if (c.req.url.length > 2 << 10) throw new Problem(414, "uri-too-long", "the URI is too long");
  if (head.length > 64 || head.reduce((size, [name, value]) => size + name.length + value.length, 0) > 16 << 10)
    throw new Problem(431, "head-too-large", "the header fields are too many, or too large");
  if (!token && !c.req.header("signature") && !c.req.header("signature-input")) throw unauthorized("anonymous");
  const { tokens, signers } = (policy ??= read(c.env.PRINCIPALS));
  const proven = token ? await byToken(token, c.env, tokens) : await bySignature(c, signers), { principal, credential, proof } = proven;
  c.set("caller", proven);
  Object.assign(c.get("notes"), { principal, credential, proof });
  await next();
});
gateway.get("/v1/orders/:id", allowed("orders:read"), forward);
gateway.get("/v1/orders", allowed("orders:read"), forward);
gateway.post("/v1/orders", allowed("orders:write"),
  bodyLimit({ maxSize: MAX_BODY, onError: () => { throw new Problem(413, "payload-too-large", "the body is too long"); } }), forward);

export { Nonces } from "./nonces.ts";
export default gateway;
