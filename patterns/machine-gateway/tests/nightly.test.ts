// What happens at night: orders past their retention are deleted, some at a time, and nothing else.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { readPattern, specsOf, startPattern, startWorkers } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { otherOrders } from "./inside.ts";

const DAY = 24 * 3600 * 1000, CRON = "0 3 * * *";
let stack: Stack;
before(async () => { stack = await startPattern("machine-gateway", { faults: true }); });
after(() => stack?.close());
afterEach(async () => { await (await db()).prepare("DELETE FROM orders").run(); });

const db = async () => (await stack.env("orders")).DB;
async function place(count: number, age: number) {
  const at = new Date(Date.now() - age).toISOString();
  const SQL = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
    INSERT INTO orders (id, caller, sku, quantity, created_at) SELECT lower(hex(randomblob(16))), 'acme', 'A-1', i, ?1 FROM n`;
  await (await db()).prepare(SQL).bind(at, count).run();
}
const left = async (): Promise<number> => (await db()).prepare("SELECT count(*) AS n FROM orders").first("n");
/** One night, and what it wrote to the log. */
async function night(on = stack) {
  const lines = on.logs.length, isThere = () => on.logs.slice(lines).some((line) => line.includes('"event":"scheduled"'));
  assert.equal((await on.scheduled("nightly", CRON)).outcome, "ok");
  for (const end = Date.now() + 5000; !isThere() && Date.now() < end;) await sleep(20);
  const said = on.logs.slice(lines).filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  return { runs: said.filter((line) => line.event === "scheduled"), calls: said.filter((line) => line.event === "rpc") };
}
const message = (more: object = {}) => JSON.stringify({ v: 1, retention_days: 400, traceparent: "", request_id: "", ...more });
const purge = async (text: unknown) => JSON.parse(await (await stack.env("nightly")).ORDERS.purge(text));

test("what is older than 400 days is deleted, and what is younger stays", async () => {
  await place(3, 401 * DAY);
  await place(2, 399 * DAY);
  await place(1, 0);
  const { runs: [run, ...more], calls } = await night();
  assert.deepEqual([run.status, run.deleted, run.more, more], [200, "3", "false", []]);
  assert.deepEqual(calls.map(({ method, status, deleted, request_id, trace_id }) => [method, status, deleted, request_id, trace_id]),
    [["purge", 200, "3", run.request_id, run.trace_id]], "both log lines name the same run");
  assert.equal(await left(), 3);
});

test("many are deleted some at a time, and a second run the same night finds nothing", async () => {
  await place(1203, 500 * DAY);
  await place(1, 0);
  const first = await night();
  assert.deepEqual([first.runs[0].deleted, first.runs[0].more, first.calls.map((call) => call.deleted)], ["1203", "false", ["500", "500", "203"]]);
  const again = await night();
  assert.deepEqual([again.runs[0].deleted, again.runs[0].more, await left()], ["0", "false", 1]);
});

test("a night deletes 10,000 at most, says that there are more, and the next night goes on", async () => {
  await place(10_250, 500 * DAY);
  const { runs: [run], calls } = await night();
  assert.deepEqual([run.status, run.deleted, run.more, calls.length, await left()], [200, "10000", "true", 20, 250]);
  assert.deepEqual([(await night()).runs[0].deleted, await left()], ["250", 0]);
});

for (const what of ["fail", "panic", "trap"]) test(`a ${what} in the orders Worker is in the log, and the rest is the next night's work`, async () => {
  await place(700, 500 * DAY);
  await (await stack.rpc("faults")).arm("purge", what);
  const { runs: [run] } = await night();
  assert.deepEqual([run.level, run.status, run.deleted], ["error", 503, "0"]);
  assert.match(run.cause, what === "fail" ? /provoked at purge/ : /RESTARTED/);
  assert.deepEqual([(await night()).runs[0].deleted, await left()], ["700", 0]);
});

test("a purge that is not understood deletes nothing, and one that keeps too little is not understood", async () => {
  await place(1, 3000 * DAY);
  for (const text of [undefined, null, 7, {}, "", "null", message({ v: 2 }), message({ v: undefined }), message({ retention_days: 29 }), message({ retention_days: 0 }),
    message({ retention_days: -1 }), message({ retention_days: "400" }), message({ retention_days: undefined }), message({ principal: "acme" })])
    assert.equal(await purge(text), "not-understood", String(text));
  assert.equal(await left(), 1);
  assert.deepEqual(await purge(message({ retention_days: 3000 })), { purged: { deleted: 1, more: false } });
});

test("the two Workers have no address, and nobody but nightly may purge", async () => {
  assert.ok(!stack.urls.has("nightly") && !stack.urls.has("orders"));
  assert.equal((await stack.fetch("nightly", "/")).status, 404);
  for (const binding of [(await stack.env("gateway")).ORDERS, (await stack.env("reports")).ORDERS]) await assert.rejects(async () => binding.purge(message()));
  await assert.rejects(async () => (await stack.env("nightly")).ORDERS.fetch("http://orders/v1/orders"));
});

test("a retention that is none, and an orders Worker that does not understand, fail the run and delete nothing", async () => {
  const { spec, remove } = otherOrders(`
    import { WorkerEntrypoint } from "cloudflare:workers";
    export default {};
    export class Maintenance extends WorkerEntrypoint { purge() { return this.env.ANSWER; } }`);
  const nightly = specsOf(readPattern("machine-gateway")).find(({ id }) => id === "nightly")!;
  try {
    for (const [days, answer, cause] of [["0", "", /RETENTION_DAYS/], ["a year", "", /RETENTION_DAYS/], ["400", '"not-understood"', /does not understand/],
      ["400", '{"queued":7}', /not understood/], ["400", '{"purged":{"deleted":1,"more":true}}', undefined]] as const) {
      const other = await startWorkers([{ ...nightly, vars: { RETENTION_DAYS: days }, bind: { ORDERS: "other#Maintenance" } },
        { ...spec, vars: { ANSWER: answer } }]);
      try {
        const { runs: [run] } = await night(other);
        if (cause) assert.match(run.cause, cause);
        assert.deepEqual([run.status, run.deleted], cause ? [503, "0"] : [200, "20"]);
      } finally {
        await other.close();
      }
    }
  } finally {
    remove();
  }
});
