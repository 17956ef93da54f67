// Requests to the gateway as they stand on the wire, what is answered, and what its log says was decided about them.
import assert from "node:assert/strict";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type Agent, type IncomingHttpHeaders, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { buildOnce } from "../../../tests/harness/build.ts";
import { readPattern, specsOf, startWorkers } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { type Signed, signed } from "./callers.ts";

export const ORDER = JSON.stringify({ sku: "A-1", quantity: 1 });
/** The audience that pattern.toml sets for local runs. */
export const LOCAL_AUDIENCE = "local-application-audience-tag";

export interface Sent { method?: string; path: string; headers?: Record<string, string | string[]>; chunks?: (string | Buffer)[]; agent?: Agent }
export interface Got { status: number; headers: IncomingHttpHeaders; text: string }
/** A request that `fetch` would not send, or not as it stands; several chunks go one after the other until the answer comes.
 *  Fails when the connection is lost before that, as it may be where the answer does not wait for a large body. */
export const send = (to: URL, { path, chunks = [], ...options }: Sent) => new Promise<Got>((done, fail) => {
  let answered = false;
  const request = httpRequest({ host: to.hostname, port: to.port, path, ...options }, async (response) => {
    let text = "";
    answered = true;
    try {
      for await (const chunk of response) text += chunk;
      done({ status: response.statusCode!, headers: response.headers, text });
    } catch (e) { fail(e); }
  });
  request.on("error", fail);
  const next = (i: number) => {
    if (request.destroyed || answered) return;
    if (i >= chunks.length - 1) request.end(chunks[i]);
    else { request.write(chunks[i]); setTimeout(next, 2, i + 1); }
  };
  next(0);
});

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

/** The one line of the log that tells what was decided about the request that got this answer. */
export async function decision(stack: Stack, { headers }: { headers: Headers | IncomingHttpHeaders }): Promise<Record<string, unknown>> {
  const id = headers instanceof Headers ? headers.get("x-request-id") : headers["x-request-id"];
  const line = new RegExp(`"outcome":.*"request_id":"${id}"`);
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

/** "401 unauthorized", of an answer that is in the standard form for errors and tells its name. */
export async function problem(answering: Response | Promise<Response>): Promise<string> {
  const answer = await answering, text = await answer.text();
  assert.equal(answer.headers.get("content-type"), "application/problem+json", `${answer.status} ${text}`);
  assert.match(answer.headers.get("x-request-id") ?? "", /^[0-9a-zA-Z-]{16,}$/);
  const { status, code, ...rest } = JSON.parse(text);
  assert.deepEqual([status, Object.keys(rest).sort(), rest.type], [answer.status, ["detail", "title", "type"], "about:blank"], text);
  assert.ok(code && rest.title && rest.detail, text);
  return `${status} ${code}`;
}

/** Why the gateway refused what got this answer, which does not tell. */
export async function refusal(stack: Stack, answer: Response): Promise<string> {
  assert.equal(answer.headers.get("www-authenticate"), 'Bearer realm="machine-gateway"');
  assert.equal(await problem(answer), "401 unauthorized");
  const { outcome, reason } = await decision(stack, answer);
  assert.equal(outcome, "refused");
  return String(reason);
}

/** The pattern with the gateway's clock and what it asks in the test's hands. The header `x-clock` moves the one, in seconds from
 *  now; `x-fault` says what happens to the other, "POLICY fail" or "NONCES hang". Each call of KV, limiter or object is a line of
 *  the log, "asked POLICY". The wasm is the deployed one; a few lines of JavaScript are put before it. */
export async function startControlled(vars: Record<string, unknown> = {}): Promise<Stack> {
  const [gateway, ...others] = specsOf(readPattern("machine-gateway")), folder = mkdtempSync(join(tmpdir(), "controlled-"));
  const main = join(folder, "controlled.js");
  await buildOnce(gateway.config);
  cpSync(join(dirname(gateway.config), "build"), folder, { recursive: true });
  writeFileSync(main, `
    import gateway from "./index.js";
    export * from "./index.js"; // the classes of its objects
    let offset = 0, fault = "";
    const now = Date.now.bind(Date);
    globalThis.Date = class extends Date {
      constructor(...given) { super(...(given.length ? given : [now() + offset])); }
      static now() { return now() + offset; }
    };
    const FAULTS = {
      fail: () => Promise.reject(new Error("503 Service Unavailable")),
      hang: () => new Promise((done) => setTimeout(done, 30_000)), // without a timer the runtime would notice
    };
    // The gateway keeps the bindings of its first request: what is to happen is looked up at each call.
    const asked = (name, binding) => new Proxy(binding, { get(_, member) {
      const value = binding[member];
      if (typeof value !== "function" || member === "constructor") return value;
      return (...given) => {
        console.log("asked " + name);
        const [of, how] = fault.split(" ");
        if (of !== name) return value.apply(binding, given);
        return name === "NONCES" ? { admit: FAULTS[how] } : FAULTS[how]();
      };
    } });
    const controlled = (env) => ({ ...env, ...Object.fromEntries(["NONCES", "LIMITER", "POLICY"].map((name) => [name, asked(name, env[name])])) });
    export default { fetch(request, env, ctx) {
      offset = 1000 * Number(request.headers.get("x-clock"));
      fault = request.headers.get("x-fault") ?? "";
      return gateway.fetch(request, controlled(env), ctx);
    } };`);
  try {
    return await startWorkers([{ ...gateway, main, vars: { ...gateway.vars, ...vars } }, ...others]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** How often each came: "3 x 401, 1 x 403". */
export const counted = (all: Iterable<string | number>) =>
  [...[...all].sort().reduce((counts, one) => counts.set(one, (counts.get(one) ?? 0) + 1), new Map<string | number, number>())]
    .map(([one, count]) => `${count} x ${one}`).join(", ");
