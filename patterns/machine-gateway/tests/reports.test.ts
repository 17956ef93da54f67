// Reports of a caller's orders: what is added up, who sees them, and an orders Worker that fails meanwhile.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { readPattern, specsOf, startWorkers } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { problem } from "./gate.ts";
import { identity, otherOrders } from "./inside.ts";
import { ALICE, BOB, startWith, Team } from "./team.ts";

const NOBODYS = "00000000-0000-4000-8000-000000000000", UUID = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;
let team: Team, stack: Stack;
before(async () => {
  team = await Team.start();
  stack = await startWith(team, { faults: true, clients: [ALICE, BOB, "many.access"] });
});
after(async () => { await stack?.close(); await team?.down(); });

const call = async (path: string, { as = ALICE, ...init }: RequestInit & { as?: string } = {}) =>
  stack.fetch("gateway", path, { ...init, headers: { "Cf-Access-Jwt-Assertion": await team.token({ claims: { common_name: as } }), ...init.headers } });
const report = (about: unknown = {}, as = ALICE, type = "application/json") =>
  call("/v1/reports", { as, method: "POST", body: typeof about === "string" ? about : JSON.stringify(about), headers: { "content-type": type } });
/** What the entrypoint `Reports` answers, as the gateway asks it. */
const asked = async (method: "create" | "find", ...args: unknown[]) => JSON.parse(await (await stack.env("gateway")).REPORTS[method](...args));
/** Orders of a principal that are there already, [sku, quantity, created_at] each. */
async function fill(principal: string, orders: [string, number, string][]) {
  const { DB } = await stack.env("orders");
  const insert = DB.prepare("INSERT INTO orders (id, caller, sku, quantity, created_at) VALUES (?1, ?2, ?3, ?4, ?5)");
  await DB.batch(orders.map(([sku, quantity, at]) => insert.bind(crypto.randomUUID(), principal, sku, quantity, at)));
}
const stored = async () => (await (await stack.env("reports")).REPORTS.list()).objects.map((object: { key: string }) => object.key) as string[];

