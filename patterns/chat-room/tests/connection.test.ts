// The page's client of the protocol, against a room that says what a test wants it to say. Time stands still until a test moves
// it.
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Connection, type Command, type Handlers, type Socket } from "../page/connection.ts";

const ANN = { id: "p-ann", name: "ann" }, BOB = { id: "p-bob", name: "bob" };
const WELCOME = { type: "welcome", you: { ...ANN, role: "member" }, epoch: "e1", seq: 0, oldest: 1, gap: false, members: [] };
const message = (seq: number, { author = BOB, id = `b-${seq}` } = {}) =>
  ({ type: "message", seq, id, author, text: `text ${seq}`, at: "2026-01-01T00:00:00Z" });

/** The room's end of a connection. */
class FakeSocket implements Socket {
  static all: FakeSocket[] = [];
  onopen: any; onmessage: any; onclose: any;
  frames: string[] = [];
  closed = false;
  protocols: string;
  constructor(_: string | URL, protocols: string) {
    this.protocols = protocols;
    FakeSocket.all.push(this);
  }
  send(frame: any) { this.frames.push(frame); }
  close() { this.closed = true; }

  opens() { this.onopen?.({}); }
  says(...events: object[]) { for (const event of events) this.onmessage?.({ data: JSON.stringify(event) }); }
  closes(code: number, reason = "") { this.onclose?.({ code, reason }); }
  /** What it was told since the last look. */
  heard() { return this.frames.splice(0).map((frame) => (frame === "ping" ? frame : JSON.parse(frame))); }
}

let connection: Connection, told: string[], random: number, outbox: readonly Command[];
const note = (line: string) => { told.push(line); };
const handlers: Handlers = {
  status: (s) => note(s.state === "waiting" ? `waiting ${s.until - Date.now()}`
    : s.state === "stopped" ? `stopped ${s.code} ${s.reason}` : s.state),
  welcome: ({ seq }, since) => note(`${since} ${seq}`),
  event: ({ seq }) => note(`event ${seq}`),
  presence: ({ name }, online) => note(`${name} ${online ? "is here" : "is gone"}`),
  typing: ({ name }) => note(`${name} types`),
  outbox: (commands) => { outbox = [...commands]; },
  stored: ({ type }, seq) => note(`stored ${type} ${seq}`),
  refused: ({ type }, { code }) => note(`refused ${type} ${code}`),
  limited: (ms) => note(`limited ${ms}`),
};
const room = () => FakeSocket.all.at(-1)!;
const lately = () => told.splice(0);
const pass = (ms: number) => mock.timers.tick(ms);
function connect(options: { outbox?: Command[] } = {}) {
  connection = new Connection("ws://room", handlers, { WebSocket: FakeSocket, random: () => random, ...options });
  connection.connect();
  room().opens();
}
/** Connected, welcomed at this number, and everything so far looked at. */
function enter(seq = 0) {
  connect();
  room().says({ ...WELCOME, seq });
  room().heard();
  lately();
}
const comeBack = () => { pass(30_000); room().opens(); };

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  FakeSocket.all = [];
  told = [];
  random = 1;
});

test("says hello first, under the sub-protocol, and is told what happens after the welcome", () => {
  connect();
  assert.equal(room().protocols, "edge-chat.v1");
  assert.deepEqual(room().heard(), [{ type: "hello", resume_after: null }]);
  room().says({ ...WELCOME, seq: 7 }, message(8), { type: "presence", person: BOB, online: true }, { type: "typing", person: BOB });
  assert.deepEqual(lately(), ["connecting", "open", "entered 7", "event 8", "bob is here", "bob types"]);
});

test("after a loss it goes on behind the last number, and tells nothing twice", () => {
  enter();
  room().says(message(1), message(2));
  room().closes(1006);
  comeBack();
  assert.deepEqual(room().heard(), [{ type: "hello", resume_after: 2, epoch: "e1" }]);
  room().says({ ...WELCOME, seq: 4 }, message(2), message(3), message(4), message(3), message(5));
  assert.deepEqual(lately(), ["event 1", "event 2", "waiting 500", "connecting", "open", "resumed 4",
    "event 3", "event 4", "event 5"]);
});

test("waits a random time that doubles from half a second to 30 s, and begins anew only after a connection that lasted", () => {
  enter();
  const waits = [];
  for (let i = 0; i < 9; i++) {
    room().closes(1011);
    waits.push(lately().at(-1));
    comeBack();
  }
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000].map((ms) => `waiting ${ms}`));
  room().says(WELCOME); // let in, and out again at once
  room().closes(1011);
  assert.equal(lately().at(-1), "waiting 30000");
  comeBack();
  room().says(WELCOME);
  pass(10_001);
  random = 0.25;
  room().closes(1011);
  assert.equal(lately().at(-1), "waiting 125");
});

