// What no honest client says. A failure is found again by its seed: HOSTILE_SEED=… node --test …/hostile.test.ts
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startPattern } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { Client, history, PATTERN, type Person, type Said, signIn } from "./client.ts";
import { Log } from "./log.ts";
import { Random } from "./random.ts";
import { BINARY, CLOSE, CONTINUATION, frame, PING, TEXT, type Wire } from "./websocket.ts";

const SEED = Number(process.env.HOSTILE_SEED ?? Math.floor(Math.random() * 2 ** 32)), FRAMES = Number(process.env.HOSTILE_FRAMES ?? 10_000);
/** So many people, each with so many frames that it is not flooding, so many of them at the same time. */
const EACH = 100, AT_ONCE = 25;
/** Bytes of a frame. */
const LARGEST = 64 << 10;

const log = new Log();
let stack: Stack;
before(async () => { stack = await startPattern(PATTERN, { log: log.read, rateLimits: { LIMITER: 1_000_000 } }); });
after(() => stack?.close());

const random = new Random(SEED);
const pick = <T>(list: readonly T[]): T => random.pick(list), upTo = (n: number) => random.upTo(n);
const bytes = (longest: number) => Buffer.from(Array.from({ length: 1 + upTo(longest) }, () => upTo(256)));
const id = () => `h-${String(upTo(1e9)).padStart(9, "0")}`;
const command = (members: object = {}) => JSON.stringify({ type: "send", id: id(), text: "hi", ...members });
/** A command with the values of its members written as they are given. */
const written = (members: Record<string, string>) => `{${Object.entries(members).map(([name, value]) => `"${name}":${value}`).join()}}`;
/** A command of so many bytes. */
const sized = (size: number) => command({ text: "" }).replace('""', (quotes) => `"${"x".repeat(size - command({ id: "h-000000000", text: "" }).length)}${quotes[1]}`);

/** What there is to be attacked. */
interface Target { person: Person; seq: number }
/** A kind of frame, and what may answer it: codes of errors, other types of messages, or how the socket is closed. The first does. */
interface Kind { make: (target: Target) => string | Buffer; opcode?: number; answers: string[] }
const WELL = ["ack", "rate_limited"], TOO_LARGE = "closed 1009 frame too large", NO_TEXT = "closed 1003 text frames only";
const VALUES = ["null", "true", "-1", "0", "1.5", "1e400", "-1e400", "1e19", "18446744073709551616", "9007199254740993", '""', '"x"', "[]", "{}", "[[]]",
  '{"id":1}', '"\\ud800"', '"\\u0000"', '"NaN"', '"1"', `"${"x".repeat(5000)}"`];
const UNTIL = ["2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z", "2026-01-01 00:00:00Z", "2026-01-01t00:00:00z",
  "2026-01-01T00:00:00", "2026-01-01T00:00:00+25:00", "2026-01-01T00:00:00.1234567890123456789Z", "+12026-01-01T00:00:00Z", "-0001-01-01T00:00:00Z",
  "0000-00-00T00:00:00Z", "9999-12-31T23:59:59Z", "1e9", "tomorrow", "", "2026-01-01T00:00:00Z\0", "２０２６-01-01T00:00:00Z"];
const SEQS = ["0", "-1", "1.5", "1e400", "1e15", "9007199254740993", "-0", "1e19", "18446744073709551615", "9223372036854775808"];
const COMMANDS: Record<string, string>[] = [{ type: '"send"', id: '"w"', text: '"hi"' }, { type: '"delete"', id: '"w"', seq: "1" },
  { type: '"kick"', id: '"w"', person: '"p"' }, { type: '"ban"', id: '"w"', person: '"p"', until: '"2030-01-01T00:00:00Z"' },
  { type: '"hello"', resume_after: "1", epoch: '"e"' }];