describe("a report", () => {
  before(() => fill("alice", [["B-2", 3, "2026-11-17T23:59:59.999Z"], ["A-1", 10_000, "2026-11-16T00:00:00.000Z"], ["B-2", 4, "2026-11-16T12:00:00.000Z"],
    ["OLD", 1, "2026-11-15T23:59:59.999Z"], ["NEW", 1, "2026-11-18T00:00:00.000Z"]]));

  test("POST /v1/reports adds up the caller's orders of the days asked for, and keeps the report", async () => {
    const made = await report({ from: "2026-11-16", to: "2026-11-17" }), document: any = await made.json();
    const { id, created_at, ...rest } = document;
    assert.deepEqual([made.status, made.headers.get("location")], [201, `/v1/reports/${id}`]);
    assert.match(id, UUID);
    assert.ok(Math.abs(Date.parse(created_at) - Date.now()) < 60_000 && /^\d{4}-\d\d-\d\dT[\d:.]{12}Z$/.test(created_at), created_at);
    assert.deepEqual(rest, { from: "2026-11-16", to: "2026-11-17", orders: 3, pieces: 10_007, truncated: false,
      skus: [{ sku: "A-1", orders: 1, pieces: 10_000 }, { sku: "B-2", orders: 2, pieces: 7 }] });
    const found = await call(`/v1/reports/${id}`);
    assert.deepEqual([found.status, await found.json()], [200, document]);
    const object = await (await stack.env("reports")).REPORTS.get(`alice/${id}`);
    assert.deepEqual([await object.json(), object.httpMetadata.contentType], [document, "application/json"]);
  });
  test("POST /v1/reports has no bound on the side that is not given, and stays what it was when orders come", async () => {
    for (const [about, skus] of [[{}, ["A-1", "B-2", "NEW", "OLD"]], [{ from: "2026-11-17" }, ["B-2", "NEW"]], [{ to: "2026-11-15" }, ["OLD"]],
      [{ from: null, to: null }, ["A-1", "B-2", "NEW", "OLD"]], [{ from: "2027-01-01" }, []]] as const) {
      const document: any = await (await report(about)).json();
      assert.deepEqual(document.skus.map(({ sku }: { sku: string }) => sku), skus, JSON.stringify(about));
      await fill("alice", [["LATER", 1, "2026-11-19T00:00:00.000Z"]]);
      assert.deepEqual(await (await call(`/v1/reports/${document.id}`)).json(), document);
      await (await stack.env("orders")).DB.prepare("DELETE FROM orders WHERE sku = 'LATER'").run();
    }
  });
  test("GET /v1/reports/{id} of another caller's report is 404, as if it were not there", async () => {
    const { id }: any = await (await report()).json();
    const [others, none] = await Promise.all([call(`/v1/reports/${id}`, { as: BOB }), call(`/v1/reports/${NOBODYS}`, { as: BOB })]);
    assert.equal(await problem(others.clone()), "404 no-such-report");
    assert.deepEqual(await others.json(), await none.json());
    assert.equal(((await (await report({}, BOB)).json()) as any).orders, 0);
  });
  test("POST /v1/reports of more orders than it asks for says that it is truncated, and is of the latest", async () => {
    const at = (i: number) => new Date(Date.UTC(2026, 0, 1) + i * 1000).toISOString();
    await fill("many", Array.from({ length: 2001 }, (_, i) => [i ? "A-1" : "OLDEST", 1, at(i)]));
    const pages = (lines: number) => stack.logs.slice(lines).filter((line) => /"event":"request".*"principal":"many"/.test(line) && !line.includes('"scope"')).length;
    for (const [about, orders, truncated, asked] of [[{}, 2000, true, 20], [{ from: "2026-01-02" }, 0, false, 1]] as const) {
      const lines = stack.logs.length, made: any = await (await report(about, "many.access")).json();
      assert.deepEqual([made.orders, made.truncated], [orders, truncated]);
      assert.ok(!made.skus.some(({ sku }: { sku: string }) => sku === "OLDEST"));
      await stack.logged(/"event":"rpc".*"principal":"many"/);
      assert.equal(pages(lines), asked, "pages");
    }
    await (await stack.env("orders")).DB.prepare("DELETE FROM orders WHERE sku = 'OLDEST'").run();
    const made: any = await (await report({}, "many.access")).json();
    assert.deepEqual([made.orders, made.truncated], [2000, false]);
  });
  test("POST /v1/reports with anything else is refused, and nothing is stored", async () => {
    const already = await stored();
    for (const about of [{ from: "2026-11-18", to: "2026-11-17" }, { from: "2026-02-29" }, { to: "17.11.2026" }, { from: 7 }, { from: "2026-11-17T00:00:00Z" },
      { since: "2026-11-17" }, { principal: BOB }, [], ["2026-11-17", "2026-11-18"], null, '{"from":"2026-11-17","from":"2026-11-18"}'])
      assert.equal(await problem(report(about)), "422 unprocessable-entity", JSON.stringify(about));
    assert.equal(await problem(report("")), "400 bad-request");
    assert.equal(await problem(report("{}", ALICE, "text/plain")), "415 unsupported-media-type");
    for (const id of ["x", "..%2f..", NOBODYS.toUpperCase().replace("8", "A"), `bob%2f${NOBODYS}`]) assert.equal(await problem(call(`/v1/reports/${id}`)), "400 bad-request", id);
    for (const [path, method] of [["/v1/reports", "GET"], ["/v1/reports", "DELETE"], [`/v1/reports/${NOBODYS}`, "PUT"]])
      assert.equal(await problem(call(path, { method })), "405 method-not-allowed");
    assert.deepEqual(await stored(), already);
  });
});

