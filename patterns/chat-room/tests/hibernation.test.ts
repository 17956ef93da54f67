// Idle is free: a room without traffic is not in memory, and its sockets stay open.
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { build } from "../../../tests/harness/build.ts";
import { readPattern, specsOf, startPattern, startWorkers } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { Client, PATTERN, WORKER } from "./client.ts";
import { Log } from "./log.ts";

/** The runtime lets an object that nothing happens in sleep after 10 s. */
const IDLE = 12_000;

let stack: Stack;
const log = new Log();
before(async () => { stack = await startPattern(PATTERN, { log: log.read, rateLimits: { LIMITER: 1000 } }); });
after(() => stack?.close());

const evict = (room: string) => stack.evict(WORKER, "Room", { name: room });
/** How often a room was read into memory so far, once the log had time to come. (Nobody speaks in the rooms of other tests meanwhile.) */
const opened = async () => { await sleep(200); return log.opened; };
const pings = async (...clients: Client[]) => {
  for (const client of clients) client.say("ping");
  for (const client of clients) await client.hears({ type: "pong" });
};

test("sockets stay open over evictions, pings are answered without the room, and the next message builds it once", async () => {
  const room = "evicted", ann = await Client.join(stack, room, "ann"), bob = await Client.join(stack, room, "bob");
  const before = await opened();
  for (let round = 0; round < 3; round++) {
    await evict(room);
    await pings(ann, bob);
    assert.equal(await opened(), before + round, "no ping built it");
    for (const text of ["good morning", "did you sleep well?"]) {
      const seq = await ann.send(text);
      await bob.hears({ type: "message", seq, text });
    }
    assert.equal(await opened(), before + round + 1, "the first message built it, the second found it there");
  }
});

test("a room that is pinged and otherwise left alone sleeps, with nothing of its own that keeps it awake", async () => {
  const room = "idle", ann = await Client.join(stack, room, "ann"), bob = await Client.join(stack, room, "bob");
  await ann.send("good night");
  await bob.hears({ type: "message", text: "good night" });
  const before = await opened();
  for (const end = performance.now() + IDLE; performance.now() < end; await sleep(1000)) await pings(ann, bob);
  assert.equal(await opened(), before, "no ping built it");
  const seq = await ann.send("good morning");
  await bob.hears({ type: "message", seq, text: "good morning" });
  assert.equal(await opened(), before + 1, "it slept, and the message built it");
});

test("who comes back after an eviction resumes, and the one who stayed is told nothing twice", async () => {
  const room = "resumed", ann = await Client.join(stack, room, "ann"), bob = await Client.join(stack, room, "bob");
  const first = await ann.send("one");
  await bob.hears({ type: "message", seq: first });
  bob.kill();
  await ann.hears({ type: "presence", person: { id: bob.person.id }, online: false });
  const second = await ann.send("two");
  await evict(room);
  const again = await Client.join(stack, room, bob.person, first, bob.welcome.epoch);
  assert.deepEqual([again.welcome.seq, again.welcome.gap], [second, false]);
  await again.hears({ type: "message", seq: second, text: "two" });
  await ann.hears({ type: "presence", person: { id: bob.person.id }, online: true });
  const third = await again.send("three");
  for (const client of [ann, again]) await client.hears({ type: "message", seq: third });
  assert.deepEqual([ann.events.map(({ seq }) => seq), again.events.map(({ seq }) => seq)], [[first, second, third], [second, third]]);
});

test("a socket that ends while the room sleeps is announced, and so is nobody else", async () => {
  const room = "vanished", ann = await Client.join(stack, room, "ann"), bob = await Client.join(stack, room, "bob"), eve = await Client.join(stack, room, "eve");
  const bobAgain = await Client.join(stack, room, bob.person);
  await evict(room);
  bob.kill(); // has another socket
  eve.kill();
  await ann.hears({ type: "presence", person: { id: eve.person.id, name: "eve" }, online: false });
  await ann.send("who is here?");
  assert.deepEqual(ann.heard.filter(({ type, online }) => type === "presence" && !online), []);
  const { members } = await ann.hello();
  assert.deepEqual(members.map(({ name }: { name: string }) => name).sort(), ["ann", "bob"]);

  await evict(room);
  bobAgain.kill();
  await ann.hears({ type: "presence", person: { id: bob.person.id }, online: false });
  assert.deepEqual((await ann.hello()).members.map(({ name }: { name: string }) => name), ["ann"]);
});

test("when all sockets are lost with the object, nobody is thought to be there who did not come back", async () => {
  const room = "lost", ann = await Client.join(stack, room, "ann"), bob = await Client.join(stack, room, "bob");
  const seq = await bob.send("still there?");
  await stack.abortObjects();
  assert.deepEqual((await Promise.all([ann.closes(), bob.closes()])).map(({ code }) => code), [1006, 1006]);
  const again = await Client.join(stack, room, ann.person, 0, ann.welcome.epoch);
  assert.deepEqual(again.welcome.members.map(({ name }: { name: string }) => name), ["ann"]);
  await again.hears({ type: "message", seq, text: "still there?" });
  await again.send("I am");
  assert.deepEqual(again.heard.filter(({ type, online }) => type === "presence" && online), []);
});

test("where the runtime has not told that a socket is gone, as it may not, the room notices when it wakes", async () => {
  const folder = mkdtempSync(join(tmpdir(), "deaf-")), [spec, ...others] = specsOf(readPattern(PATTERN));
  if (process.env.EDGE_BUILT !== "1") await build(spec.config);
  // The wasm is the deployed one; these events do not reach it.
  cpSync(join(PATTERN, "build"), folder, { recursive: true });
  writeFileSync(join(folder, "deaf.js"), `
    import worker, { Room as Told } from "./index.js";
    export default worker;
    export class Room extends Told { webSocketClose() {} webSocketError() {} }`);
  const deaf = await startWorkers([{ ...spec, main: join(folder, "deaf.js") }, ...others]);
  try {
    const room = "deaf", ann = await Client.join(deaf, room, "ann"), bob = await Client.join(deaf, room, "bob"), eve = await Client.join(deaf, room, "eve");
    await Client.join(deaf, room, bob.person);
    eve.kill();
    bob.kill(); // who has another socket
    await sleep(300);
    assert.deepEqual(ann.heard.filter(({ online }) => online === false), [], "nobody told the room");
    await deaf.evict(WORKER, "Room", { name: room });
    await ann.send("who is here?");
    await ann.hears({ type: "presence", person: { id: eve.person.id, name: "eve" }, online: false });
    assert.deepEqual((await ann.hello()).members.map(({ name }: { name: string }) => name).sort(), ["ann", "bob"]);
    assert.deepEqual(ann.heard.filter(({ online }) => online === false), [], "once, and nobody else");
  } finally {
    await deaf.close();
    rmSync(folder, { recursive: true });
  }
});
