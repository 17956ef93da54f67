// What a caller who is let in can do, and cannot: bad input, other callers' orders, and an internal Worker that fails.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { readPattern, specsOf, startWorkers } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { ALICE, BOB, counted, problem, send, startWith, Team } from "./team.ts";

const NOBODYS = "/v1/orders/00000000-0000-0000-0000-000000000000";
let team: Team, stack: Stack, tokens: Record<string, string>;
before(async () => {
  team = await Team.start();
  stack = await startWith(team, { faults: true });
  tokens = { [ALICE]: await team.token(), [BOB]: await team.token({ claims: { common_name: BOB } }) };
});
after(async () => { await stack?.close(); await team?.down(); });

interface How { as?: string; on?: Stack; method?: string; body?: RequestInit["body"]; headers?: Record<string, string> }
/** A request of ALICE's, unless `as` is another caller or a token. */
const call = (path: string, { as = ALICE, on = stack, headers, ...init }: How = {}) =>
  on.fetch("gateway", path, { ...init, headers: { "Cf-Access-Jwt-Assertion": tokens[as] ?? as, ...headers } });
const post = (body: RequestInit["body"], type = "application/json", { headers, ...how }: How = {}) =>
  call("/v1/orders", { ...how, method: "POST", body, headers: { ...(type && { "content-type": type }), ...headers } });
const place = (order: object = {}, how: How = {}) => post(JSON.stringify({ sku: "A-1", quantity: 1, ...order }), undefined, how);
const json = async (answering: Promise<Response>, status = 200): Promise<any> => {
  const answer = await answering, text = await answer.text();
  assert.equal(answer.status, status, text);
  return JSON.parse(text);
};
const list = async (as = ALICE) => (await json(call("/v1/orders", { as }))).orders as any[];

describe("an order", () => {
  test("POST /v1/orders with a note of any script, or none, is stored as it came", async () => {
    for (const note of ["🧪👩‍🚀 Grüße, 世界", "🛰".repeat(500), "é".repeat(500), "\u2028\u202e", "'); DROP TABLE orders; --",
      "?1 %_ \" \\ ${x} {{x}}", undefined]) {
      const order = await json(place({ note }), 201);
      assert.deepEqual([order.note, order.sku, order.quantity], [note, "A-1", 1]);
      assert.deepEqual(await json(call(`/v1/orders/${order.id}`)), order);
    }
  });

  test("GET /v1/orders/{id} of another caller's order is 404, as if it were not there", async () => {
    const { id } = await json(place({ note: "for my eyes" }), 201);
    const [others, none] = await Promise.all([call(`/v1/orders/${id}`, { as: BOB }), call(NOBODYS, { as: BOB })]);
    assert.equal(await problem(others.clone()), "404 no-such-order");
    assert.deepEqual(await others.json(), await none.json());
    assert.deepEqual(await list(BOB), []);
    const as = await team.token({ claims: { common_name: "x' OR '1'='1" } });
    assert.deepEqual([await list(as), await list(await team.token({ claims: { common_name: "%" } }))], [[], []]);
  });

  test("GET /v1/orders is the caller's latest 100, newest first", async () => {
    const as = await team.token({ claims: { common_name: "many.access" } }), placed: string[] = [];
    for (let i = 0; i < 103; i++) placed.unshift((await json(place({ quantity: i + 1 }, { as }), 201)).id);
    const orders = await list(as), times = orders.map((order) => order.created_at);
    assert.deepEqual(times, [...times].sort().reverse());
    assert.deepEqual(new Set(orders.map((order) => order.id)), new Set(placed.slice(0, 100)));
    const head = await call("/v1/orders", { as, method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [200, ""]);
  });

  test("many callers at the same time get their own orders and no other's", async () => {
    const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => i % 2 ? ALICE : BOB).map(async (as, i) =>
      [as, (await json(place({ note: `${as} ${i}` }, { as }), 201)).note.split(" ")[0]]));
    for (const [as, got] of answers) assert.equal(got, as);
    assert.ok((await list(BOB)).every((order) => order.note.startsWith(BOB)));
  });
});

