// What a caller who is let in can do, and cannot: bad input, other callers' orders, and an internal Worker that fails.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { readPattern, specsOf, startWorkers } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { counted, problem, send } from "./gate.ts";
import { identity, otherOrders } from "./inside.ts";
import { ALICE, BOB, startWith, Team, varsOf } from "./team.ts";

const NOBODYS = "/v1/orders/00000000-0000-0000-0000-000000000000";
let team: Team, stack: Stack, tokens: Record<string, string>;
before(async () => {
  team = await Team.start();
  stack = await startWith(team, { faults: true, clients: [ALICE, BOB, "many.access", "fail.access", "panic.access", "trap.access"] });
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
  });

  test("GET /v1/orders gives each of the caller's orders once, newest first, page by page, while others are placed", async () => {
    const as = await team.token({ claims: { common_name: "many.access" } }), { DB } = await stack.env("orders");
    // Five in each millisecond, so that pages also end within one.
    const insert = DB.prepare("INSERT INTO orders (id, caller, sku, quantity, created_at) VALUES (?1, 'many', 'A-1', 1, ?2)");
    const placed = Array.from({ length: 203 }, (_, i) => ({ id: crypto.randomUUID(), at: new Date(Date.UTC(2026, 10, 1) + Math.floor(i / 5)).toISOString() }));
    await DB.batch(placed.map(({ id, at }) => insert.bind(id, at)));
    const expected = placed.sort((a, b) => b.at.localeCompare(a.at) || a.id.localeCompare(b.id)).map(({ id }) => id);
    for (const [query, sizes] of [["", [100, 100, 3]], ["limit=100", [100, 100, 3]], ["limit=7", [...Array(29).fill(7)]]] as [string, number[]][]) {
      const got: string[] = [], pages: number[] = [];
      for (let cursor: string | null = "", path = `/v1/orders?${query}`; cursor !== null; path = `/v1/orders?${query}&cursor=${cursor}`) {
        const page: any = await json(call(path, { as }));
        assert.deepEqual(Object.keys(page), ["orders", "next_cursor"]);
        pages.push(page.orders.length);
        got.push(...page.orders.map((order: any) => order.id));
        cursor = page.next_cursor;
        if (cursor) assert.match(cursor, /^[\w-]{1,128}$/);
        if (pages.length === 1) await json(place({ note: "meanwhile" }, { as }), 201);
      }
      await DB.prepare("DELETE FROM orders WHERE note = 'meanwhile'").run();
      assert.deepEqual(pages, sizes);
      assert.deepEqual(got, expected);
    }
    const head = await call("/v1/orders", { as, method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [200, ""]);
  });

  test("GET /v1/orders with another caller's cursor is a page of one's own", async () => {
    await json(place(), 201);
    const { next_cursor } = await json(call("/v1/orders?limit=1", { as: await team.token({ claims: { common_name: "many.access" } }) }));
    for (const order of (await json(call(`/v1/orders?cursor=${next_cursor}`))).orders) assert.equal((await call(`/v1/orders/${order.id}`)).status, 200);
  });

  test("GET /v1/orders reads no more rows than it shows, and one", async () => {
    const { DB } = await stack.env("orders");
    const next = "WHERE caller = ?1 AND created_at <= ?3 AND (created_at < ?3 OR id > ?4) ORDER BY created_at DESC, id LIMIT ?2";
    assert.ok(readFileSync(join(import.meta.dirname, "../orders/src/store.rs"), "utf8").includes(next), "the statement that is measured is the one that runs");
    const { meta } = await DB.prepare(`SELECT id FROM orders ${next}`).bind("many", 11, "2026-11-01T00:00:00.010Z", "0").all();
    assert.ok(meta.rows_read <= 12, `${meta.rows_read} rows`);
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
  const [BAD, LARGE, TARGET, TYPE, WRONG, HEAD] = ["400 bad-request", "413 payload-too-large", "414 uri-too-long", "415 unsupported-media-type",
    "422 unprocessable-entity", "431 head-too-large"];
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
      "null", "x".repeat(2000)].map((id) => `/v1/orders/${id}`)],
    ["an id that nobody has", "404 no-such-order", [NOBODYS, `${NOBODYS}?x=%00%ff%zz`]],
  ];
  for (const [what, expected, paths] of PATHS) test(`GET of ${what} is ${expected.slice(0, 3)}`, async () => {
    for (const path of paths) {
      const got = await problem(call(path));
      statuses.push(got);
      assert.equal(got, expected, path.slice(0, 99));
    }
  });

  test("GET /v1/orders with a limit or a cursor that is none is 400", async () => {
    const { next_cursor: good } = await json(call("/v1/orders?limit=1"));
    const inside = Buffer.from(good, "base64url").toString(), encoded = (text: string) => Buffer.from(text).toString("base64url");
    for (const query of [...["", "0", "-1", "101", "1.5", "1e1", "x", "%00", "99999999999", "10&limit=10"].map((limit) => `limit=${limit}`),
      ...["", "x", "%00", "%ff", `${good}=`, `${good}A`, good.slice(1), good.repeat(2), "A".repeat(2000), encoded(inside.slice(0, -1)),
        encoded(inside.replace("T", "' OR 1=1--")), encoded(inside.toUpperCase().replace("A", "G")), `${good}&cursor=${good}`].map((cursor) => `cursor=${cursor}`)]) {
      statuses.push(await problem(call(`/v1/orders?${query}`)));
      assert.equal(statuses.at(-1), BAD, query.slice(0, 99));
    }
  });

  test("another method is 405, with those that are allowed", async () => {
    for (const [path, methods, allow] of [["/v1/orders", ["PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"], ["GET", "HEAD", "POST"]],
      [NOBODYS, ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"], ["GET", "HEAD"]]] as const)
      for (const method of methods) {
        const answer = await call(path, { method });
        assert.deepEqual(answer.headers.get("allow")?.split(/, ?/).sort(), [...allow], `${method} ${path}`);
        statuses.push(await problem(answer));
        assert.equal(statuses.at(-1), "405 method-not-allowed");
      }
  });

  test("a path and query of more than 2 KB is 414", async () => {
    const long = (bytes: number, path = "/v1/orders?") => path.padEnd(bytes, "x");
    for (const path of [long(2049), long(60_000), long(2049, "/v1/orders/")]) {
      statuses.push(await problem(call(path)));
      assert.equal(statuses.at(-1), TARGET);
    }
    assert.equal((await call(long(70_000))).status, 414, "which the local runtime sees to");
    assert.equal((await call(long(2048))).status, 200);
    assert.equal(await problem(call(long(2048, "/v1/orders/"))), BAD);
  });

  test("a head of more than 64 fields, or more than 16 KB, is 431", async () => {
    const fields = (count: number, bytes = 1) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, "x".repeat(bytes)]));
    for (const headers of [fields(65), fields(1, 16 << 10), fields(17, 1 << 10)]) {
      statuses.push(await problem(call("/v1/orders", { headers })));
      assert.equal(statuses.at(-1), HEAD);
    }
    for (const headers of [fields(40), fields(1, 14_000), fields(14, 1000)]) assert.equal((await call("/v1/orders", { headers })).status, 200);
  });

  test("none of that was stored, and every kind of refusal was seen", async (t) => {
    t.diagnostic(`by status: ${counted(statuses)}`);
    assert.deepEqual([...new Set(statuses)].sort(), [BAD, "404 no-such-order", "404 not-found", "405 method-not-allowed", LARGE, TARGET, TYPE, WRONG, HEAD]);
    assert.equal((await list()).length, already + 4, "the four that were right");
    assert.deepEqual(stack.logs.filter((line) => line.includes('"level":"error"') || /trap|panic/i.test(line)), []);
  });
});

