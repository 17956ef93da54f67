// What a room forgets, and what that does to numbers.
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startPattern } from "../../../tests/harness/pattern.ts";
import { Client, history, type Person, signIn } from "./client.ts";

const pattern = join(import.meta.dirname, ".."), worker = basename(pattern);
type Stack = Awaited<ReturnType<typeof startPattern>>;
const seqs = (events: any[]) => events.map(({ seq }) => seq);
const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe("by number", () => {
  let stack: Stack;
  before(async () => { stack = await startPattern(pattern, { inspect: true, vars: { RETENTION_EVENTS: "20" } }); });
  after(() => stack.close());

  test("only the last ones are served, the rest is a gap, and numbers go on", async () => {
    const ann = await Client.join(stack, "count", "ann");
    for (let i = 1; i <= 30; i++) await ann.send(`${i}`);
    assert.deepEqual(seqs(await history(stack, "count", ann.person)), upTo(11, 30));
    for (const [seen, gap, first] of [[0, true, 11], [9, true, 11], [10, false, 11], [25, false, 26]] as const) {
      const bob = await Client.join(stack, "count", "bob", seen);
      assert.deepEqual([bob.welcome.gap, bob.welcome.oldest, bob.welcome.seq], [gap, 11, 30], `seen ${seen}`);
      await bob.hears({ type: "message", seq: 30 });
      assert.deepEqual(seqs(bob.heard.filter(({ type }) => type === "message")), upTo(first, 29));
      bob.close();
    }
    assert.equal(await ann.send("31"), 31);
  });

  test("what is not served any more is deleted, a hundred at a time, also when the room has slept meanwhile; then a command is new again", async () => {
    const people = await Promise.all(Array.from({ length: 6 }, (_, i) => Client.join(stack, "many", `p${i}`)));
    for (const _ of [1, 2]) assert.equal(await people[0].send("0", "c-0"), 1);
    for (let i = 1; i < 199; i++) await people[i % 6].send(`${i}`, `c-${i}`);
    await stack.evict(worker, "Room", { name: "many" });
    assert.equal(await people[0].send("200"), 200);
    const [{ lowest, count }] = await stack.sql(worker, "Room", { name: "many" }, "SELECT min(seq) AS lowest, count(*) AS count FROM events");
    assert.deepEqual([lowest, count], [181, 20]);
    assert.equal(await people[0].send("0", "c-0"), 201);
  });
});

describe("by age", () => {
  let stack: Stack;
  before(async () => { stack = await startPattern(pattern, { faults: true, inspect: true, vars: { RETENTION_SECONDS: "2" } }); });
  after(() => stack.close());
  const events = (room: string) => stack.sql(worker, "Room", { name: room }, "SELECT count(*) AS n FROM events");
  const tables = async (room: string) => (await stack.sql(worker, "Room", { name: room }, "SELECT name FROM sqlite_master WHERE name IN ('room', 'events', 'bans', 'present')")).length;
  const eventually = async (what: string, is: () => Promise<boolean>, ms = 8000) => {
    for (const end = Date.now() + ms; !(await is()); await sleep(100)) if (Date.now() > end) assert.fail(`never: ${what}`);
  };

  test("an old event is neither served nor, once the alarm rang, kept; numbers go on, and who was there stays", async () => {
    const ann = await Client.join(stack, "old", "ann");
    assert.equal(await ann.send("hi"), 1);
    await sleep(2100);
    assert.deepEqual(await history(stack, "old", ann.person), []);
    const bob = await Client.join(stack, "old", "bob", 0);
    assert.deepEqual([bob.welcome.gap, bob.welcome.seq, bob.welcome.oldest], [true, 1, 2]);
    await eventually("the event is deleted", async () => (await events("old"))[0].n === 0);
    await stack.evict(worker, "Room", { name: "old" });
    assert.equal(await ann.send("ho"), 2);
    assert.equal((await ann.hello(1, ann.welcome.epoch)).gap, false);
  });

  test("an abandoned room leaves nothing, and begins anew with another epoch and another owner", async () => {
    const ann = await Client.join(stack, "left", "ann");
    await ann.send("hi");
    assert.equal(await tables("left"), 4);
    ann.close();
    await ann.closes();
    await eventually("the room is gone", async () => (await tables("left")) === 0);
    const bob = await Client.join(stack, "left", "bob", 1, ann.welcome.epoch);
    assert.notEqual(bob.welcome.epoch, ann.welcome.epoch);
    assert.deepEqual([bob.welcome.gap, bob.welcome.seq, bob.welcome.you.role], [true, 0, "owner"]);
    assert.equal(await bob.send("new"), 1);
  });

  test("a room that somebody is in is not abandoned, however long nobody speaks", async () => {
    const ann = await Client.join(stack, "quiet", "ann");
    await sleep(4500);
    assert.equal((await ann.hello(0, ann.welcome.epoch)).gap, false);
  });

  test("looking leaves no trace: neither history, nor a socket that says nothing", async () => {
    const ann = await signIn(stack, "ann");
    assert.deepEqual(await history(stack, "unseen", ann), []);
    const silent = await Client.connect(stack, "unseen", ann);
    silent.say({ type: "typing" });
    await silent.hears({ type: "error", code: "hello_first" });
    assert.equal(await tables("unseen"), 0);
  });

  test("an alarm that fails is tried again; until then nothing old is served", async () => {
    const faults = await stack.rpc("faults");
    await faults.arm("room-alarm", "fail");
    const ann = await Client.join(stack, "alarm", "ann");
    await ann.send("hi");
    await sleep(2100);
    assert.deepEqual(await history(stack, "alarm", ann.person), []);
    await eventually("the event is deleted", async () => (await events("alarm"))[0].n === 0);
  });
});