describe("bad input with a valid token", () => {
  let already: number;
  before(async () => { already = (await list()).length; });
  const MB = 1 << 20, deep = (open: string, close: string, by = 4000) => open.repeat(by) + close.repeat(by);
  const padded = (bytes: number) => JSON.stringify({ sku: "A-1", quantity: 1 }).padEnd(bytes);
  const order = (members: string) => `{"sku":"A-1","quantity":1,${members}}`;
  const [BAD, LARGE, TYPE, WRONG] = ["400 bad-request", "413 payload-too-large", "415 unsupported-media-type", "422 unprocessable-entity"];
  const statuses: string[] = [];

  const BODIES: [string, RequestInit["body"] | (() => RequestInit["body"]), string, string?][] = [
    ["one byte too many", padded((16 << 10) + 1), LARGE],
    ["nothing", "", BAD],
    ["half a document", '{"sku":', BAD],
    ["two documents", `${padded(0)}{}`, BAD],
    ["no JSON", "sku=A-1", BAD],
    ["text that is not UTF-8", Buffer.from(order('"note":"\xff\xfe"'), "latin1"), BAD],
    ["a NUL byte in a text", order('"note":"a\0b"'), BAD],
    ["half a surrogate pair", order('"note":"\\ud83d"'), BAD],
    ["gzip", () => gzipSync(padded(0)), BAD],
    ["a number beyond all", '{"sku":"A-1","quantity":1e999}', BAD],
    ["arrays in arrays without end", "[".repeat(8000), WRONG],
    ["arrays in arrays", deep("[", "]"), WRONG],
    ["arrays in arrays in a note", order(`"note":${deep("[", "]")}`), WRONG],
    ["objects in objects", `${'{"a":'.repeat(2000)}1${"}".repeat(2000)}`, WRONG],
    ["null", "null", WRONG],
    ["a text", '"A-1"', WRONG],
    ["an array of its members", '["A-1",1]', WRONG],
    ["no member", "{}", WRONG],
    ["an unknown member", order('"remark":"misspelt"'), WRONG],
    ["a member twice", order('"sku":"B-2"'), WRONG],
    ["__proto__", order('"__proto__":{"admin":true}'), WRONG],
    ["an id of its own", order('"id":"00000000-0000-0000-0000-000000000000"'), WRONG],
    ["a caller of its own", order('"caller":"bob.access"'), WRONG],
    ...['""', '"a b"', '"é"', '"../x"', `"${"A".repeat(65)}"`, "1", "null", "[]"].map((sku): typeof BODIES[0] =>
      [`the sku ${sku.slice(0, 9)}`, `{"sku":${sku},"quantity":1}`, WRONG]),
    ...["0", "-1", "1.5", "1e2", "10001", "4294967297", "99999999999999999999", '"1"', "true", "null", "[1]"].map((quantity): typeof BODIES[0] =>
      [`the quantity ${quantity}`, `{"sku":"A-1","quantity":${quantity}}`, WRONG]),
    ...['""', '"a\\u0000b"', '"a\\nb"', '"\\u0085"', `"${"é".repeat(501)}"`, "7", "{}"].map((note): typeof BODIES[0] =>
      [`the note ${note.slice(0, 12)}`, order(`"note":${note}`), WRONG]),
    ["no content type", () => Buffer.from(padded(0)), TYPE, ""],
    ["the content type of a form", padded(0), TYPE, "application/x-www-form-urlencoded"],
    ["a content type that is none", padded(0), TYPE, ";;;"],
  ];
  for (const [what, body, expected, type] of BODIES) test(`POST /v1/orders with ${what} is ${expected.slice(0, 3)}`, async () => {
    const got = await problem(post(typeof body === "function" ? body() : body, type));
    statuses.push(got);
    assert.equal(got, expected);
  });

  for (const [what, header] of [["2 MB", { "content-length": String(2 * MB) }], ["2 MB of unknown length", { "transfer-encoding": "chunked" }]] as const)
    test(`POST /v1/orders with ${what} is 413`, async () => {
      const headers = { "content-type": "application/json", "Cf-Access-Jwt-Assertion": tokens[ALICE]!, ...header };
      const answer = await send(stack.urls.get("gateway")!, { method: "POST", path: "/v1/orders", headers, chunks: Array(512).fill(" ".repeat(4096)) });
      assert.deepEqual([answer.status, answer.headers["content-type"], JSON.parse(answer.text).code], [413, "application/problem+json", "payload-too-large"]);
      statuses.push(LARGE);
    });

  test("POST /v1/orders with the longest body, or JSON by another name, is 201", async () => {
    assert.equal((await post(padded(16 << 10))).status, 201);
    for (const type of ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.acme+json"])
      assert.equal((await post(padded(0), type)).status, 201, type);
  });

  const PATHS: [string, string, string[]][] = [
    ["an unknown route", "404 not-found", ["/", "/v1", "/v1/orders/", "/v1/orders/a/b", "/V1/orders", "/v2/orders", "/v1/orders;x=1",
      "/%76%31/orders", "/.git/config", "/v1/%6frders", "/v1/orders%00", "/v1/orders%2f", "/*", "/{id}", "/v1/../admin", "/%ff", "/%zz", "/%"]],
    ["a malformed id", "400 bad-request", ["x", "1", "00000000-0000-0000-0000-00000000000", "00000000-0000-0000-0000-00000000000A", "%00", "%ff",
      "%zz", "%", "%25", "%2f", "..%2f..%2fadmin", "'%20OR%201=1--", "00000000-0000-0000-0000-000000000000%00", "*", "{id}", "%F0%9F%A7%AA",
      "null", "x".repeat(30_000)].map((id) => `/v1/orders/${id}`)],
    ["an id that nobody has", "404 no-such-order", [NOBODYS, `${NOBODYS}?x=%00%ff%zz`]],
  ];
  for (const [what, expected, paths] of PATHS) test(`GET of ${what} is ${expected.slice(0, 3)}`, async () => {
    for (const path of paths) {
      const got = await problem(call(path));
      statuses.push(got);
      assert.equal(got, expected, path.slice(0, 99));
    }
  });

  test("another method is 405, with those that are allowed", async () => {
    for (const [path, methods, allow] of [["/v1/orders", ["PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"], ["GET", "HEAD", "POST"]],
      [NOBODYS, ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"], ["GET", "HEAD"]]] as const)
      for (const method of methods) {
        const answer = await call(path, { method });
        assert.deepEqual(answer.headers.get("allow")?.split(",").sort(), [...allow], `${method} ${path}`);
        statuses.push(await problem(answer));
        assert.equal(statuses.at(-1), "405 method-not-allowed");
      }
  });

  test("a URL that is too long is 414, which the local runtime sees to", async () => {
    for (const path of [`/v1/orders?${"x".repeat(70_000)}`, `/v1/orders/${"x".repeat(70_000)}`]) assert.equal((await call(path)).status, 414);
    assert.equal((await call(`/v1/orders?${"x".repeat(60_000)}`)).status, 200);
    assert.equal(await problem(call(`/v1/orders/${"x".repeat(60_000)}`)), "400 bad-request");
  });

  test("none of that was stored, and every kind of refusal was seen", async (t) => {
    t.diagnostic(`by status: ${counted(statuses)}`);
    assert.deepEqual([...new Set(statuses)].sort(), [BAD, "404 no-such-order", "404 not-found", "405 method-not-allowed", LARGE, TYPE, WRONG]);
    assert.equal((await list()).length, already + 4, "the four that were right");
    assert.deepEqual(stack.logs.filter((line) => line.includes('"level":"error"') || /trap|panic/i.test(line)), []);
  });
});

describe("the internal Worker", () => {
  const orders = async () => (await stack.env("gateway")).ORDERS;
  const message = (more: object = {}) => JSON.stringify({ v: 1, caller: ALICE, traceparent: "", request_id: "", operation: "latest", ...more });

  test("has no address, and answers no HTTP", async () => {
    assert.deepEqual([...stack.urls.keys()], ["gateway", "access"]);
    for (const path of ["/", "/v1/orders", "/call"]) assert.equal((await stack.fetch("orders", path)).status, 404);
    await assert.rejects(async () => (await stack.rpc("orders")).call(message()), "its default entrypoint has no methods");
  });
  test("can be told one thing over its binding, and nothing else", async () => {
    assert.deepEqual(Object.keys(JSON.parse(await (await orders()).call(message()))), ["orders"]);
    for (const method of ["fault", "perform", "reset", "constructor_", "__wbg_reset_state", "alarm", "queue"])
      await assert.rejects(async () => (await orders())[method](message()), method);
    await assert.rejects(async () => (await orders()).fetch("http://orders/"));
  });
  test("says so when it does not understand: another version, a later operation, no call at all", async () => {
    for (const text of [message({ v: 2 }), message({ v: undefined }), message({ operation: "cancel" }), message({ operation: { find: "x" } }),
      message({ operation: { place: { sku: "", quantity: 1 } } }), message({ caller: undefined }), "null", "", "[".repeat(10_000),
      undefined, null, 7, {}, [message()]])
      assert.equal(await (await orders()).call(text), '"not-understood"', String(text).slice(0, 99));
  });

  const FAULTS: [string, string, RegExp][] = [
    ["fails", "outcome-unknown", /"cause":"[^"]*provoked at orders/],
    ["panics", "restarted", /"cause":"[^"]*RESTARTED: it panicked/],
    ["traps", "restarted", /"cause":"[^"]*RESTARTED: wasm trapped/],
  ];
  for (const [what, code, cause] of FAULTS) test(`POST /v1/orders is 503 when it ${what}, and the next one is 201`, async () => {
    const lines = stack.logs.length;
    await (await stack.rpc("faults")).arm("orders", what.slice(0, -1));
    const answer = await place();
    assert.equal(answer.headers.get("retry-after"), null, "an order may have been placed: not to be sent again blindly");
    const text = await answer.clone().text();
    assert.equal(await problem(answer), `503 ${code}`);
    assert.ok(!/provoked|RESTARTED|panic|trap|wasm/.test(text), text);
    const id = answer.headers.get("x-request-id");
    assert.match(await stack.logged(new RegExp(`"event":"request".*"request_id":"${id}"`)), cause);
    assert.equal((await place()).status, 201);
    if (code === "restarted") assert.ok(stack.logs.slice(lines).some((line) => /provoked at orders|wasm trap/.test(line)), "its own Worker says why");
  });

  for (const what of ["fail", "panic", "trap"]) test(`a ${what} beside many calls loses nothing that was acknowledged`, async (t) => {
    const as = await team.token({ claims: { common_name: `${what}.access` } });
    await (await stack.rpc("faults")).arm("orders", what);
    const answers = await Promise.all(Array.from({ length: 40 }, () => place({}, { as }))), kept: string[] = [], lost: string[] = [];
    for (const answer of answers) {
      if (answer.status === 201) kept.push((await answer.json() as any).id);
      else lost.push(await problem(answer));
    }
    t.diagnostic(`${kept.length} x 201, ${counted(lost)}`);
    if (what === "trap") assert.ok(lost.length >= 1 && lost.every((one) => one === "503 restarted"));
    else assert.deepEqual(lost, [what === "fail" ? "503 outcome-unknown" : "503 restarted"]);
    const stored = new Set((await list(as)).map((order) => order.id));
    assert.deepEqual(kept.filter((id) => !stored.has(id)), []);
  });

  test("POST /v1/orders is 503 when its database fails, and the cause stays in the log", async () => {
    const { DB } = await stack.env("orders");
    await DB.prepare("ALTER TABLE orders RENAME TO elsewhere").run();
    try {
      for (const [answering, code] of [[place(), "outcome-unknown"], [call("/v1/orders"), "unavailable"], [call(NOBODYS), "unavailable"]] as const) {
        const answer = await answering, text = await answer.clone().text();
        assert.equal(await problem(answer), `503 ${code}`);
        assert.ok(!/table|D1|SQL/i.test(text), text);
        assert.match(await stack.logged(new RegExp(`"event":"request".*"request_id":"${answer.headers.get("x-request-id")}"`)), /no such table/);
      }
    } finally {
      await DB.prepare("ALTER TABLE elsewhere RENAME TO orders").run();
    }
    assert.equal((await place()).status, 201);
  });

  test("both Workers' log lines name the same request, trace and caller, and nothing secret", async () => {
    const trace = "0af7651916cd43dd8448eb211c80319c";
    const answer = await place({ note: "a secret note" }, { as: BOB, headers: { traceparent: `00-${trace}-b7ad6b7169203331-01` } });
    const id = answer.headers.get("x-request-id")!;
    await stack.logged(new RegExp(`"event":"request".*"request_id":"${id}"`));
    await sleep(100);
    const lines = stack.logs.filter((line) => line.includes(id)).map((line) => JSON.parse(line));
    const said = lines.map(({ ms, request_id, ...line }) => line).sort((a, b) => a.event.localeCompare(b.event));
    assert.deepEqual(said, [
      { level: "info", event: "request", status: 201, method: "POST", route: "/v1/orders", caller: BOB, trace_id: trace },
      { level: "info", event: "rpc", status: 200, operation: "place", caller: BOB, trace_id: trace },
    ]);
    assert.deepEqual(stack.logs.filter((line) => /eyJ|a secret note|for my eyes/.test(line)), []);
  });
});

describe("an internal Worker of another version", () => {
  let other: Stack, folder: string;
  // It answers what the order's note says.
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "other-orders-"));
    writeFileSync(join(folder, "wrangler.toml"), 'name = "other-orders"\nmain = "index.js"\nno_bundle = true\ncompatibility_date = "2026-11-17"\n');
    writeFileSync(join(folder, "index.js"), `
      import { WorkerEntrypoint } from "cloudflare:workers";
      export default {};
      export class Orders extends WorkerEntrypoint {
        call(message) {
          const { operation: { place: { note } } } = JSON.parse(message);
          if (note === "hang") return new Promise((done) => setTimeout(done, 20_000));
          if (note.startsWith("throw ")) throw new Error(note);
          return note.startsWith("eval ") ? JSON.parse(note.slice(5)) : note;
        }
      }`);
    const [gateway] = specsOf(readPattern("machine-gateway"));
    const orders = { id: "other", config: join(folder, "wrangler.toml") };
    other = await startWorkers([{ ...gateway, vars: team.vars, bind: { ORDERS: "other#Orders" } }, orders]);
  });
  after(async () => { await other?.close(); rmSync(folder, { recursive: true, force: true }); });

  test("POST /v1/orders is 503 when the two do not understand each other", async () => {
    for (const note of ['"not-understood"', '"queued"', '{"orders":[]}', '"order"', '{"order":{"id":7}}', "not JSON", "eval null", "eval 7", "eval {}", "throw secret", "throw RESTART"]) {
      const answer = await place({ note }, { on: other }), text = await answer.clone().text();
      const nothingDone = note === '"not-understood"';
      assert.equal(answer.headers.get("retry-after"), nothingDone ? "1" : null, note);
      assert.equal(await problem(answer), nothingDone ? "503 unavailable" : "503 outcome-unknown", note);
      assert.ok(!text.includes("secret"), text);
    }
    await other.logged(/"cause":"[^"]*throw secret/);
  });
  test("POST /v1/orders is 503 when it does not answer in time", async () => {
    const from = performance.now();
    assert.equal(await problem(await place({ note: "hang" }, { on: other })), "503 outcome-unknown");
    assert.ok(performance.now() - from < 7000);
  });
  test("POST /v1/orders is 201 when it answers with more than is known here", async () => {
    const order = { id: "1", sku: "A-1", quantity: 1, created_at: "2026-11-17T00:00:00.000Z" };
    const answer = await place({ note: JSON.stringify({ order: { ...order, priority: 1 } }) }, { on: other });
    assert.deepEqual(await json(Promise.resolve(answer), 201), order);
  });
});
