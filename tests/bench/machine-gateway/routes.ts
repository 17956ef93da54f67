import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { createSigner, httpbis } from "http-message-signatures";
import type { Stack } from "../../harness/stack.ts";
import { ALICE, BOB, Team } from "../../../patterns/machine-gateway/tests/team.ts";
import type { Request } from "../measure.ts";
import { FROM_EDGE, type Measured } from "../pattern.ts";

const HOST = "api.example.com", LISTED = 20;
const headers = { ...FROM_EDGE, host: HOST, "user-agent": "machine/1.0", accept: "application/json" };
const id = (n: number) => `00000000-0000-4000-8000-0000000000${n + 10}`;
const find = { method: "GET", path: `/v1/orders/${id(0)}`, headers };
const list = { method: "GET", path: "/v1/orders", headers };
const placing = (quantity: number) => ({ method: "POST", path: "/v1/orders", body: JSON.stringify({ sku: "A-1", quantity, note: "today" }),
  headers: { ...headers, "content-type": "application/json" } });

const hmac = (keyid: string, secret = randomBytes(32)) =>
  ({ key: createSigner(secret, "hmac-sha256", keyid), listed: { type: "http_signature", keyid, alg: "hmac-sha256", secret: secret.toString("base64") } });
function ed25519(keyid: string) {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const public_key = publicKey.export({ format: "pem", type: "spki" });
  return { key: createSigner(privateKey, "ed25519", keyid), listed: { type: "http_signature", keyid, alg: "ed25519", public_key } };
}

/** As an RFC 9421 client signs, that knows nothing of us: the signature is fresh each time. */
async function signed({ key }: Pick<ReturnType<typeof hmac>, "key">, request: Request): Promise<Request> {
  const digest = request.body && { "content-digest": `sha-256=:${createHash("sha256").update(request.body).digest("base64")}:` };
  const fields = ["@method", "@authority", "@target-uri", ...(digest ? ["content-digest"] : [])];
  const { headers } = await httpbis.signMessage(
    { key, fields, params: ["created", "keyid", "nonce"], paramValues: { nonce: randomBytes(16).toString("base64url") } },
    { method: request.method, url: `http://${HOST}${request.path}`, headers: { ...request.headers, ...digest } });
  return { ...request, headers: headers as Record<string, string> };
}

export async function measured(): Promise<Measured> {
  const team = await Team.start(), hours = Math.floor(Date.now() / 1000) + 12 * 3600;
  const withToken = async (request: Request, claims: object) =>
    ({ ...request, headers: { ...request.headers, "cf-access-jwt-assertion": await team.token({ claims: { exp: hours, ...claims } }) } });
  // BOB places orders and ALICE reads hers, so that a list is as long at the end as at the beginning.
  const [alices, alicesOther, bobs] = [hmac("alice-hmac"), ed25519("alice-ed25519"), hmac("bob-hmac")];
  const principals = [
    { id: "alice", scopes: ["orders:read"], credentials: [{ type: "access_service_token", client_id: ALICE }, alices.listed, alicesOther.listed] },
    { id: "bob", scopes: ["orders:write"], credentials: [{ type: "access_service_token", client_id: BOB }, bobs.listed] },
  ];
  const altered = (request: Request, name: string, from: RegExp, to: string) =>
    ({ ...request, headers: { ...request.headers, [name]: request.headers[name].replace(from, to) } });
  let tokens = 0; // no two are alike
  return {
    routes: [
      { name: "GET /v1/orders/{id}, Access JWT, warm", ...await withToken(find, { common_name: ALICE }),
        refused: async (sent) => [altered(sent, "cf-access-jwt-assertion", /.{4}$/, "AAAA"), await withToken(find, { common_name: BOB }),
          await withToken(find, { common_name: "stranger.access" }), { ...sent, path: `/v1/orders/${id(LISTED)}` }, { ...sent, path: "/v1/orders/none" }] },
      { name: "GET /v1/orders/{id}, Access JWT, cold", ...find, fresh: () => withToken(find, { common_name: ALICE, identity_nonce: String(tokens++) }) },
      { name: "GET /v1/orders/{id}, RFC 9421 HMAC", ...find, fresh: () => signed(alices, find),
        refused: async (sent) => [sent, altered(await signed(alices, find), "Signature", /:.{4}/, ":AAAA"),
          altered(await signed(alices, find), "Signature-Input", /"@method" /, ""), await signed(hmac("alice-hmac"), find),
          await signed(hmac("stranger"), find), await signed(bobs, find)] },
      { name: "GET /v1/orders/{id}, RFC 9421 Ed25519", ...find, fresh: () => signed(alicesOther, find),
        refused: async (sent) => [sent, { ...await signed(alicesOther, find), path: list.path }, await signed(ed25519("alice-ed25519"), find)] },
      { name: "POST /v1/orders, RFC 9421 HMAC", ...placing(2), status: 201, fresh: () => signed(bobs, placing(2)),
        refused: async (sent) => [sent, { ...await signed(bobs, placing(2)), body: placing(3).body }, await signed(bobs, placing(0)),
          await signed(alices, placing(2))] },
      { name: `GET /v1/orders, ${LISTED} of them, Access JWT, warm`, ...await withToken(list, { common_name: ALICE }),
        refused: async (sent) => [{ ...sent, path: `${list.path}?limit=0` }, { ...sent, path: `${list.path}?cursor=none` }] },
      { name: "GET /v1/orders, 401: no proof", ...list, status: 401 },
    ],
    vars: { ...team.vars, PRINCIPALS: JSON.stringify({ version: 1, principals }) },
    rateLimits: { LIMITER: 1e9 }, // two machines send what is meant for many
    close: () => team.down(),
    async fill(stack: Stack) {
      const { DB } = await stack.env("orders");
      const insert = DB.prepare("INSERT INTO orders (id, caller, sku, quantity, note, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
      await DB.batch(Array.from({ length: LISTED }, (_, i) => insert.bind(id(i), "alice", `SKU-${i + 1}`, i + 1,
        "leave it at the back door, please", `2026-11-${i + 10}T12:00:00.000Z`)));
    },
  };
}