const STOPS = { 4401: "session expired", 4403: "banned until 2026-01-02T00:00:00Z", 4409: "too many sockets", 4410: "kicked" };
for (const [code, reason] of Object.entries(STOPS))
  test(`${code} is the end, until somebody asks for another try`, () => {
    enter();
    room().closes(Number(code), reason);
    pass(600_000);
    assert.deepEqual(lately(), [`stopped ${code} ${reason}`]);
    assert.equal(FakeSocket.all.length, 1);
    connection.wake();
    assert.equal(FakeSocket.all.length, 1);
    connection.connect();
    assert.equal(FakeSocket.all.length, 2);
  });

for (const code of [1001, 1003, 1006, 1009, 1011, 4429, 4503])
  test(`after ${code} it connects again`, () => {
    enter();
    room().closes(code);
    pass(500);
    assert.equal(FakeSocket.all.length, 2);
  });

test("a number that jumps makes it ask once, on the same socket, and nothing is told out of order", () => {
  enter();
  room().says(message(1), message(3), message(4));
  assert.deepEqual(room().heard(), [{ type: "hello", resume_after: 1, epoch: "e1" }]);
  room().says({ ...WELCOME, seq: 4 }, message(2), message(3), message(4), message(5));
  assert.deepEqual(lately(), ["event 1", "resumed 4", "event 2", "event 3", "event 4", "event 5"]);
  assert.equal(FakeSocket.all.length, 1);
});

test("a room that does not tell what is missing, though asked, is left and tried again later", () => {
  enter();
  room().says(message(2), { ...WELCOME, seq: 2 }, message(2));
  assert.deepEqual(lately(), ["resumed 2", "waiting 500"]);
  assert.ok(FakeSocket.all[0].closed);
});

test("what is no longer kept is told as a gap, and the rest follows", () => {
  enter(3);
  room().closes(1006);
  comeBack();
  room().says({ ...WELCOME, seq: 9, oldest: 8, gap: true }, message(8), message(9));
  assert.deepEqual(lately().slice(2), ["open", "gap 9", "event 8", "event 9"]);
});

test("a room that began anew is told as such, with all that it has, though its numbers are lower", () => {
  enter(30);
  room().closes(1006);
  comeBack();
  room().says({ ...WELCOME, epoch: "e2", seq: 2, gap: true }, message(1), message(2));
  assert.deepEqual(lately().slice(2), ["open", "anew 2", "event 1", "event 2"]);
});

test("events of a later version are skipped, but one with a number is counted", () => {
  enter();
  room().says({ type: "weather", mood: "fine" }, { type: "pinned", seq: 1, id: "x" }, message(2));
  assert.deepEqual(lately(), ["event 1", "event 2"]);
  assert.deepEqual(room().heard(), []);
});

test("commands go out one after the other, in the order in which they were made", () => {
  enter();
  const first = connection.send("one"), second = connection.delete(1);
  assert.deepEqual(room().heard(), [{ type: "send", text: "one", id: first }]);
  room().says({ type: "ack", id: first, seq: 1 }, message(1, { author: ANN, id: first }));
  assert.deepEqual(room().heard(), [{ type: "delete", seq: 1, id: second }]);
  room().says({ type: "deleted", seq: 2, id: second, target: 1, by: ANN, at: "" }); // the other way round
  room().says({ type: "ack", id: second, seq: 2 });
  assert.deepEqual(lately(), ["stored send 1", "event 1", "event 2", "stored delete 2"]);
  assert.deepEqual(outbox, []);
  const ids = [connection.kick("p-bob"), connection.ban("p-bob", new Date(0))];
  assert.deepEqual(outbox, [{ type: "kick", person: "p-bob", id: ids[0] },
    { type: "ban", person: "p-bob", until: "1970-01-01T00:00:00.000Z", id: ids[1] }]);
});

test("what is written while offline goes out after the welcome, under the ids it has, and once", () => {
  enter();
  connection.sleep();
  const ids = [connection.send("one"), connection.send("two")];
  comeBack();
  room().heard();
  room().says(WELCOME);
  assert.deepEqual(room().heard(), [{ type: "send", text: "one", id: ids[0] }]);
  room().closes(1006); // nobody knows whether it was stored
  comeBack();
  room().heard();
  room().says({ ...WELCOME, seq: 1 });
  assert.deepEqual(room().heard(), [{ type: "send", text: "one", id: ids[0] }]);
  room().says(message(1, { author: ANN, id: ids[0] })); // it was: the event is as good as the ack
  assert.deepEqual(room().heard(), [{ type: "send", text: "two", id: ids[1] }]);
  room().says({ type: "ack", id: ids[0], seq: 1 }, { type: "ack", id: ids[1], seq: 2 }, message(2, { author: ANN, id: ids[1] }));
  assert.deepEqual(lately().filter((line) => /stored|event/.test(line)), ["event 1", "stored send 1", "stored send 2", "event 2"]);
  pass(20_000);
  assert.deepEqual(room().heard(), []);
});

