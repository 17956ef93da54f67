// What PROTOCOL.md promises, on the wasm that would be deployed.
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { runTry, startPattern } from "../../../tests/harness/pattern.ts";
import { Client, CommandError, history, signIn } from "./client.ts";
import { BINARY, frame } from "./websocket.ts";

// The pattern is the folder that this test lies in, so that a copy tests itself.
const pattern = join(import.meta.dirname, ".."), worker = basename(pattern);
let stack: Awaited<ReturnType<typeof startPattern>>;
before(async () => { stack = await startPattern(pattern, { rateLimits: { LIMITER: 1e6 } }); });
after(() => stack.close());

let rooms = 0;
const freshRoom = () => `room-${++rooms}`;
const code = (wanted: string) => (e: unknown) => e instanceof CommandError && e.code === wanted;
const inAMinute = () => new Date(Date.now() + 60_000).toISOString();

test("who sends is acknowledged and heard, with the next number and as who the session says", async () => {
  const room = freshRoom(), ann = await Client.join(stack, room, "ann"), bob = await Client.join(stack, room, "bob");
  assert.equal(await ann.send("hi", "c-1"), 1);
  for (const one of [ann, bob]) {
    const { at, ...message } = await one.hears({ type: "message", seq: 1 });
    assert.deepEqual(message, { type: "message", seq: 1, id: "c-1", author: { id: ann.person.id, name: "ann" }, text: "hi" });
    assert.match(at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(Math.abs(Date.parse(at) - Date.now()) < 10_000);
  }
  assert.equal(await bob.command({ type: "send", id: "c-1", text: "ho", author: ann.person, seq: 9, at: "never" }), 2);
  assert.deepEqual((await ann.hears({ type: "message", seq: 2 })).author, { id: bob.person.id, name: "bob" });
});

test("the same command again has the number that it had, and happens once; another under its id is refused", async () => {
  const room = freshRoom(), ann = await Client.join(stack, room, "ann"), bob = await Client.join(stack, room, "bob");
  assert.equal(await ann.send("hi", "x"), 1);
  assert.equal(await ann.send("hi", "x"), 1);
  assert.equal(await bob.send("hi", "x"), 2, "ids are a person's own");
  await assert.rejects(ann.send("ho", "x"), code("id_reused"));
  await assert.rejects(ann.command({ type: "delete", id: "x", seq: 1 }), code("id_reused"));
  assert.equal(await ann.command({ type: "delete", id: "d", seq: 1 }), 3);
  assert.equal(await ann.command({ type: "delete", id: "d", seq: 1 }), 3);
  assert.equal(await ann.send("hi", "x"), 1, "also when it is deleted");
  assert.deepEqual((await history(stack, room, ann.person)).map(({ seq }) => seq), [1, 2, 3]);
});

test("many copies of one command at the same time, over two sockets, become one event", async () => {
  const room = freshRoom(), ann = await Client.join(stack, room, "ann"), again = await Client.join(stack, room, ann.person);
  const seqs = await Promise.all(Array.from({ length: 60 }, (_, i) => (i % 2 ? ann : again).send("once", "same")));
  assert.deepEqual([...new Set(seqs)], [1]);
  assert.equal((await history(stack, room, ann.person)).length, 1);
});

test("who resumes gets everything behind its number, in order, and then what comes", async () => {
  const room = freshRoom(), ann = await Client.join(stack, room, "ann");
  for (let i = 1; i <= 10; i++) await ann.send(`${i}`);
  const bob = await Client.join(stack, room, "bob", 4);
  assert.deepEqual([bob.welcome.seq, bob.welcome.oldest, bob.welcome.gap], [10, 1, false]);
  await ann.send("11");
  await bob.hears({ type: "message", seq: 11 });
  assert.deepEqual(bob.heard.filter(({ type }) => type === "message").map(({ seq }) => seq), [5, 6, 7, 8, 9, 10]);
  const carl = await Client.join(stack, room, "carl");
  await ann.send("12");
  await carl.hears({ type: "message", seq: 12 });
  assert.equal(carl.heard.filter(({ type }) => type === "message").length, 0, "nothing is repeated for who asks for nothing");
});

test("who says hello again on the same socket gets what it has missed, and is not announced twice", async () => {
  const room = freshRoom(), ann = await Client.join(stack, room, "ann"), bob = await Client.join(stack, room, "bob");
  await ann.hears({ type: "presence", online: true });
  await ann.send("hi");
  await bob.hears({ type: "message", seq: 1 });
  await bob.hello(0);
  await bob.hears({ type: "message", seq: 1 });
  await ann.send("ho");
  await ann.hears({ type: "message", seq: 2 });
  assert.equal(ann.heard.filter(({ type }) => type === "presence").length, 0);
});

test("hundreds of missed events come in order", async () => {
  const room = freshRoom(), people = await Promise.all(Array.from({ length: 15 }, (_, i) => Client.join(stack, room, `p${i}`)));
  await Promise.all(people.flatMap((one) => Array.from({ length: 40 }, (_, i) => one.send(`${i}`))));
  const late = await Client.join(stack, room, "late", 0);
  await late.hears({ type: "message", seq: 600 });
  assert.deepEqual(late.heard.filter(({ type }) => type === "message").map(({ seq }) => seq), Array.from({ length: 599 }, (_, i) => i + 1));
});

test("a number that this life of the room has not given, or another epoch, is a gap", async () => {
  const room = freshRoom(), ann = await Client.join(stack, room, "ann");
  await ann.send("hi");
  assert.equal((await ann.hello(99)).gap, true);
  await ann.hears({ type: "message", seq: 1 });
  assert.equal((await ann.hello(1, "another")).gap, true);
  assert.equal((await ann.hello(1, ann.welcome.epoch)).gap, false);
});

test("history is paged backwards, each page in order, and says where the next one ends", async () => {
  const room = freshRoom(), ann = await Client.join(stack, room, "ann");
  for (let i = 1; i <= 7; i++) await ann.send(`${i}`);
  const get = async (query: string) => {
    const answer = await stack.fetch(worker, `/rooms/${room}/history${query}`, { headers: { authorization: `Bearer ${ann.person.token}` } });
    const { events, next_before } = await answer.json() as any;
    return [answer.status, events.map(({ seq }: any) => seq), next_before];
  };
  assert.deepEqual(await get("?limit=3"), [200, [5, 6, 7], 5]);
  assert.deepEqual(await get("?limit=3&before=5"), [200, [2, 3, 4], 2]);
  assert.deepEqual(await get("?limit=3&before=2"), [200, [1], null]);
  assert.deepEqual(await get("?limit=7"), [200, [1, 2, 3, 4, 5, 6, 7], null]);
  assert.deepEqual(await get("?before=1"), [200, [], null]);
  assert.deepEqual(await get("?before=0"), [200, [], null]);
  assert.deepEqual(await get("?before=99&limit=999999"), [200, [1, 2, 3, 4, 5, 6, 7], null]);
  for (const wrong of ["?limit=x", "?before=-1", "?before=1.5", "?limit=99999999999999"]) {
    const answer = await stack.fetch(worker, `/rooms/${room}/history${wrong}`, { headers: { authorization: `Bearer ${ann.person.token}` } });
    assert.equal(answer.status, 400, wrong);
  }
});

test("what is deleted is not served again, to anybody, by any way", async () => {
  const room = freshRoom(), ann = await Client.join(stack, room, "ann"), bob = await Client.join(stack, room, "bob");
  await bob.send("a secret");
  await assert.rejects((await Client.join(stack, room, "carl")).command({ type: "delete", seq: 1 }), code("forbidden"));
  assert.equal(await bob.command({ type: "delete", seq: 1 }), 2);
  const { at, ...deleted } = await ann.hears({ type: "deleted" });
  assert.deepEqual([deleted.seq, deleted.target, deleted.by], [2, 1, { id: bob.person.id, name: "bob" }]);
  const dora = await Client.join(stack, room, "dora", 0);
  const message = await dora.hears({ type: "message", seq: 1 });
  assert.deepEqual([message.text, message.deleted], ["", true]);
  await dora.hears({ type: "deleted", seq: 2 });
  assert.ok(!JSON.stringify([await history(stack, room, ann.person), dora.heard]).includes("a secret"));
  await assert.rejects(bob.command({ type: "delete", seq: 1 }), code("not_found"), "deleted already");
  await assert.rejects(bob.command({ type: "delete", seq: 99 }), code("not_found"));
  await ann.send("mine");
  await assert.rejects(bob.command({ type: "delete", seq: 3 }), code("forbidden"));
  await bob.send("his");
  assert.equal(await ann.command({ type: "delete", seq: 4 }), 5, "the owner deletes anybody's");
});

test("the first in a room owns it; others cannot kick or ban, and nobody the owner", async () => {
  const room = freshRoom(), ann = await Client.join(stack, room, "ann"), bob = await Client.join(stack, room, "bob");
  assert.deepEqual([ann.welcome.you.role, bob.welcome.you.role], ["owner", "member"]);
  assert.deepEqual(bob.welcome.members.map(({ name, role }: any) => [name, role]).sort(), [["ann", "owner"], ["bob", "member"]]);
  await assert.rejects(bob.command({ type: "kick", person: ann.person.id }), code("forbidden"));
  await assert.rejects(bob.command({ type: "ban", person: ann.person.id, until: inAMinute() }), code("forbidden"));
  await assert.rejects(ann.command({ type: "kick", person: ann.person.id }), code("forbidden"));
  await assert.rejects(ann.command({ type: "kick", person: "nobody" }), code("not_found"));
  await assert.rejects(ann.command({ type: "ban", person: bob.person.id, until: "2020-01-01T00:00:00Z" }), code("invalid_until"));
  await assert.rejects(ann.command({ type: "ban", person: bob.person.id, until: "soon" }), code("invalid_until"));
});

test("who is kicked is out with all sockets, and may come back", async () => {
  const room = freshRoom(), ann = await Client.join(stack, room, "ann"), bob = await Client.join(stack, room, "bob");
  const second = await Client.join(stack, room, bob.person);
  assert.equal(await ann.command({ type: "kick", person: bob.person.id }), 1);
  const { seq, person, by } = await bob.hears({ type: "kicked" });
  assert.deepEqual([seq, person.name, by.name], [1, "bob", "ann"]);
  for (const one of [bob, second]) assert.deepEqual(await one.closes(), { code: 4410, reason: "kicked" });
  await ann.hears({ type: "presence", online: false, person: { id: bob.person.id } });
  assert.equal((await Client.join(stack, room, bob.person)).welcome.you.name, "bob");
});

test("who is banned is out until the ban ends, from sockets and history", async () => {
  const room = freshRoom(), ann = await Client.join(stack, room, "ann"), bob = await Client.join(stack, room, "bob");
  const until = inAMinute();
  assert.equal(await ann.command({ type: "ban", person: bob.person.id, until: until.replace("Z", "+00:00") }), 1);
  assert.equal((await ann.hears({ type: "banned" })).until, until);
  assert.deepEqual(await bob.closes(), { code: 4403, reason: `banned until ${until}` });
  assert.equal((await (await Client.connect(stack, room, bob.person)).closes()).code, 4403);
  const past = () => stack.fetch(worker, `/rooms/${room}/history`, { headers: { authorization: `Bearer ${bob.person.token}` } });
  assert.equal((await past()).status, 403);
  assert.equal(await ann.command({ type: "ban", person: bob.person.id, until: new Date(Date.now() + 300).toISOString() }), 2, "a later one takes its place");
  await sleep(400);
  await Client.join(stack, room, bob.person);
  assert.equal((await past()).status, 200);
});

test("others hear who comes and goes, once for all sockets of a person, and who types, not too often", async () => {
  const room = freshRoom(), ann = await Client.join(stack, room, "ann"), bob = await Client.join(stack, room, "bob");
  await ann.hears({ type: "presence", online: true, person: { name: "bob", role: "member" } });
  const second = await Client.join(stack, room, bob.person);
  for (let i = 0; i < 5; i++) bob.say({ type: "typing" });
  assert.deepEqual((await ann.hears({ type: "typing" })).person, { id: bob.person.id, name: "bob" });
  bob.close();
  await bob.closes();
  await second.send("still here");
  await ann.hears({ type: "message", seq: 1 });
  assert.deepEqual(ann.heard.map(({ type }) => type), [], "one typing is told, and nobody has gone");
  second.kill();
  await ann.hears({ type: "presence", online: false, person: { id: bob.person.id } });
});

test("before hello nothing is heard and nothing is done", async () => {
  const room = freshRoom(), ann = await Client.join(stack, room, "ann"), bob = await Client.connect(stack, room, "bob");
  await ann.send("hi");
  await assert.rejects(bob.send("ho", "c-1"), code("hello_first"));
  bob.say({ type: "typing" });
  await bob.hears({ type: "error", code: "hello_first" });
  assert.deepEqual(bob.heard, []);
  await bob.hello();
  assert.equal(bob.welcome.seq, 1);
});

test("every limit has a name: frames, texts, ids, binary, unknown types", async () => {
  const room = freshRoom(), ann = await Client.join(stack, room, "ann");
  for (const [frame, wanted] of [["{", "malformed"], ["[]", "malformed"], ['{"type":"send","id":"a","text":"\\ud800"}', "malformed"], [{ type: "send", id: "a" }, "malformed"],
    [{ type: "delete", id: "a", seq: "1" }, "malformed"], [{ type: "sing", id: "a" }, "unknown_type"], [{ type: "send", id: "", text: "hi" }, "invalid_id"],
    [{ type: "send", id: "a b", text: "hi" }, "invalid_id"], [{ type: "send", id: "x".repeat(65), text: "hi" }, "invalid_id"], [{ type: "send", id: "a", text: " \n" }, "invalid_text"],
    [{ type: "send", id: "a", text: "\u0000" }, "invalid_text"], [{ type: "send", id: "a", text: "x".repeat(4001) }, "invalid_text"]] as const) {
    ann.say(frame);
    const error = await ann.hears({ type: "error" });
    assert.equal(error.code, wanted, JSON.stringify(frame));
    assert.ok(error.message);
  }
  assert.equal(await ann.send("🙂".repeat(4000)), 1, "4,000 characters, of four bytes each");
  ann.say(`{"type":"send","id":"escaped","text":"${"\\ud83d\\ude42".repeat(4000)}"}`);
  assert.equal((await ann.hears({ type: "ack", id: "escaped" })).seq, 2, "and twelve as escapes");
  ann.say({ type: "send", id: "b", text: "x".repeat(65_536) });
  assert.deepEqual(await ann.closes(), { code: 1009, reason: "frame too large" });
  const bytes = await Client.join(stack, room, ann.person);
  bytes.wire.write(frame(BINARY, "hi"));
  assert.deepEqual(await bytes.closes(), { code: 1003, reason: "text frames only" });
  const wide = await Client.join(stack, room, ann.person); // fewer than 64 Ki units of UTF-16, more bytes
  wide.say({ type: "send", id: "c", text: "é".repeat(33_000) });
  assert.deepEqual(await wide.closes(), { code: 1009, reason: "frame too large" });
});

test("who is too quick is told when to go on, and who floods is out; others notice nothing", async () => {
  const room = freshRoom(), ann = await Client.join(stack, room, "ann"), bob = await Client.join(stack, room, "bob");
  for (let i = 0; i < 60; i++) ann.say({ type: "send", id: `q${i}`, text: "quick" });
  // All answers first: where the room is slow, a later one takes the token that an earlier one was told to wait for.
  const answers = await Promise.all(Array.from({ length: 60 }, (_, i) =>
    ann.hearsWhat(`an answer to q${i}`, ({ type, id }) => id === `q${i}` && ["ack", "error"].includes(type))));
  const { code, retry_after_ms, id } = answers.findLast(({ type }) => type === "error")!;
  assert.equal(code, "rate_limited");
  assert.ok(retry_after_ms > 0 && retry_after_ms <= 200, retry_after_ms);
  assert.equal(await ann.send("quick", "q0"), 1, "what is stored costs nothing to ask again");
  await sleep(retry_after_ms + 50);
  assert.ok(await ann.send("quick", id) > 1);
  for (let i = 0; i < 1000; i++) ann.say({ type: "typing" });
  assert.deepEqual(await ann.closes(), { code: 4429, reason: "flooding" });
  assert.ok(await bob.send("calm"));
});

test("a person has eight sockets in a room", async () => {
  const room = freshRoom(), ann = await signIn(stack, "ann");
  const eight = await Promise.all(Array.from({ length: 8 }, () => Client.join(stack, room, ann)));
  assert.deepEqual(await (await Client.connect(stack, room, ann)).closes(), { code: 4409, reason: "too many sockets" });
  eight[0].close();
  await eight[0].closes();
  await Client.join(stack, room, ann);
});

test("a room has 500 sockets", async () => {
  const room = freshRoom(), sockets: Client[] = [];
  for (let n = 0; n < 500; n += 50) { // of people with five each
    const people = await Promise.all(Array.from({ length: 10 }, (_, i) => signIn(stack, `p${n}-${i}`)));
    // They say hello: who does not may lose the place after ten seconds, and a busy machine takes longer than that.
    sockets.push(...await Promise.all(people.flatMap((one) => Array.from({ length: 5 }, () => Client.join(stack, room, one)))));
  }
  const ann = await signIn(stack, "ann");
  assert.deepEqual(await (await Client.connect(stack, room, ann)).closes(), { code: 4503, reason: "room full" });
  sockets[0].close();
  await sockets[0].closes();
  const late = await Client.join(stack, room, ann);
  assert.equal(await late.send("made it"), 1);
  for (const socket of sockets) socket.kill();
});

test("every curl of the README gets the answer that it promises", () => runTry(pattern, stack));