describe("the internal Worker", () => {
  /** Over the service binding, as the gateway calls it. */
  const bound = async (path: string, init: RequestInit = {}) => (await stack.env("gateway")).ORDERS.fetch(`http://orders${path}`, init) as Promise<Response>;
  const asked = (identity: string | undefined, path = "/v1/orders") => bound(path, { headers: identity === undefined ? {} : { "x-machine-identity": identity } });

  test("has no address, and no method", async () => {
    assert.deepEqual([...stack.urls.keys()], ["gateway", "access", "mtls"]);
    for (const method of ["call", "purge", "fault", "perform", "reset", "constructor_", "__wbg_reset_state", "alarm", "queue"]) {
      await assert.rejects(async () => (await stack.env("gateway")).ORDERS[method]("{}"), method);
      await assert.rejects(async () => (await stack.rpc("orders"))[method]("{}"), method);
    }
  });
  test("answers whoever says who calls", async () => {
    for (const proof of ["access", "client-certificate", "http-signature", "jwt", "binding"]) {
      const answer = await asked(identity("acme", { proof }));
      assert.deepEqual([answer.status, await answer.json()], [200, { orders: [], next_cursor: null }]);
    }
  });
  test("does nothing for who does not, or in a way that it does not know, and says so with 501", async () => {
    const count = async () => (await (await stack.env("orders")).DB.prepare("SELECT count(*) AS n FROM orders").first("n"));
    const already = await count();
    for (const text of [undefined, "", "null", "acme", "[".repeat(10_000), `{"principal":${'{"a":'.repeat(2000)}`, identity("acme", { v: 2 }), identity("acme", { v: undefined }),
      identity("acme", { proof: "passkey" }), identity("acme", { delegate: "bob" }), identity("acme", { credential: "" }), identity("acme", { traceparent: 7 }),
      ...["", "-acme", "a/b", "..", "%", "x' OR '1'='1", "a".repeat(65)].map((principal) => identity(principal))]) {
      const headers: Record<string, string> = { "content-type": "application/json", ...(text !== undefined && { "x-machine-identity": text }) };
      for (const [path, method] of [["/v1/orders", "POST"], ["/v1/orders", "GET"], [NOBODYS, "GET"], ["/", "GET"], ["/v1/orders", "DELETE"]])
        assert.equal(await problem(bound(path, { method, headers, ...(method === "POST" && { body: '{"sku":"A-1","quantity":1}' }) })), "501 not-understood", `${method} ${path} ${text?.slice(0, 99)}`);
    }
    assert.equal(await count(), already);
  });

  const FAULTS: [string, RegExp][] = [["fails", /"cause":"[^"]*provoked at orders/], ["panics", /"cause":"[^"]*orders answered 500/], ["traps", /"cause":"[^"]*orders answered 500/]];
  for (const [what, cause] of FAULTS) test(`POST /v1/orders is 503 when it ${what}, and the next one is 201`, async () => {
    const lines = stack.logs.length;
    await (await stack.rpc("faults")).arm("orders", what.slice(0, -1));
    const answer = await place();
    assert.equal(answer.headers.get("retry-after"), null, "an order may have been placed: not to be sent again blindly");
    const text = await answer.clone().text();
    assert.equal(await problem(answer), "503 outcome-unknown");
    assert.ok(!/provoked|RESTARTED|panic|trap|wasm/.test(text), text);
    await stack.logged(new RegExp(`"event":"request".*${cause.source}.*"request_id":"${answer.headers.get("x-request-id")}"`));
    assert.equal((await place()).status, 201);
    assert.ok(stack.logs.slice(lines).some((line) => /provoked at orders|wasm trap/.test(line)), "its own Worker says why");
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
    if (what === "trap") assert.ok(lost.length >= 1 && lost.every((one) => one === "503 outcome-unknown"));
    else assert.deepEqual(lost, ["503 outcome-unknown"]);
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
        await stack.logged(new RegExp(`"event":"request".*no such table.*"request_id":"${answer.headers.get("x-request-id")}"`));
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
    for (const scope of ["", '"scope":.*']) await stack.logged(new RegExp(`"event":"request".*"principal":"bob".*${scope}"request_id":"${id}"`));
    const lines = stack.logs.filter((line) => line.includes(id)).map((line) => JSON.parse(line));
    const said = lines.map(({ ms, request_id, ...line }) => line).sort((a, b) => Number("scope" in a) - Number("scope" in b));
    const both = { level: "info", event: "request", status: 201, method: "POST", route: "/v1/orders", trace_id: trace, principal: "bob", credential: BOB, proof: "access" };
    assert.deepEqual(said, [both, { ...both, scope: "orders:write", outcome: "allowed" }]);
    assert.deepEqual(stack.logs.filter((line) => /eyJ|a secret note|for my eyes/.test(line)), []);
  });
});

