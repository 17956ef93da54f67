// What happens when a room fails: provoked at the one point where it can be, before a frame's turn.
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import { startPattern } from "../../../tests/harness/pattern.ts";
import { Client, history } from "./client.ts";

const pattern = join(import.meta.dirname, ".."), worker = basename(pattern);
let stack: Awaited<ReturnType<typeof startPattern>>;
before(async () => { stack = await startPattern(pattern, { faults: true, inspect: true }); });
after(() => stack.close());
const arm = async (fault: string) => (await stack.rpc("faults")).arm("room", fault);

for (const fault of ["panic", "trap"]) test(`a ${fault} loses what its frame wanted and nothing else: sockets stay, and the same again is done`, async () => {
  const ann = await Client.join(stack, fault, "ann"), bob = await Client.join(stack, fault, "bob");
  const other = await Client.join(stack, `${fault}-other`, "carl"); // in the same isolate
  assert.equal(await ann.send("before"), 1);
  await arm(fault);
  ann.say({ type: "send", id: "lost", text: "lost" });
  await stack.logged(fault === "trap" ? /wasm trap/ : /provoked at room/);
  assert.equal(await ann.send("lost", "lost"), 2);
  for (const one of [ann, bob]) assert.equal((await one.hears({ type: "message", seq: 2 })).text, "lost");
  assert.deepEqual((await history(stack, fault, ann.person)).map(({ seq }) => seq), [1, 2]);
  assert.equal(await other.send("next door"), 1);
  const { members } = await ann.hello();
  assert.deepEqual(members.map(({ name }: any) => name).sort(), ["ann", "bob"]);
});

test("a failure before anything is stored is told as such, and the same again is done", async () => {
  const ann = await Client.join(stack, "fail", "ann");
  await arm("fail");
  await assert.rejects(ann.send("hi", "x"), /unavailable/);
  assert.equal(await ann.send("hi", "x"), 1);
});

test("a turn that fails half-way leaves nothing behind, and the next one finds what is stored", async () => {
  const ann = await Client.join(stack, "half", "ann");
  assert.equal(await ann.send("a secret"), 1);
  // The event of the deletion cannot be written; its text must then stay.
  const sql = (query: string) => stack.sql(worker, "Room", { name: "half" }, query);
  await sql("CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'no room'); END");
  await assert.rejects(ann.command({ type: "delete", id: "d", seq: 1 }), /unavailable/);
  await assert.rejects(ann.send("more", "m"), /unavailable/);
  await stack.logged(/"event":"room","cause":".*no room/);
  assert.equal((await history(stack, "half", ann.person))[0].text, "a secret");
  await sql("DROP TRIGGER full");
  assert.equal(await ann.command({ type: "delete", id: "d", seq: 1 }), 2);
  assert.equal(await ann.send("more", "m"), 3);
  assert.deepEqual((await history(stack, "half", ann.person)).map(({ text }) => text), ["", undefined, "more"]);
});

test("when every object is lost, sockets close; who comes back has missed nothing", async () => {
  const ann = await Client.join(stack, "abort", "ann"), bob = await Client.join(stack, "abort", "bob");
  assert.equal(await ann.send("before"), 1);
  await stack.abortObjects();
  for (const one of [ann, bob]) assert.equal((await one.closes()).code, 1006);
  const again = await Client.join(stack, "abort", ann.person, 1, ann.welcome.epoch);
  assert.deepEqual([again.welcome.gap, again.welcome.you.role], [false, "owner"]);
  assert.deepEqual(again.welcome.members.map(({ name }: any) => name), ["ann"], "who is not there is not said to be");
  await again.send("after");
  const back = await Client.join(stack, "abort", bob.person, 1, bob.welcome.epoch);
  assert.equal((await back.hears({ type: "message" })).text, "after");
});