describe("the reports Worker", () => {
  test("has no address, answers no HTTP, and has two methods", async () => {
    assert.ok(!stack.urls.has("reports"));
    for (const path of ["/", "/v1/reports", "/create"]) assert.equal((await stack.fetch("reports", path)).status, 404);
    for (const method of ["put", "get", "make", "fault", "constructor_", "__wbg_reset_state"])
      await assert.rejects(async () => (await stack.env("gateway")).REPORTS[method](identity("acme"), "{}"), method);
    await assert.rejects(async () => (await stack.env("gateway")).REPORTS.fetch("http://reports/"));
    await assert.rejects(async () => (await stack.rpc("reports")).create(identity("acme"), "{}"), "its default entrypoint has no methods");
  });
  test("says so when it does not understand, and has done nothing", async () => {
    const already = await stored();
    for (const who of [undefined, null, 7, {}, "", "acme", identity("-acme"), identity("a/b"), identity("acme", { v: 2 }), identity("acme", { delegate: "bob" })]) {
      assert.equal(await asked("create", who, "{}"), "not-understood", String(who));
      assert.equal(await asked("find", who, NOBODYS), "not-understood", String(who));
    }
    for (const what of [undefined, null, 7, {}, "", "null", '{"since":"2026-11-17"}', '{"from":"2026-11-18","to":"2026-11-17"}'])
      assert.equal(await asked("create", identity("acme"), what), "not-understood", String(what));
    for (const id of [undefined, null, 7, "", "x", `../${NOBODYS}`, `${NOBODYS}/`]) assert.equal(await asked("find", identity("acme"), id), "not-understood", String(id));
    assert.deepEqual(await stored(), already);
    assert.equal(await asked("find", identity("acme"), NOBODYS), "no-such-report");
  });
  test("passes the identity on, and the log lines of all three name the same request and trace", async () => {
    const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    const made = await call("/v1/reports", { method: "POST", body: "{}", headers: { "content-type": "application/json", traceparent: `00-${trace}-b7ad6b7169203331-01` } });
    const id = made.headers.get("x-request-id")!;
    for (const event of ['"route":"/v1/reports"', '"route":"/v1/orders"', '"event":"rpc"']) await stack.logged(new RegExp(`${event}.*"request_id":"${id}"`));
    const lines = stack.logs.filter((line) => line.includes(id)).map((line) => JSON.parse(line)).filter((line) => !("scope" in line));
    const said = lines.map(({ ms, request_id, ...line }) => line).sort((a, b) => a.event.localeCompare(b.event));
    const who = { level: "info", principal: "alice", credential: ALICE, proof: "access", trace_id: trace };
    assert.deepEqual(said, [{ ...who, event: "request", status: 200, method: "GET", route: "/v1/orders" }, { ...who, event: "rpc", status: 200, method: "create" }]);
  });

  for (const what of ["fail", "panic", "trap"]) test(`POST /v1/reports is 503 on a ${what} before the report is stored, and the next one is 201`, async () => {
    const already = await stored();
    await (await stack.rpc("faults")).arm("reports", what);
    const answer = await report(), text = await answer.clone().text();
    assert.equal(await problem(answer), what === "fail" ? "503 outcome-unknown" : "503 restarted");
    assert.ok(!/provoked|RESTARTED|panic|trap|wasm/.test(text), text);
    assert.deepEqual(await stored(), already);
    assert.equal((await report()).status, 201);
  });
  test("POST /v1/reports is 503 when the orders cannot be read, and nothing is stored", async () => {
    const { DB } = await stack.env("orders"), already = await stored();
    await DB.prepare("ALTER TABLE orders RENAME TO elsewhere").run();
    try {
      assert.equal(await problem(report()), "503 outcome-unknown");
    } finally {
      await DB.prepare("ALTER TABLE elsewhere RENAME TO orders").run();
    }
    assert.deepEqual(await stored(), already);
  });
});

describe("reports before an orders Worker of another version", () => {
  let other: Stack;
  // It answers what the principal says.
  const { spec, remove } = otherOrders(`
    const order = { id: "1", sku: "A-1", quantity: 2, created_at: "2026-11-17T00:00:00.000Z", priority: 1 };
    export default {
      async fetch(request) {
        const { principal } = JSON.parse(request.headers.get("x-machine-identity"));
        if (principal === "hang") return new Promise((done) => setTimeout(done, 20_000));
        if (principal === "endless") return Response.json({ orders: [order], next_cursor: "again" });
        return principal === "old" ? Response.json({ orders: [order] }) : new Response(principal, { status: Number(principal) });
      }
    }`);
  before(async () => {
    const reports = specsOf(readPattern("machine-gateway")).find(({ id }) => id === "reports")!;
    other = await startWorkers([{ ...reports, bind: { ORDERS: "other" } }, spec,
      { ...spec, id: "caller", name: "caller", bind: { REPORTS: "reports#Reports" } }]);
  });
  after(async () => { await other?.close(); remove(); });
  const create = async (principal: string) => JSON.parse(await (await other.env("caller")).REPORTS.create(identity(principal), "{}"));

  test("reads a list that knows no pages", async () => {
    const { report } = await create("old");
    assert.deepEqual([report.orders, report.pieces, report.truncated], [1, 2, false]);
  });
  test("passes on that it is not understood", async () => assert.equal(await create("501"), "not-understood"));
  test("ends with pages that do not end", async () => {
    const { report } = await create("endless");
    assert.deepEqual([report.orders, report.truncated], [20, true]);
  });
  test("fails on an answer that is none, and on one that does not come in time", async () => {
    const from = performance.now();
    for (const principal of ["200", "404", "500", "503"]) await assert.rejects(create(principal), principal);
    await assert.rejects(create("hang"), /in time/);
    assert.ok(performance.now() - from < 12_000);
  });
});
