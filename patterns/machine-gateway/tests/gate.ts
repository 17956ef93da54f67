// Requests to the gateway as they stand on the wire, and what its log says was decided about them.
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { build } from "../../../tests/harness/build.ts";
import { readPattern, specsOf, startWorkers } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { type Signed, signed } from "./callers.ts";
import { type Got, type Sent, send } from "./team.ts";

export const ORDER = JSON.stringify({ sku: "A-1", quantity: 1 });
/** The audience that pattern.toml sets for local runs. */
export const LOCAL_AUDIENCE = "local-application-audience-tag";

export interface Asked { method?: string; path?: string; headers?: Record<string, string>; body?: string | Buffer }
export const ask = (stack: Stack, { path = "/v1/orders", body, headers, ...asked }: Asked, of = "gateway") =>
  send(stack.urls.get(of)!, { ...asked, path, headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
    chunks: body === undefined ? [] : [body] } satisfies Sent);

/** The same over TLS, of whoever has this certificate of the harness's, or none. */
export async function askOverTls(stack: Stack, who: string | undefined, { path = "/v1/orders", method, headers, body }: Asked = {}): Promise<Got> {
  const { hostname: host, port } = stack.urls.get("mtls")!, { ca, ...own } = stack.identity(who ?? "client");
  const asked = httpsRequest({ host, port, servername: "localhost", method, path, ca, ...(who && own), agent: false,
    headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers } });
  asked.end(body);
  const [answer] = await once(asked, "response");
  let text = "";
  for await (const chunk of answer) text += chunk;
  return { status: answer.statusCode, headers: answer.headers, text };
}

/** A request of the gateway's, signed. */
export function signedFor(stack: Stack, { path = "/v1/orders", ...how }: Omit<Signed, "url"> & { path?: string } = {}): Asked {
  const { method, body } = how;
  return { method, body, path, headers: signed({ ...how, url: new URL(path, stack.urls.get("gateway")) }) };
}

/** The one line of the log that tells what was decided about the request of this answer. */
export async function decision(stack: Stack, { headers }: Pick<Got, "headers">): Promise<Record<string, unknown>> {
  const line = new RegExp(`"outcome":.*"request_id":"${headers["x-request-id"]}"`);
  await stack.logged(line);
  const lines = stack.logs.filter((one) => line.test(one));
  assert.equal(lines.length, 1, lines.join("\n"));
  return JSON.parse(lines[0]);
}

/** "401 replay", "201 allowed": the answer's status, and the reason for a refusal, which the log tells and the answer does not. */
export async function told(stack: Stack, asked: Got | Promise<Got>): Promise<string> {
  const got = await asked, { outcome, reason = outcome } = await decision(stack, got);
  if (got.status === 401) isTheOneRefusal(got);
  return `${got.status} ${reason}`;
}

/** Every 401 is the same, whatever failed: nobody learns from it which guess was good. */
export function isTheOneRefusal({ headers, text }: Got) {
  const { "x-request-id": _, date: __, connection: ___, "keep-alive": ____, ...same } = headers;
  assert.deepEqual(same, { "content-type": "application/problem+json", ...(text && { "content-length": "160" }),
    "www-authenticate": 'Bearer realm="machine-gateway"' });
  if (text) assert.deepEqual(JSON.parse(text), { type: "about:blank", title: "Unauthorized", status: 401, code: "unauthorized",
    detail: "this API is for machines that it knows, with a proof of who they are" });
}

/** The pattern with the gateway's clock and its KV in the test's hands: the header `x-clock` moves the one, in seconds from now,
 *  and `x-kv` says what the other does, "fail" or "hang". Each call of what costs is a line of the log, "asked POLICY". The wasm
 *  is the deployed one; a few lines of JavaScript are put before it. */
export async function startWithKv(vars: Record<string, string> = {}): Promise<Stack> {
  const [gateway, ...others] = specsOf(readPattern("machine-gateway")), folder = mkdtempSync(join(tmpdir(), "kv-")), main = join(folder, "kv.js");
  if (process.env.EDGE_BUILT !== "1") await build(gateway.config);
  cpSync(join(dirname(gateway.config), "build"), folder, { recursive: true });
  writeFileSync(main, `
    import gateway from "./index.js";
    export * from "./index.js"; // the classes of its objects
    let offset = 0, kv = null;
    const now = Date.now.bind(Date);
    globalThis.Date = class extends Date {
      constructor(...given) { super(...(given.length ? given : [now() + offset])); }
      static now() { return now() + offset; }
    };
    const asked = (env, name, how = () => {}) => ({ [name]: new Proxy(env[name], { get(binding, member) {
      const value = binding[member];
      if (typeof value !== "function" || member === "constructor") return value;
      return (...given) => {
        console.log("asked " + name);
        const first = how();
        return first ? first.then(() => value.apply(binding, given)) : value.apply(binding, given);
      };
    } }) });
    const KV = {
      fail: () => Promise.reject(new Error("KV GET failed: 503 Service Unavailable")),
      hang: () => new Promise((done) => setTimeout(done, 30_000)), // without a timer the runtime would notice
    };
    const before = (env) => ({ ...env, ...asked(env, "NONCES"), ...asked(env, "LIMITER"), ...asked(env, "POLICY", () => KV[kv]?.()) });
    export default { fetch(request, env, ctx) {
      offset = 1000 * Number(request.headers.get("x-clock"));
      kv = request.headers.get("x-kv");
      return gateway.fetch(request, before(env), ctx);
    } };`);
  try {
    return await startWorkers([{ ...gateway, main, vars: { ...gateway.vars, PRINCIPALS: "", ...vars } }, ...others]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
