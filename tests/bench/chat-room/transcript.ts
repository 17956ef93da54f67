// A conversation, with whatever is refused in one: before they are measured, all must have answered it alike.
import assert from "node:assert/strict";
import type { Running } from "../measure.ts";
import { answerOf, FROM_EDGE } from "../pattern.ts";
import { signIn, socketOf, upgrade, USUAL } from "./crowd.ts";
import { CLOSE, Connection, frame, UPGRADE } from "./socket.ts";

type Said = object | string | Buffer;
const send = (id: string, text: string) => ({ type: "send", id, text });
const hello = { type: "hello", resume_after: null };

/** Somebody's socket, and what it has heard. */
class Ear {
  readonly #connection: Connection;
  #heard: any[] = [];
  #told = () => {};
  #asked = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
    connection.hear = (opcode, bytes, from, to) => {
      const text = bytes.toString("utf8", opcode === CLOSE ? from + 2 : from, to);
      this.#heard.push(opcode === CLOSE ? { close: bytes.readUInt16BE(from), reason: text } : text.startsWith("{") ? JSON.parse(text) : { text });
      this.#told();
    };
  }

  say(said: Said) { this.#connection.send(frame(typeof said === "string" || Buffer.isBuffer(said) ? said : JSON.stringify(said))); }
  leave() { this.#connection.close(); }

  /** As many frames. `ack` may come before its event or behind it: here it is before. */
  async hear(count: number): Promise<any[]> {
    while (this.#heard.length < count) await new Promise<void>((told) => { this.#told = told; });
    return this.#heard.splice(0, count).sort((a, b) => Number(b.type === "ack") - Number(a.type === "ack"));
  }

  /** All frames that answer what was said until now, up to a close: they come in order. */
  async listen(): Promise<any[]> {
    const id = `asked-${this.#asked++}`, isLast = (heard: any) => heard.id === id || "close" in heard;
    this.say({ type: "sing", id });
    while (!this.#heard.some(isLast)) await new Promise<void>((told) => { this.#told = told; });
    return (await this.hear(this.#heard.length)).filter((heard) => heard.id !== id);
  }
}

/** Texts and ids are right, or wrong in each way that the protocol names. */
const SAID: Said[] = [send("1", USUAL), send("1", USUAL), send("1", "another"), send("2", "two lines\nand a\ttab, \u{1f642}, <b>, \"quoted\", \\ and é"),
  { ...send("3", "x".repeat(4000)), mood: "good" }, send("", "hi"), send("a b", "hi"), send("x".repeat(65), "hi"), send("4", ""), send("4", " \n "), send("4", "a\0b"),
  send("4", "x".repeat(4001)), { type: "send", id: "4" }, { type: "send", id: 4, text: "hi" }, { type: "send", text: "hi" }, { id: "4", text: "hi" }, { type: 4 },
  "", "{", "[]", "null", '"hi"', '{"type":"send","id":"4","text":"\\ud800"}', { type: "hello", resume_after: -1 }, { type: "hello", resume_after: "1" }, "ping"];

/** What everybody hears, but for what is made anew each time and sentences for people. */
async function conversation(port: number): Promise<object[]> {
  const names = new Map<string, string>(), told: { what: string; heard: any[] }[] = [];
  const arrive = async (name: string, room = "conversation", token?: string) => {
    const session = token ? undefined : await signIn(port, name);
    if (session) names.set(session.person.id, name);
    return { token: token ?? session!.token, ear: new Ear(await Connection.open(port, socketOf(room), upgrade(token ?? session!.token))) };
  };
  const note = async (what: string, ...ears: Ear[]) => {
    for (const ear of ears) told.push({ what, heard: await ear.listen() });
  };

  const { ear: ann } = await arrive("ann"), { ear: bob, token } = await arrive("bob");
  ann.say(send("0", "hi"));
  await note("a message before hello", ann);
  ann.say(hello);
  await note("ann says hello", ann);
  bob.say(hello);
  await note("bob says hello", bob, ann);
  for (const said of SAID) {
    ann.say(said);
    await note(JSON.stringify(said).slice(0, 80), ann, bob);
  }
  bob.say({ type: "hello", resume_after: 1 });
  await note("bob says hello again", bob, ann);
  const { ear: second } = await arrive("bob", undefined, token);
  second.say({ type: "hello", resume_after: 2, epoch: "another" });
  await note("bob's second socket, which knows another room", second, ann);
  second.leave();
  bob.leave();
  told.push({ what: "bob is gone", heard: await ann.hear(1) });

  const wrong: [string, Said][] = [["bytes", Buffer.from("hi")], ["ascii", "x".repeat((64 << 10) + 1)], ["utf-8", "é".repeat((32 << 10) + 1)]];
  for (const [name, said] of wrong) {
    const { ear } = await arrive(name, name);
    ear.say(hello);
    ear.say(said);
    told.push({ what: name, heard: await ear.hear(2) });
    ear.leave();
  }
  const { ear: fay } = await arrive("fay", "busy");
  fay.say(hello);
  for (let n = 0; n < 60; n++) fay.say(send(`${n}`, "hi"));
  const heard = await fay.listen(), limited = heard.find(({ type }) => type === "error"), count = (type: string) => heard.filter((frame) => frame.type === type).length;
  assert.ok(count("ack") >= 40 && count("ack") === count("message"), `${count("ack")} of 60 messages at once`);
  assert.ok(limited.retry_after_ms > 0 && limited.retry_after_ms <= 200, JSON.stringify(limited));
  told.push({ what: "60 messages at once", heard: [{ ...limited, id: "", retry_after_ms: 0 }] });
  ann.leave();
  fay.leave();

  for (const frame of told.flatMap(({ heard }) => heard)) {
    if (frame.type === "error") delete frame.message;
    if (frame.epoch) names.set(frame.epoch, "epoch");
  }
  let text = JSON.stringify(told).replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, "TIME");
  for (const [id, name] of names) text = text.replaceAll(id, name);
  const agreed: typeof told = JSON.parse(text);
  for (const { members } of agreed.flatMap(({ heard }) => heard)) members?.sort((a: any, b: any) => (a.id < b.id ? -1 : 1)); // by an id that was random
  return agreed;
}

/** What becomes of requests for a socket or a session that are not as they should be. */
async function refusals(port: number): Promise<object[]> {
  const { token } = await signIn(port, "ann"), path = socketOf("refusals"), right = { ...FROM_EDGE, ...UPGRADE, ...upgrade(token) };
  const headers = (changed: Record<string, string | undefined>): Record<string, string> => JSON.parse(JSON.stringify({ ...right, ...changed }));
  const sockets = [["a room's name", headers({}), socketOf("A")], ["no upgrade", headers({ upgrade: undefined, connection: undefined })],
    ["no sub-protocol", headers({ "sec-websocket-protocol": undefined })], ["another sub-protocol", headers({ "sec-websocket-protocol": "chat" })],
    ["anonymous", headers({ authorization: undefined })], ["anonymous, of this origin", headers({ authorization: undefined, origin: `http://127.0.0.1:${port}` })],
    ["another origin", headers({ origin: "https://evil.example" })], ["no token", headers(upgrade("none"))], ["an altered token", headers(upgrade(`${token.slice(0, -4)}AAAA`))]] as const;
  const answers: object[] = [];
  for (const [what, headers, at = path] of sockets) answers.push({ what, answer: await answerOf(port, { method: "GET", path: at, headers }) });
  answers.push({ what: "no JSON", answer: await answerOf(port, { method: "POST", path: "/session", headers: FROM_EDGE, body: '{"name":"ann"}' }) });
  for (const body of ["", "{", "[]", "{}", '{"name":7}', '{"name":" "}', '{"name":"a\\u0007"}', `{"name":"${"x".repeat(41)}"}`, `{"name":"${"x".repeat(1024)}"}`])
    answers.push({ what: body, answer: await answerOf(port, { method: "POST", path: "/session", headers: { ...FROM_EDGE, "content-type": "application/json" }, body }) });
  return answers;
}

/** What a message and its `hello` are answered with. */
async function measured(port: number): Promise<string[]> {
  const { token } = await signIn(port, "Person 100"), ear = new Ear(await Connection.open(port, socketOf("measured"), upgrade(token)));
  ear.say(hello);
  const welcome = await ear.hear(1);
  ear.say(send("c-00000000", USUAL));
  const answers = await ear.hear(2);
  ear.leave();
  return [...welcome, ...answers].map((frame) => JSON.stringify(frame));
}

/** All do the same work. Of the last, the floor, which understands nothing, only what is measured is looked at: as long, but for
 *  some digits, with the same members. */
export async function agree(running: Running[]) {
  const [[first, ...others], ours] = await Promise.all([Promise.all(running.slice(0, -1).map(async ({ port }) => [...await refusals(port), ...await conversation(port)])), measured(running[0].port)]);
  for (const [n, told] of first.entries()) for (const other of others) assert.deepEqual(other[n], told);
  const floors = await measured(running.at(-1)!.port), membersOf = (frame: string) => Object.keys(JSON.parse(frame));
  for (const [n, frame] of ours.entries()) {
    assert.deepEqual(membersOf(floors[n]), membersOf(frame), "floor");
    assert.ok(Math.abs(floors[n].length - frame.length) < 4, `floor: ${floors[n]}, not ${frame}`);
  }
}