test("a command without an answer goes out again under the same id", () => {
  enter();
  const id = connection.send("one");
  pass(5000);
  assert.deepEqual(room().heard(), [1, 2].map(() => ({ type: "send", text: "one", id })));
});

test("somebody else's event under the same id settles nothing", () => {
  enter();
  const id = connection.send("one");
  room().says(message(1, { author: BOB, id }));
  assert.equal(connection.outbox.length, 1);
});

test("an outbox that an earlier connection left is sent after the welcome", () => {
  connect({ outbox: [{ type: "send", id: "c-1", text: "left" }] });
  room().says(WELCOME);
  assert.deepEqual(room().heard().at(-1), { type: "send", id: "c-1", text: "left" });
});

test("rate_limited is waited for, by everything that stands behind, too; unavailable is tried again", () => {
  enter();
  const id = connection.send("one"), say = { type: "send", text: "one", id };
  room().says({ type: "error", code: "rate_limited", message: "", id, retry_after_ms: 3000 });
  connection.send("two");
  pass(2999);
  assert.deepEqual(room().heard(), [say]);
  pass(1);
  assert.deepEqual(room().heard(), [say]);
  room().says({ type: "error", code: "unavailable", message: "", id });
  pass(1000);
  assert.deepEqual(room().heard(), [say]);
  assert.deepEqual(lately(), ["limited 3000"]);
});

test("what is refused is told, and the next one goes out", () => {
  enter();
  const first = connection.delete(99), second = connection.send("two");
  room().says({ type: "error", code: "not_found", message: "no such message", id: first });
  assert.deepEqual(lately(), ["refused delete not_found"]);
  assert.deepEqual(room().heard().at(-1), { type: "send", text: "two", id: second });
});

test("half a character, which is not JSON, is replaced rather than refused for ever", () => {
  enter();
  connection.send("a\ud800");
  assert.equal(room().heard()[0].text, "a\ufffd");
});

test("an acknowledged event that does not come is asked for", () => {
  enter();
  const id = connection.send("one");
  room().says({ type: "ack", id, seq: 1 });
  room().heard();
  pass(5000);
  assert.deepEqual(room().heard(), [{ type: "hello", resume_after: 0, epoch: "e1" }]);
  room().says({ ...WELCOME, seq: 1 }, message(1, { author: ANN, id }));
  assert.deepEqual(lately(), ["stored send 1", "resumed 1", "event 1"]);
});

test("pings every 25 s, and leaves a connection that is dead without having been closed", () => {
  enter();
  pass(25_000);
  assert.deepEqual(room().heard(), ["ping"]);
  room().onmessage({ data: "pong" });
  pass(25_000);
  assert.deepEqual(room().heard(), ["ping"]);
  pass(9999);
  assert.deepEqual(lately(), []);
  pass(1);
  assert.deepEqual(lately(), ["waiting 500"]);
  assert.ok(FakeSocket.all[0].closed);
});

test("a hello that is not answered is a dead connection, whatever else is heard", () => {
  connect();
  room().says({ type: "presence", person: BOB, online: true });
  pass(10_000);
  assert.equal(lately().at(-1), "waiting 500");
});

test("a socket that never opens is given up", () => {
  new Connection("ws://room", handlers, { WebSocket: FakeSocket, random: () => 1 }).connect();
  pass(10_000);
  assert.deepEqual(lately(), ["connecting", "waiting 500"]);
});

test("back online it does not wait; awake it looks whether the connection lives", () => {
  enter();
  connection.sleep();
  assert.deepEqual(lately(), ["waiting 500"]);
  connection.wake();
  assert.equal(FakeSocket.all.length, 2);
  room().opens();
  room().says(WELCOME);
  room().heard();
  connection.wake();
  assert.deepEqual(room().heard(), ["ping"]);
});

test("the last words of a connection that was given up are not listened to", () => {
  enter();
  connection.sleep();
  FakeSocket.all[0].says(message(1));
  FakeSocket.all[0].closes(1006);
  assert.deepEqual(lately(), ["waiting 500"]);
});

test("typing is not kept for later, and closing is for good", () => {
  enter();
  connection.typing();
  assert.deepEqual(room().heard(), [{ type: "typing" }]);
  connection.sleep();
  connection.typing();
  connection.wake();
  room().opens();
  room().says(WELCOME);
  assert.deepEqual(room().heard(), [{ type: "hello", resume_after: 0, epoch: "e1" }]);
  connection.close();
  connection.wake();
  pass(60_000);
  assert.equal(lately().at(-1), "closed");
  assert.equal(FakeSocket.all.length, 2);
});