describe("an internal Worker of another version", () => {
  let other: Stack;
  // It answers what the order's note says.
  const { spec, remove } = otherOrders(`
    export default {
      async fetch(request) {
        const { note } = await request.json();
        if (note === "hang") return new Promise((done) => setTimeout(done, 20_000));
        if (note.startsWith("throw ")) throw new Error(note);
        const [status, body] = note.split(" ");
        return new Response(body, { status, headers: { "content-type": "application/json", "x-from": "orders" } });
      }
    }`);
  before(async () => {
    const [gateway, , reports] = specsOf(readPattern("machine-gateway"));
    other = await startWorkers([{ ...gateway, vars: varsOf(team), bind: { ORDERS: "other" } }, { ...reports, bind: { ORDERS: "other" } }, spec]);
  });
  after(async () => { await other?.close(); remove(); });

  test("POST /v1/orders is 503, to be sent again, when it does not understand", async () => {
    const answer = await place({ note: '501 {"code":"not-understood"}' }, { on: other });
    assert.equal(answer.headers.get("retry-after"), "1");
    assert.equal(await problem(answer), "503 unavailable");
  });
  test("POST /v1/orders is 503, not to be sent again blindly, when it fails or does not answer in time", async () => {
    const from = performance.now();
    for (const note of ["throw secret", "throw RESTART", "500 secret", "hang"]) {
      const answer = await place({ note }, { on: other }), text = await answer.clone().text();
      assert.equal(answer.headers.get("retry-after"), null, note);
      assert.equal(await problem(answer), "503 outcome-unknown", note);
      assert.ok(!text.includes("secret"), text);
    }
    assert.ok(performance.now() - from < 7000);
    await other.logged(/"cause":"[^"]*throw secret/);
  });
  test("POST /v1/orders is what it answers, also with more than is known here", async () => {
    for (const [status, body] of [[201, '{"id":"1","priority":1}'], [202, '{"queued":7}'], [409, '{"code":"out-of-stock"}'], [503, "{}"]] as const) {
      const answer = await place({ note: `${status} ${body}` }, { on: other });
      assert.deepEqual([answer.status, answer.headers.get("x-from"), await answer.text()], [status, "orders", body]);
    }
  });
});
