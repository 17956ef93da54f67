// What enters a Worker beside requests: RPC, queues, schedules; and the door through which tests provoke faults.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Stack } from "../../../tests/harness/stack.ts";
import { problem, startProbe } from "./probe.ts";

const JOBS = "edge-http-probe-jobs";
let stack: Stack;
const call = async (path: string): Promise<any> => (await stack.fetch("caller", path)).json();
const arm = async (point: string, fault: string) => (await stack.rpc("faults")).arm(point, fault);

before(async () => { stack = await startProbe({ faults: true }); });
after(() => stack?.close());

describe("RPC", () => {
  test("a listed function is called, and has the Worker's bindings", async () => {
    assert.equal(await call("/RPC/shout/hello"), "HELLO true");
    assert.equal(await call("/RPC/attemptSync/fine"), "went well");
  });
  test("an object's listed method is called, beside its fetch", async () => {
    assert.deepEqual([await call("/object/rpc/add/2"), await call("/object/rpc/add/3")], [2, 5]);
    assert.equal((await call("/room/rpc/see")).memory, 5);
  });
  test("what is not listed nobody can call: neither there, nor on the default entrypoint, nor on an object", async () => {
    for (const path of ["/RPC/secret", "/PROBE/secret", "/PROBE/shout/x", "/PROBE/attempt/x", "/object/rpc/unlisted"])
      assert.match((await call(path)).message, /does not implement the method/, path);
  });
  test("an ordinary error reaches the caller as it is", async () => {
    assert.match((await call("/RPC/attempt/err")).message, /^(Error: )?ordinary error/);
  });
});

describe("queue and schedule", () => {
  test("a batch is consumed and each message acknowledged", async () => {
    const { outcome, explicitAcks } = await stack.queue("probe", JOBS, ["one", "two"]);
    assert.deepEqual([outcome, explicitAcks], ["ok", ["m0", "m1"]]);
  });
  test("a schedule fires", async () => {
    assert.equal((await stack.scheduled("probe", "0 0 1 1 *")).outcome, "ok");
  });
  test("a batch that traps in the middle is delivered again", { timeout: 60_000 }, async () => {
    await arm("queue", "trap");
    for (const message of ["sent one", "fault in the middle", "sent two"]) await stack.fetch("probe", `/enqueue/${encodeURIComponent(message)}`);
    await stack.logged("acknowledged sent two");
    await stack.logged("acknowledged fault in the middle");
    // The local broker ignores acknowledgements of a batch that ended in an exception (they are reported, see failure.test.ts),
    // so how often the first one came is not for us to say.
  });
});

test("an object whose waitUntil panics is built anew, since its memory may be half changed", async () => {
  const seen = async (verb: string) => (await stack.fetch("probe", `/room/waits/${verb}`)).json() as Promise<any>;
  await seen("hit");
  assert.equal((await seen("wait/panic")).memory, 1001);
  await stack.logged("on purpose");
  await sleep(50);
  const { memory, stored } = await seen("see");
  assert.deepEqual([memory, stored], [0, 1]);
});

describe("the door for faults", () => {
  const answer = () => stack.fetch("probe", "/fault");

  test("nothing happens until a test arms a fault", async () => {
    assert.equal(await (await answer()).text(), "no fault");
  });
  test("a panic fails the request that met it, and no other", async () => {
    const beside = stack.fetch("probe", "/slow/200");
    await arm("probe", "panic");
    await problem(answer(), 500, "internal");
    await stack.logged("provoked at probe");
    assert.equal((await answer()).status, 200);
    assert.equal((await beside).status, 200);
  });
  test("a trap ends the instance, and the next request finds a new one", async () => {
    const beside = stack.fetch("probe", "/slow/5000");
    await arm("probe", "trap");
    await problem(answer(), 500, "internal");
    await problem(beside, 500, "internal");
    assert.equal((await answer()).status, 200);
  });
  test("a call fails", async () => {
    await arm("probe", "fail");
    const refused = await answer();
    assert.equal(refused.headers.get("retry-after"), "1");
    const { detail } = await problem(refused, 503, "unavailable");
    assert.ok(!detail.includes("provoked"));
    assert.equal((await answer()).status, 200);
  });
  test("without the stand-in there is no door", async () => {
    const production = await startProbe();
    try { assert.equal(await (await production.fetch("probe", "/fault")).text(), "no fault"); } finally { await production.close(); }
  });
});
