// The machines that tests call as, and how each proves who it is. Written from the specifications, with nothing of the
// gateway's own code.
import { createHash, createHmac, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign as signWith } from "node:crypto";

export interface Signer { keyid: string; alg: "hmac-sha256" | "ed25519"; secret?: Buffer; privateKey?: KeyObject }

const secret = () => randomBytes(32);
const ed25519 = generateKeyPairSync("ed25519");
/** A secret, as the policy document writes it. */
export const base64 = (bytes: Buffer) => bytes.toString("base64");

export const ACME = "acme", READER = "reader";
export const HMAC: Signer = { keyid: "acme-hmac", alg: "hmac-sha256", secret: secret() };
export const ED25519: Signer = { keyid: "acme-ed25519", alg: "ed25519", privateKey: ed25519.privateKey };
export const READERS: Signer = { keyid: "reader-hmac", alg: "hmac-sha256", secret: secret() };
export const JWT = { kid: "acme-jwt", issuer: "acme", secret: secret() };

/** The service token that Access's stand-in knows, and the headers that it comes in. */
export const LOCAL_ID = "local-machine.access", LOCAL_SECRET = "local-secret-that-protects-nothing";
export const LOCAL_TOKEN = { "CF-Access-Client-Id": LOCAL_ID, "CF-Access-Client-Secret": LOCAL_SECRET };

export const pem = (key: KeyObject) => key.export({ type: "spki", format: "pem" }) as string;
export const signature = ({ keyid, alg, secret, privateKey }: Signer) =>
  ({ type: "http_signature", keyid, alg, ...(secret ? { secret: base64(secret) } : { public_key: pem(createPublicKey(privateKey!)) }) });
export const token = ({ kid, issuer, secret }: typeof JWT) => ({ type: "jwt", kid, alg: "HS256", secret: base64(secret), issuer });

const ALL = ["orders:read", "orders:write", "reports:read", "reports:write"];
/** `acme` has every kind of credential and every scope, `reader` may read orders, and the clients each their own orders. */
export const policy = (clients: string[] = [], ...more: object[]) => ({ version: 1, principals: [
  { id: ACME, scopes: ALL, credentials: [signature(HMAC), signature(ED25519), token(JWT)] },
  { id: READER, scopes: ["orders:read"], credentials: [signature(READERS), { type: "access_service_token", client_id: "reader.access" }] },
  ...clients.map((client_id) => ({ id: principalOf(client_id), scopes: ALL, credentials: [{ type: "access_service_token", client_id }] })),
  ...more,
] });
/** The principal of a client id in `policy`. */
export const principalOf = (client_id: string) => client_id.replace(/\.access$/, "");

export const digest = (body: string | Buffer, algorithm: "sha-256" | "sha-512" = "sha-256") =>
  `${algorithm}=:${createHash(algorithm.replace("-", "")).update(body).digest("base64")}:`;

export interface Signed { method?: string; url: URL; headers?: Record<string, string>; body?: string | Buffer; by?: Signer;
  /** The components, where they are not those that are required. */
  covered?: string[];
  /** Parameters; undefined leaves one out. */
  params?: Record<string, string | number | undefined>;
  label?: string }

/** The headers of a request with its signature among them (RFC 9421, sections 2.5 and 3.1). */
export function signed({ method = "GET", url, headers = {}, body, by = HMAC, covered, params = {}, label = "sig1" }: Signed): Record<string, string> {
  const all: Record<string, string> = { ...headers, ...(body !== undefined && { "content-digest": digest(body), ...headers }) };
  const fields = Object.fromEntries(Object.entries(all).map(([name, value]) => [name.toLowerCase(), value.trim()]));
  const value = (component: string) => ({
    "@method": method, "@target-uri": url.href, "@authority": url.host, "@scheme": url.protocol.slice(0, -1), "@path": url.pathname,
    "@query": url.search || "?", "@request-target": url.pathname + url.search,
  })[component] ?? fields[component];
  const components = covered ?? ["@method", "@authority", "@target-uri", ...(body !== undefined ? ["content-digest"] : [])];
  const given: Record<string, string | number | undefined> = { created: Math.floor(Date.now() / 1000), keyid: by.keyid, nonce: randomBytes(16).toString("base64url"), ...params };
  const parameters = Object.entries(given).filter(([, v]) => v !== undefined)
    .map(([name, v]) => `;${name}=${typeof v === "number" ? v : `"${v}"`}`).join("");
  const input = `(${components.map((c) => `"${c}"`).join(" ")})${parameters}`;
  const base = [...components.map((c) => `"${c}": ${value(c)}`), `"@signature-params": ${input}`].join("\n");
  const bytes = by.secret ? createHmac("sha256", by.secret).update(base).digest() : signWith(null, Buffer.from(base), by.privateKey!);
  return { ...all, "signature-input": `${label}=${input}`, signature: `${label}=:${bytes.toString("base64")}:` };
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
/** A JWT (RFC 7519) that a machine signs itself; what is undefined is left out. */
export function jwt({ audience, claims = {}, header = {}, secret = JWT.secret }: { audience: string; claims?: object; header?: object; secret?: Buffer }): string {
  const now = Math.floor(Date.now() / 1000);
  const input = `${encode({ alg: "HS256", typ: "JWT", kid: JWT.kid, ...header })}.${encode({ iss: JWT.issuer, aud: audience, iat: now, exp: now + 120,
    jti: randomBytes(16).toString("base64url"), ...claims })}`;
  return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
}
