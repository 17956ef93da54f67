// The object that admits a name once: called as the gateway calls it, over RPC.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startPattern } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { counted } from "./gate.ts";

let stack: Stack, namespace: any, principal: string, count = 0;
before(async () => { stack = await startPattern("machine-gateway", { faults: true, inspect: true }); });
after(() => stack?.close());
beforeEach(async () => {
  namespace = (await stack.env("gateway")).NONCES;
  principal = `principal-${count++}`;
});

/** A stub of its own for each call, as in the gateway. */
const admit = async (name: string, { of = principal, now = Date.now(), until = now + 60_000 }: { of?: string; now?: number; until?: number } = {}): Promise<boolean> =>
  namespace.get(namespace.idFromName(of)).admit(name, until, now);
const outcome = (...call: Parameters<typeof admit>) => admit(...call).then(String, () => "refused");
const arm = async (how: string) => (await stack.rpc("faults")).arm("nonces", how);
const query = (sql: string, ...args: unknown[]) => stack.sql("gateway", "Nonces", { name: principal }, sql, ...args);
const names = async () => (await query("SELECT name FROM nonces ORDER BY name")).map((row) => row.name);
async function eventually(what: string, is: () => Promise<boolean>) {
  for (const end = Date.now() + 10_000; !(await is()); await sleep(100)) assert.ok(Date.now() < end, what);
}

test("of 100 copies at once exactly one is admitted, and none later", async () => {
  assert.equal(counted(await Promise.all(Array.from({ length: 100 }, () => outcome("n")))), "99 x false, 1 x true");
  assert.equal(await admit("n"), false);
  assert.equal(await admit("another"), true);
});

test("principals do not share names", async () => {
  assert.deepEqual([await admit("n"), await admit("n", { of: `${principal}-other` })], [true, true]);
});

// Not after an eviction: what calls from Node keeps a reference, and the object is not evicted. A crash leaves no more of it.
test("a name is known after the object crashed", async () => {
  assert.equal(await admit("n"), true);
  await stack.abortObjects();
  assert.equal(await admit("n"), false);
});

test("when the object crashes in the middle of many copies, at most one is admitted and later ones are refused", async (t) => {
  const seen: string[] = [];
  for (let round = 0; round < 10; round++) {
    const copies = Array.from({ length: 50 }, () => outcome(`n-${round}`));
    await sleep(round);
    await stack.abortObjects();
    copies.push(...Array.from({ length: 10 }, () => outcome(`n-${round}`)));
    const outcomes = await Promise.all(copies), admitted = outcomes.filter((one) => one === "true").length;
    seen.push(...outcomes);
    assert.ok(admitted <= 1, `${admitted} admitted in round ${round}`);
    assert.equal(await admit(`n-${round}`), false, "it was stored before");
  }
  t.diagnostic(counted(seen));
  assert.ok(seen.includes("refused") && seen.includes("true"), "the crashes came in the middle");
});

for (const how of ["fail", "panic", "trap"]) test(`an object that ${how}s admits nobody, and the next copy is the first`, async () => {
  await arm(how);
  assert.equal(await outcome("n"), "refused");
  assert.equal(await outcome("n"), "true");
  assert.equal(await outcome("n"), "false");
});

test("a name that has expired may come again, cleared away or not, and not before", async () => {
  const now = Date.now();
  assert.equal(await admit("n", { now, until: now + 50_000 }), true);
  assert.equal(await admit("n", { now: now + 49_999 }), false);
  assert.equal(await admit("n", { now: now + 50_000, until: now + 90_000 }), true);
  assert.equal(await admit("n", { now: now + 89_999 }), false, "it is remembered for as long as it was the second time");
  assert.deepEqual(await query("SELECT until FROM nonces"), [{ until: now + 90_000 }]);
});

test("what has expired goes by itself, and what has not stays", async () => {
  const now = Date.now();
  await admit("short", { now, until: now + 500 });
  await admit("long", { now, until: now + 3_600_000 });
  assert.deepEqual(await names(), ["long", "short"]);
  await eventually("the alarm did not come", async () => !(await names()).includes("short"));
  assert.deepEqual(await names(), ["long"]);
  assert.equal(await admit("long", { now }), false);
});

test("when the last has expired the object leaves nothing behind, and begins anew", async () => {
  const now = Date.now(), tables = () => query("SELECT name FROM sqlite_master WHERE name LIKE 'nonces%'");
  await admit("n", { now, until: now + 500 });
  assert.notEqual((await tables()).length, 0);
  await eventually("the alarm did not come", async () => (await tables()).length === 0);
  assert.deepEqual([await admit("n"), await admit("n")], [true, false]);
  assert.deepEqual(await names(), ["n"]);
});

test("the alarm comes after a crash, too", async () => {
  const now = Date.now();
  await admit("short", { now, until: now + 700 });
  await stack.abortObjects();
  await admit("long", { now });
  await eventually("the alarm did not come", async () => !(await names()).includes("short"));
});

test("a name without a time is refused, and is not stored", async () => {
  assert.equal(await outcome("n", { until: NaN }), "refused");
  assert.deepEqual([await admit("n"), await admit("n")], [true, false]);
});

/** Beside what there is, as if they had been admitted; the object counts its names when it is built. */
async function fill(count: number, until: number) {
  await query("INSERT INTO nonces (name, until) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT 'n-' || i, ? FROM n", count, until);
  await stack.abortObjects();
}
test("one principal has 100,000 names at a time and no more, until they expire", async () => {
  const until = Date.now() + 5000;
  await admit("first", { until });
  await fill(99_998, until);
  assert.deepEqual([await outcome("the last"), await outcome("one more")], ["true", "refused"]);
  assert.equal(await outcome("one more", { of: `${principal}-other` }), "true");
  await eventually("the names did not expire", async () => await outcome("one more") === "true");
  assert.deepEqual(await names(), ["one more", "the last"]);
});

test("at that bound expired names are looked for every two seconds, and not at each call", async () => {
  await admit("first");
  await fill(99_999, Date.now() + 60_000);
  assert.equal(await outcome("one more"), "refused");
  await query("UPDATE nonces SET until = 1 WHERE name = 'n-1'");
  assert.equal(await outcome("one more"), "refused");
  await eventually("nobody looked", async () => await outcome("one more") === "true");
});

test("expired names do not count, though their alarm has not come yet", async () => {
  await admit("first");
  await fill(99_999, Date.now() - 1);
  assert.equal(await outcome("one more"), "true");
  assert.deepEqual([await admit("first"), await admit("one more"), await names()], [false, false, ["first", "one more"]]);
});
