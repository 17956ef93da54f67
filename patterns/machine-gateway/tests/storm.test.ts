// Ten thousand random requests. A failure is found again by its seed: STORM_SEED=… node --test …/storm.test.ts
import assert from "node:assert/strict";
import { Agent } from "node:http";
import { test } from "node:test";
import { jwt, policy } from "./callers.ts";
import { counted, send, type Sent } from "./gate.ts";
import { ALICE, AUDIENCE, BOB, makeKey, startWith, Team } from "./team.ts";

const SEED = Number(process.env.STORM_SEED ?? Math.floor(Math.random() * 2 ** 32)), REQUESTS = Number(process.env.STORM_REQUESTS ?? 10_000), AT_ONCE = 16;

// mulberry32
let state = SEED;
const random = () => {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};
const upTo = (n: number) => Math.floor(random() * n);
const chance = (share: number) => random() < share;
const pick = <T>(list: readonly T[]): T => list[upTo(list.length)];
const text = (from: string, longest: number) => Array.from({ length: upTo(longest + 1) }, () => pick([...from])).join("");
const between = (first: number, last: number, longest: number) =>
  Array.from({ length: upTo(longest) }, () => String.fromCharCode(first + upTo(last - first + 1))).join("");
const bytes = (longest: number) => between(0, 255, longest);
const header = (longest: number) => between(0x20, 255, longest).replaceAll("\x7f", "");
const changed = (given: string, how: () => string, times = 1 + upTo(3)) => {
  for (let i = 0, out = given; ; i++) {
    if (i >= times && out !== given) return out;
    const at = upTo(out.length + 1);
    out = out.slice(0, at) + pick(["", how(), how()]) + out.slice(at + upTo(3));
  }
};

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const METHODS = ["PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "PROPFIND", "PURGE", "QUERY", "MKCOL", "SEARCH"];
const TYPES = ["application/json", "application/json; charset=utf-8", "text/plain", "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x", "application/", "json", "\"", "application/json, application/json"];
const NAMES = ["accept", "accept-encoding", "authorization", "cookie", "content-encoding", "content-language", "if-match",
  "if-none-match", "origin", "range", "referer", "te", "traceparent", "tracestate", "user-agent", "x-forwarded-for", "x-forwarded-host",
  "x-http-method-override", "x-request-id", "cf-ray", "cf-access-client-id", "cf-access-authenticated-user-email", "mf-route-override",
  "access-control-request-method"];
const VALUES = ["", "0", "gzip", "bytes=0-", "*", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "null", "{}", "GET", "a=b; c", "%00"];

function path(ids: string[]): string {
  // Drawn whatever the answers were so far, so that a seed gives the same requests again.
  const stored = chance(0.5), at = random(), hex = (digits: number) => Array.from({ length: digits }, () => upTo(16).toString(16)).join("");
  const id = [8, 4, 4, 4, 12].map(hex).join("-");
  const known = chance(0.5) ? "/v1/orders" : `/v1/orders/${(stored && ids[Math.floor(at * ids.length)]) || id}`;
  const odd = () => pick(["/", "//", "..", "%2f", "%00", "%", "%ff", "%C3%A9", "?", "#", "{id}", "*", ";", "\\", "|", "'", '"', "<", "^", "`",
    text(BASE64, 40)]);
  const last = chance(0.01) ? 255 : 126; // what is not ASCII the local runtime refuses itself
  const base = chance(0.6) ? known : chance(0.7) ? changed(known, odd) : `/${between(0x21, last, chance(0.05) ? 3000 : 40)}`;
  const query = chance(0.15) ? `?${chance(0.05) ? text(BASE64, 4000) : between(0x21, last, 60)}` : "";
  return base.startsWith("/") ? base + query : `/${base}${query}`;
}

function body(): string | Buffer {
  const order = () => JSON.stringify({ sku: text(BASE64, 20), quantity: upTo(20_000), ...(chance(0.5) && { note: bytes(60) }) });
  const value = (depth: number): unknown => pick([() => null, () => chance(0.5), () => random() * 10 ** upTo(40), () => bytes(20),
    () => (depth ? Array.from({ length: upTo(4) }, () => value(depth - 1)) : []),
    () => (depth ? { [pick(["sku", "quantity", "note", "x"])]: value(depth - 1) } : {})])();
  return pick([
    () => JSON.stringify({ sku: "A-1", quantity: 1 + upTo(100) }), order, order,
    () => changed(order(), () => pick(['"', "{", "}", "[", ",", ":", "\\", "\\u0000", "0", "1e999", "-", "\0", "\xff"])),
    () => JSON.stringify({ sku: value(2), quantity: value(2), note: value(2) }), () => JSON.stringify(value(5)),
    () => pick(["[", '{"a":', '{"note":[', '"\\']).repeat(upTo(3000)), () => Buffer.from(bytes(400), "latin1"), () => "",
    () => " ".repeat(upTo(40_000)), () => JSON.stringify({ sku: "A-1", quantity: 1 }).padEnd((16 << 10) + upTo(3) - 1),
  ])();
}

test(`${REQUESTS} random requests, half of them with a valid token of Access or of their own, are answered without a failure of ours (seed ${SEED})`, async (t) => {
  const team = await Team.start(), alarms: string[] = [], seen: string[] = [], ids: string[] = [], byOthers: string[] = [];
  const log = (line: string) => { if (/"level":"error"|trap|panic|RuntimeError|uncaught/i.test(line)) alarms.push(line); };
  // A client id of visible ASCII, whose principal may read only.
  const ODD = `odd"\\{}<%~.access`, reader = { id: "odd", scopes: ["orders:read"], credentials: [{ type: "access_service_token", client_id: ODD }] };
  const vars = { PRINCIPALS: JSON.stringify(policy([ALICE, BOB], reader)) };
  const stack = await startWith(team, { log, vars, rateLimits: { LIMITER: REQUESTS } }), agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  try {
    const key = { ...(await makeKey("stranger")), kid: team.keys[0].kid }, now = Math.floor(Date.now() / 1000);
    const valid = await Promise.all([ALICE, BOB, ODD].map((common_name) => team.token({ claims: { common_name } })));
    const refused = await Promise.all([{ claims: { exp: now - 100 } }, { claims: { nbf: now + 900 } }, { key }, { header: { kid: "else" } },
      { header: { typ: "x" } }, { claims: { iss: "https://else.example" } }, { claims: { aud: AUDIENCE.slice(1) } },
      { claims: { sub: "ann", email: "ann@example.com" } }].map((how) => team.token(how)));
    const odd = () => pick([...BASE64, ".", "=", "+", " ", "é", ","]);
    const tokens = [() => undefined, () => "", () => changed(pick(valid), odd), () => changed(pick(refused), odd), () => pick(refused),
      () => pick(valid).slice(0, upTo(600)), () => `${pick(valid)}${pick([".", "=", ", ", ","])}${pick(valid)}`, () => header(300),
      () => text(`${BASE64}.`, 9000)];

    let reached = 0, withToken = 0, lost = 0, stored = 0;
    const one = async () => {
      const isValid = chance(0.5), isOwn = isValid && chance(0.5), headers: Record<string, string> = {};
      const token = isOwn ? undefined : isValid ? pick(valid) : pick(tokens)();
      const method = chance(0.8) ? pick(["GET", "POST", "POST"]) : chance(0.97) ? pick(METHODS) : text("ABCDEFGH", 12) || "X";
      for (let i = upTo(chance(0.02) ? 200 : 5); i > 0; i--)
        headers[chance(0.7) ? pick(NAMES) : `x-${text(BASE64, 20)}`] = chance(0.6) ? pick(VALUES) : header(chance(0.05) ? 2000 : 40);
      if (token !== undefined) headers["Cf-Access-Jwt-Assertion"] = token;
      if (isOwn) headers.authorization = `Bearer ${jwt({ audience: AUDIENCE })}`;
      const sent: Sent = { method, path: path(ids), headers, agent };
      if (method !== "GET" || chance(0.05)) {
        if (chance(0.9)) headers["content-type"] = chance(0.75) ? TYPES[upTo(2)] : chance(0.8) ? pick(TYPES) : header(40);
        const whole = Buffer.from(body() as string), cut = upTo(whole.length);
        sent.chunks = chance(0.2) ? [whole.subarray(0, cut), whole.subarray(cut)] : [whole];
        if (sent.chunks.length > 1) headers["transfer-encoding"] = "chunked";
        else headers["content-length"] = String(whole.length);
      }
      const got = await send(stack.urls.get("gateway")!, sent).catch(() => undefined);
      if (!got) { // a body that nobody wanted to read to its end: see `send`
        assert.ok(++lost < REQUESTS / 100, "nearly no connection is lost");
        return;
      }
      const what = `${got.status} ${JSON.stringify({ ...sent, agent: undefined, chunks: sent.chunks?.map(String) })}`.slice(0, 3000);
      if (!got.headers["x-request-id"]) {
        byOthers.push(String(got.status));
        assert.ok(got.status < 500 || got.status === 501, `${what}\n${got.text}`);
        return;
      }
      reached++;
      if (isValid) withToken++;
      seen.push(String(got.status));
      assert.ok(got.status < 500, what);
      // White space around a header's value is not part of it: RFC 9110, section 5.5.
      if (!isValid && !valid.includes(token?.trim() ?? "")) assert.ok([401, 414, 431].includes(got.status), `let in: ${what}`);
      if (got.status >= 400 && method !== "HEAD")
        assert.deepEqual([got.headers["content-type"], JSON.parse(got.text).status], ["application/problem+json", got.status], what);
      if (got.status === 201) { stored++; ids.push(JSON.parse(got.text).id); }
    };
    const from = performance.now();
    await Promise.all(Array.from({ length: AT_ONCE }, async () => { while (reached < REQUESTS) await one(); }));

    const seconds = Math.round((performance.now() - from) / 1000);
    t.diagnostic(`${reached} reached the Worker in ${seconds} s, ${withToken} with a valid token: ${counted(seen)}`);
    t.diagnostic(`the local runtime answered ${byOthers.length} by itself (${counted(byOthers)}), ${lost} connections were lost`);
    assert.deepEqual(alarms, []);
    for (const status of ["200", "201", "400", "401", "403", "404", "405", "413", "414", "415", "422", "431"]) assert.ok(seen.includes(status), `no ${status}`);
    assert.ok(Math.abs(withToken / reached - 0.5) < 0.05, "half of them with a valid token");
    assert.ok(byOthers.length < REQUESTS / 3, "most of them reach the Worker");
    assert.ok(team.asked <= AT_ONCE + 2, `the key server was asked ${team.asked} times`);
    const { n } = await (await stack.env("orders")).DB.prepare("SELECT count(*) AS n FROM orders").first();
    assert.ok(n >= stored && n <= stored + lost, `${stored} acknowledged, ${n} stored`);
  } finally {
    agent.destroy();
    await stack.close();
    await team.down();
  }
});