const KINDS: Record<string, Kind> = {
  "random bytes, binary": { opcode: BINARY, make: () => bytes(300), answers: [NO_TEXT] },
  "a valid command, binary": { opcode: BINARY, make: () => command(), answers: [NO_TEXT] },
  "random bytes": { make: () => bytes(300), answers: ["malformed", "closed 1007"] },
  "random ASCII": { make: () => bytes(300).map((byte) => byte & 0x7f) as Buffer, answers: ["malformed"] },
  nothing: { make: () => pick(["", " ", "\n", "\0", "\ufeff"]), answers: ["malformed"] },
  "no object": { make: () => pick(VALUES.filter((value) => value[0] !== "{")), answers: ["malformed"] },
  "cut off": { make: () => { const text = command(); return text.slice(0, 1 + upTo(text.length - 1)); }, answers: ["malformed"] },
  "more behind it": { make: () => command() + pick(["x", "}", "{}", ",", "\0", command()]), answers: ["malformed"] },
  "one byte is another": { make: () => {
    const text = Buffer.from(command());
    text[upTo(text.length)] = upTo(128);
    return text;
  }, answers: [...WELL, "malformed", "unknown_type", "invalid_id", "invalid_text"] },
  deep: { make: () => pick(["[", '{"a":', '{"type":[']).repeat(1500 + upTo(200)), answers: ["malformed"] },
  "deep where nobody looks": { make: () => { const depth = 50 + upTo(8000); return command().replace("}", `,"x":${"[".repeat(depth)}${"]".repeat(depth)}}`); },
    answers: ["malformed", ...WELL] },
  "100,000 deep": { make: () => pick(["[", '{"a":']).repeat(100_000), answers: [TOO_LARGE] },
  "as large as may be": { make: () => sized(LARGEST), answers: ["invalid_text"] },
  "a byte too large": { make: () => sized(LARGEST + 1), answers: [TOO_LARGE] },
  "not so many characters, and too many bytes": { make: () => command({ text: "é".repeat(LARGEST / 2) }), answers: [TOO_LARGE] },
  "far too large": { make: () => "x".repeat(LARGEST * (2 + upTo(14))), answers: [TOO_LARGE] },
  "4,000 characters": { make: () => command({ text: pick(["x", "é", "あ"]).repeat(4000) }), answers: WELL },
  "4,001 characters": { make: () => command({ text: pick(["x", "é", "あ"]).repeat(4001) }), answers: ["invalid_text"] },
  "half a surrogate pair": { make: () => command().replace("hi", pick(["\\ud800", "\\udfff\\ud800", "x\\ud83dx", "\\uD83E\\uD83E"])), answers: ["malformed"] },
  "control characters": { make: () => command({ text: `a${String.fromCharCode(pick([0, 1, 7, 8, 11, 12, 13, 27, 31, 127, 128, 133, 159]))}b` }),
    answers: ["invalid_text"] },
  "control characters as they are": { make: () => command().replace("hi", `a${String.fromCharCode(upTo(32))}b`), answers: ["malformed"] },
  "white space": { make: () => command({ text: pick(["", " ", "\n\n\t", "\u3000", "\u2003\u00a0"]) }), answers: ["invalid_text"] },
  HTML: { make: () => command({ text: pick(["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><svg/onload=alert(1)>', "</textarea><b>"]) }), answers: WELL },
  "a prototype": { make: () => command().replace("{", pick(['{"__proto__":{"type":"kick"},', '{"constructor":{"prototype":{"role":"owner"}},', '{"toString":1,'])),
    answers: WELL },
  "a value of another type": { make: () => {
    const members = pick(COMMANDS), name = pick(Object.keys(members).filter((name) => name !== "type"));
    return written({ ...members, [name]: pick(VALUES) });
  }, answers: [...WELL, "welcome", "malformed", "invalid_id", "invalid_text", "invalid_until", "not_found", "forbidden", "id_reused"] },
  "a member less": { make: () => {
    const { ...members } = pick(COMMANDS);
    delete members[pick(Object.keys(members).filter((name) => name !== "resume_after" && name !== "epoch"))];
    return written(members);
  }, answers: ["malformed"] },
  "a type of another type": { make: () => command({ type: pick([null, 1, [], {}, true]) }), answers: ["malformed"] },
  "a type that nobody knows": { make: () => command({ type: pick(["", "SEND", "send ", "welcome", "message", "ack", "__proto__", "x".repeat(9000), "\0"]) }),
    answers: ["unknown_type"] },
  "a member twice": { make: () => command().replace("}", pick([',"text":"other"}', ',"id":"other"}', ',"type":"kick"}', ',"type":"send"}'])),
    answers: ["malformed"] },
  "no id": { make: () => command({ id: pick(["", " ", "a b", "é", "x".repeat(65), "\u007f", "a\nb", "<b>".repeat(30)]) }), answers: ["invalid_id"] },
  "an odd id": { make: () => command({ id: pick(["<b>", "';DROP_TABLE_events;--", "%s", "../..", "x".repeat(64), "null"]) }), answers: WELL },
  "another author": { make: ({ person }) => command({ author: person, person: person.id, by: person, role: "owner", seq: 1, at: "1970-01-01T00:00:00Z", deleted: true }),
    answers: WELL },
  "a foreign message is to be deleted": { make: ({ seq }) => command({ type: "delete", seq }),
    answers: ["forbidden", "rate_limited", "not_found"] }, // the last once long texts have driven it out
  "a message is to be deleted that there is not": { make: () => written({ type: '"delete"', id: `"${id()}"`, seq: pick(SEQS) }),
    answers: ["not_found", "malformed", "rate_limited"] },
  "the owner is to go": { make: ({ person }) => command({ type: pick(["kick", "ban"]), person: person.id, until: "2030-01-01T00:00:00Z" }),
    answers: ["forbidden", "rate_limited"] },
  "a ban until some day": { make: ({ person }) => command({ type: "ban", person: person.id, until: pick(UNTIL) }),
    answers: ["forbidden", "invalid_until", "rate_limited"] },
  "hello again": { make: () => written({ type: '"hello"', resume_after: pick(["null", ...SEQS]), epoch: pick(["null", '"x"', `"${"e".repeat(9000)}"`, "1"]) }),
    answers: ["welcome", "malformed"] },
  typing: { make: ({ person }) => JSON.stringify({ type: "typing", person, from: person.id }), answers: [] },
};

/** A command that was acknowledged. */
interface Acknowledged { person: Person; seq: number; command: Said }

/** One person who means no good, on one socket after another; tells what was acknowledged, and counts what answered which kind. */
async function attack(room: string, name: string, frames: [string, string | Buffer][], answers: Map<string, number>): Promise<Acknowledged[]> {
  const person = await signIn(stack, name), acknowledged: Acknowledged[] = [];
  let client: Client | undefined, welcomed = false, sockets = 0;
  for (const [kind, payload] of frames) {
    if (!client || client.wire.closed) {
      client = await Client.connect(stack, room, person);
      welcomed = sockets++ % 8 !== 0; // now and then without a word of greeting
      if (welcomed) await client.hello();
    }
    client.wire.write(frame(KINDS[kind].opcode ?? TEXT, payload));
    if (kind === "typing" && welcomed) continue; // the only one that is not answered
    const what = `an answer to "${kind}": ${JSON.stringify(payload.toString()).slice(0, 300)}`;
    const answer = await client.hearsWhat(what, ({ type }) => ["ack", "error", "welcome"].includes(type), 10_000).catch((e) => {
      if (!client!.wire.closed) throw e;
    });
    client.heard = [];
    const { code = 0, reason = "" } = client.wire.closed ?? {}, told = answer ? answer.code ?? answer.type : `closed ${code} ${reason}`.trim();
    assert.ok([...KINDS[kind].answers, ...(welcomed ? [] : ["hello_first"])].includes(told), `${what} is ${told}`);
    if (answer?.type === "error")
      assert.deepEqual(Object.keys(answer).filter((key) => !["type", "code", "message", "id", "retry_after_ms"].includes(key)), [], JSON.stringify(answer));
    if (answer?.type === "ack") acknowledged.push({ person, seq: answer.seq, command: JSON.parse(payload.toString()) });
    welcomed ||= answer?.type === "welcome";
    answers.set(`${kind}: ${told}`, (answers.get(`${kind}: ${told}`) ?? 0) + 1);
  }
  client?.kill();
  return acknowledged;
}

const isText = (value: unknown) => typeof value === "string" && value.isWellFormed();
const isPerson = (value: any, ...more: string[]) => assert.ok(isText(value.id) && isText(value.name), JSON.stringify(value))
  ?? assert.deepEqual(Object.keys(value).sort(), ["id", "name", ...more].sort());
/** What a bystander may hear: nothing but this. */
const HEARD: Record<string, (said: Said) => void> = {
  message: ({ type, seq, id, author, text, at, deleted, ...rest }) => {
    assert.deepEqual([Number.isSafeInteger(seq), isText(id), isText(text), isText(at), rest], [true, true, true, true, {}]);
    isPerson(author);
  },
  deleted: ({ by }) => isPerson(by),
  presence: ({ type, person, online, ...rest }) => { isPerson(person, "role"); assert.deepEqual([typeof online, rest], ["boolean", {}]); },
  typing: ({ type, person, ...rest }) => { isPerson(person); assert.deepEqual(rest, {}); },
};

describe("in a room where somebody only listens", () => {
  const room = "attacked";
  let bystander: Client, elsewhere: Client, target: Target, opened: number;
  const acknowledged: Acknowledged[] = [];
  before(async () => {
    elsewhere = await Client.join(stack, "elsewhere", "elsa");
    bystander = await Client.join(stack, room, "ann");
    target = { person: { ...bystander.person, token: "" }, seq: await bystander.send("I only listen") };
    await sleep(200); // until the log has come
    opened = log.opened;
  });

  /** The room goes on, the very same object, and nobody else has noticed. */
  async function nothingHappened() {
    const seq = await bystander.send("still here");
    await bystander.hears({ type: "message", seq, text: "still here", author: { id: bystander.person.id } });
    assert.deepEqual([log.opened - opened, log.traps, log.panics], [0, 0, 0]);
    // Of its own accord the runtime tells of peers that break RFC 6455.
    assert.deepEqual(log.lines.filter((line) => /"level":"error"|RuntimeError|uncaught/i.test(line) && !/WebSocket protocol error/.test(line)), []);
    assert.deepEqual(bystander.events.map(({ seq }) => seq), bystander.events.map((_, i) => i + 1), "no gap, nothing twice");
    assert.deepEqual([elsewhere.wire.closed, elsewhere.heard], [undefined, []]);
  }

  test(`${FRAMES} hostile frames are answered by a named error, a number or a named close (seed ${SEED})`, async (t) => {
    // Drawn before the first is sent, so that a seed gives the same frames again, however fast the answers come.
    const attackers = Array.from({ length: Math.ceil(FRAMES / EACH) }, () => Array.from({ length: EACH }, (): [string, string | Buffer] => {
      const kind = pick(Object.keys(KINDS));
      return [kind, KINDS[kind].make(target)];
    })), answers = new Map<string, number>(), from = performance.now(), next = attackers.entries();
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (const [i, frames] of next) acknowledged.push(...await attack(room, `eve-${i}`, frames, answers));
    }));
    t.diagnostic(`${Math.round(performance.now() - from)} ms; ${acknowledged.length} acknowledged`);
    for (const [answer, count] of [...answers].sort()) t.diagnostic(`${String(count).padStart(5)} x ${answer}`);
    for (const [kind, { answers: [answer] }] of Object.entries(KINDS))
      if (answer) assert.ok(answers.has(`${kind}: ${answer}`), `"${kind}" was never answered with ${answer}`);
    await nothingHappened();
  });

  test("the bystander heard what was acknowledged, by those who sent it, and nothing else", async () => {
    for (const said of [...bystander.heard, ...bystander.events]) (HEARD[said.type] ?? assert.fail)(said);
    const byEve = bystander.events.filter((event) => (event.author ?? event.by).id !== bystander.person.id);
    const heard = byEve.map(({ at, type, ...event }) => event);
    const known = new Map(acknowledged.map(({ person: { id, name }, seq, command }) => [seq, { seq, id: command.id,
      ...(command.type === "delete" ? { target: command.seq, by: { id, name } } : { author: { id, name }, text: command.text }) }]));
    assert.deepEqual(heard, [...known.values()].sort((a, b) => a.seq - b.seq));
    for (const { type, person } of bystander.heard) if (type === "typing") assert.match(person.name, /^eve-\d+$/);
  });

  test("a thousand frames at once are flooding, and the room does not mind", async () => {
    const eve = await Client.join(stack, room, "eve");
    eve.wire.write(Buffer.concat(Array.from({ length: 1000 }, () => frame(TEXT, '{"type":"typing"}'))));
    assert.deepEqual(await eve.closes(), { code: 4429, reason: "flooding" });
    await nothingHappened();
  });

  // What a client library would not let pass. The runtime answers some of it itself; the room must not notice.
  const valid = () => Buffer.from(JSON.stringify({ type: "send", id: "w", text: "said at last" }));
  const WIRE: [string, (wire: Wire) => void, string][] = [
    ["a frame without a mask", (wire) => wire.write(frame(TEXT, valid(), { masked: false })), "ack"],
    ["a text that is not UTF-8", (wire) => wire.write(frame(TEXT, Buffer.from([0x22, 0xff, 0xfe, 0xc0, 0xaf, 0x22]))), "malformed"],
    ["a surrogate in UTF-8", (wire) => wire.write(frame(TEXT, Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]))), "malformed"],
    ["a message in pieces, a ping between them", (wire) => {
      const [a, b, c] = [valid().subarray(0, 5), valid().subarray(5, 11), valid().subarray(11)];
      wire.write(frame(TEXT, a, { final: false }));
      wire.write(frame(PING, "are you there?"));
      wire.write(frame(CONTINUATION, b, { final: false }));
      wire.write(frame(CONTINUATION, c));
    }, "ack"],
    ["a message of a thousand empty pieces", (wire) => {
      wire.write(frame(TEXT, valid(), { final: false }));
      for (let i = 0; i < 1000; i++) wire.write(frame(CONTINUATION, "", { final: false }));
      wire.write(frame(CONTINUATION));
    }, "ack"],
    ["a piece of nothing", (wire) => wire.write(frame(CONTINUATION, valid())), "closed 1002"],
    ["a message within a message", (wire) => { wire.write(frame(TEXT, "{", { final: false })); wire.write(frame(TEXT, valid())); }, "closed 1002"],
    ["a ping in pieces", (wire) => wire.write(frame(PING, "a", { final: false })), "closed 1002"],
    ["a ping of 126 bytes", (wire) => wire.write(frame(PING, "x".repeat(126))), "nothing"],
    ["close code 1005", (wire) => wire.close(1005), "closed 1005"],
    ["close code 1006", (wire) => wire.close(1006), "closed 1005"],
    ["close code 0", (wire) => wire.close(0), "closed 1005"],
    ["half a close code", (wire) => wire.write(frame(CLOSE, "\x03")), "closed 1005"],
    ["a close without a code", (wire) => wire.write(frame(CLOSE)), "closed 1005"],
    ["a close with a reason that is not UTF-8", (wire) => wire.write(frame(CLOSE, Buffer.from([0x03, 0xe8, 0xff, 0xff]))), "closed 1000"],
    ["a reserved opcode", (wire) => wire.write(frame(0x3, valid())), "closed 1002"],
    ["a reserved control opcode", (wire) => wire.write(frame(0xb, "x")), "closed 1002"],
    ["a reserved bit", (wire) => wire.write(frame(TEXT, valid(), { reserved: 4 })), "closed 1002"],
    ["a frame that claims 1 GiB", (wire) => wire.write(frame(TEXT, "x", { length: 2n ** 30n })), "closed 1009"],
    ["a frame that claims 2^63 bytes", (wire) => wire.write(frame(TEXT, "x", { length: 2n ** 63n })), "closed 1009"],
    ["HTTP", (wire) => wire.write(Buffer.from(`GET / HTTP/1.1\r\nHost: ${"x".repeat(100)}\r\n\r\n`)), "closed 1002"],
    ["half a frame, and the end", (wire) => { wire.write(frame(TEXT, valid()).subarray(0, 20)); setTimeout(() => wire.kill(), 20); }, "closed 1006"],
  ];
  for (const [what, happens, answers] of WIRE) test(`on the wire: ${what}`, async () => {
    const eve = await Client.join(stack, room, "eve");
    happens(eve.wire);
    const answer = await eve.hearsWhat(answers, ({ type }) => ["ack", "error"].includes(type), 2000).catch(() => {});
    const told = answer ? answer.code ?? answer.type : eve.wire.closed ? `closed ${eve.wire.closed.code}` : "nothing";
    eve.kill();
    await nothingHappened();
    assert.equal(told, answers);
  });

  test("afterwards newcomers talk, and read all of it", async () => {
    const bob = await Client.join(stack, room, "bob"), seq = await bob.send("what was that?");
    await bystander.hears({ type: "message", seq, text: "what was that?", author: { id: bob.person.id, name: "bob" } });
    await sleep(100);
    const read = await history(stack, room, bob.person);
    assert.deepEqual(read.map(({ seq }) => seq), bystander.events.map(({ seq }) => seq).filter((seq) => seq >= bob.welcome.oldest));
    assert.ok(!bystander.events.some((event) => event.target === target.seq), "nobody deleted what was not theirs");
    await nothingHappened();
  });
});
