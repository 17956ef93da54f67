// Many people in many rooms, and everything goes wrong that can: nothing that was acknowledged may be lost, told twice, or told in
// another order.
//
//   node patterns/chat-room/tests/soak.ts [--seed N] [--sockets 500] [--rooms 20] [--messages 20000] [--kill 5]
//
// --seed gives the same decisions again: who says what, whose socket is killed, what fails and when (timing is what it is).
// --kill is the share of sockets that end without a close, in percent. Exit status 1, and why, when the rooms broke their word.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { startPattern } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { Client, history, PATTERN, type Said, signIn, until, WORKER } from "./client.ts";
import { Log } from "./log.ts";
import { Member, type Outcome } from "./member.ts";
import { Random } from "./random.ts";

export interface Options {
  seed: number;
  sockets: number;
  rooms: number;
  messages: number;
  /** Percent of the sockets. */
  kill: number;
  /** How often each is provoked. */
  faults: Record<Fault, number>;
}
/** A room is evicted; all are aborted; the code panics or traps; it answers that it is not available. */
type Fault = "evictions" | "aborts" | "panics" | "traps" | "failures";
export interface Report {
  /** In the order of the table. */
  counts: Record<string, number>;
  /** Empty when all went as promised. */
  violations: string[];
}

/** Messages a second of each person, on average: of the five that one may say. */
const RATE = 1.5;
/** Commands that nobody has answered yet, in all rooms: more are not said until the rooms keep up. */
const IN_FLIGHT = 400;
/** More at once than one person may say, and how many messages there are for one such burst. */
const BURST = 60, EACH_BURST = 4000;
/** Messages that are under way when a socket is killed, or a room evicted. */
const UNDER_WAY = 3;
/** Share of messages that must be refused, and of people who come when the others have begun. */
const BAD = 0.01, LATE = 0.1;
const REFUSED = ["", " \n\t ", "bell\x07", "x".repeat(4001)];
const WORDS = ["ahoj", "hello", "no", "why not", "später", "déjà vu", "こんにちは", "🦀", "e\u0301", "<b>bold</b>", '"quoted"', "back\\slash", "line\nfeed",
  "tab\there", "\u202eright to left"];

/** `at` is when: 0 is the beginning and 1 the end. People and rooms are numbers. */
type Step = { at: number }
  & ({ says: number; text: string } | { bursts: number } | { joins: number } | { dies: number } | { fails: Fault; room: number; by: number[] });

/** All decisions, drawn before anything happens: how fast answers come must not change them. */
function planned({ seed, sockets, rooms, messages, kill, faults }: Options): Step[] {
  const random = new Random(seed), people = [...Array(sockets).keys()], within = (from: number, to: number) => from + random.next() * (to - from);
  const late = people.slice(sockets - Math.floor(sockets * LATE)), early = people.slice(0, sockets - late.length);
  const joined = new Map(late.map((i) => [i, within(0.1, 0.6)])), inRoom = (room: number) => early.filter((i) => i % rooms === room);
  const hits = random.shuffled(Object.entries(faults).flatMap(([name, times]) => Array<Fault>(times).fill(name as Fault)));
  const steps: Step[] = [
    ...[...joined].map(([joins, at]) => ({ at, joins })),
    ...random.shuffled(early).slice(0, Math.round(sockets * kill / 100)).map((dies) => ({ at: within(0.05, 0.9), dies })),
    ...Array.from({ length: Math.ceil(messages / EACH_BURST) }, () => ({ at: within(0.1, 0.9), bursts: random.pick(early) })),
    ...hits.map((fails, k) => {
      const room = random.upTo(rooms);
      return { at: 0.05 + 0.85 * (k + within(0, 0.5)) / hits.length, fails, room, by: random.shuffled(inRoom(room)).slice(0, UNDER_WAY) };
    }),
  ];
  const others = rooms + steps.reduce((sum, step) => sum + ("dies" in step ? UNDER_WAY : "bursts" in step ? BURST : "fails" in step ? step.by.length : 0), 0);
  for (let i = 0, count = Math.max(0, messages - others); i < count; i++) {
    const at = i / count, there = (i: number) => (joined.get(i) ?? 0) < at;
    let says = random.pick(people);
    while (!there(says) && joined.has(says)) says = random.pick(people);
    const text = () => `${i}: ${Array.from({ length: random.chance(0.01) ? 300 : 1 + random.upTo(8) }, () => random.pick(WORDS)).join(" ")}`;
    steps.push({ at, says, text: random.chance(BAD) ? random.pick(REFUSED) : text() });
  }
  return steps.sort((a, b) => a.at - b.at);
}

/** One room, as all who are in it see it. */
class Room {
  readonly name: string;
  readonly members: Member[] = [];
  /** By number: whose command it is, its text, and all of it that must look the same to everybody. */
  readonly events = new Map<number, { command: string; text: string; look: string }>();
  constructor(name: string) { this.name = name; }

  /** Who hears an event first says what it is. Tells what is wrong when another one hears something else. */
  see({ seq, type, id, author, text, at }: Said): string | undefined {
    const look = JSON.stringify([type, id, author?.id, author?.name, text, at]), known = this.events.get(seq);
    if (!known) this.events.set(seq, { command: `${author?.id} ${id}`, text, look });
    else if (known.look !== look) return `event ${seq} of ${this.name} is ${known.look} to one and ${look} to another`;
  }
}
interface Sent { member: Member; room: Room; id: string; text: string; outcome?: Outcome }

class Soak {
  readonly violations: string[] = [];
  readonly violate = (what: string) => { this.violations.push(what); };
  readonly rooms: Room[];
  readonly members = new Map<number, Member>();
  readonly sent: Sent[] = [];
  inFlight = 0;
  readonly hits: Record<Fault, number> = { evictions: 0, aborts: 0, panics: 0, traps: 0, failures: 0 };
  #stack: Stack;
  #log: Log;
  #options: Options;

  constructor(stack: Stack, log: Log, options: Options) {
    this.#stack = stack;
    this.#log = log;
    this.#options = options;
    this.rooms = Array.from({ length: options.rooms }, (_, i) => new Room(`soak-${i + 1}`));
  }

  roomOf(i: number) { return this.rooms[i % this.rooms.length]; }
  sum(name: keyof Member["counts"]) { return [...this.members.values()].reduce((sum, { counts }) => sum + counts[name], 0); }

  async run(progress: (line: string) => void): Promise<Report> {
    const { sockets, messages } = this.#options, steps = planned(this.#options), duration = messages / (RATE * sockets) * 1000;
    const people = await inTurn([...Array(sockets).keys()], 20, (i) => signIn(this.#stack, `person-${i + 1}`));
    const late = new Set(steps.flatMap((step) => ("joins" in step ? [step.joins] : [])));
    const join = (i: number) => {
      const room = this.roomOf(i);
      const member = new Member(this.#stack, room.name, people[i], (event) => { const why = room.see(event); if (why) this.violate(why); }, this.violate);
      this.members.set(i, member);
      room.members.push(member);
    };
    for (const i of people.keys()) if (!late.has(i)) join(i);
    await until("everybody is welcomed", 60_000, () => [...this.members.values()].every(({ welcomed }) => welcomed));
    progress(`${this.members.size} people are in ${this.rooms.length} rooms`);

    const from = performance.now(), dying: Promise<void>[] = [];
    let failing = Promise.resolve(), shown = from;
    for (const step of steps) {
      const due = from + step.at * duration;
      if (due > performance.now() + 2) await sleep(due - performance.now());
      if ("says" in step) this.#say(step.says, step.text);
      else if ("bursts" in step) for (let n = 0; n < BURST; n++) this.#say(step.bursts, `much at once ${n}`);
      else if ("joins" in step) join(step.joins);
      else if ("dies" in step) {
        for (let n = 0; n < UNDER_WAY; n++) this.#say(step.dies, `said and gone ${n}`); // stored or not: the answer is lost
        dying.push(this.members.get(step.dies)!.kill());
      } else {
        await failing; // one after the other, so that each is seen to have hit
        failing = this.#fail(step.fails, this.rooms[step.room], step.by);
      }
      if (this.inFlight > IN_FLIGHT) await until("the rooms answer", 60_000, () => this.inFlight <= IN_FLIGHT);
      if (performance.now() - shown > 5000) { shown = performance.now(); progress(`${this.sent.length} sent, ${this.inFlight} of them not answered yet`); }
    }
    await failing;
    await Promise.all(dying);
    await until("every command is answered", 60_000, () => this.inFlight === 0).catch((e) => this.violate(e.message));
    const seconds = (performance.now() - from) / 1000;

    await this.#lastWords();
    this.#check();
    await inTurn(this.rooms, 4, (room) => this.#compare(room));
    await Promise.all([...this.members.values()].map((member) => member.leave()));
    return { counts: this.#counts(seconds), violations: this.violations };
  }

  #say(i: number, text: string): Promise<void> {
    const member = this.members.get(i)!, one: Sent = { member, room: this.roomOf(i), id: `m-${this.sent.length + 1}`, text };
    this.sent.push(one);
    this.inFlight++;
    return member.send(text, one.id).then((outcome) => { one.outcome = outcome; this.inFlight--; });
  }

  /** Provokes it while `by` say something in this room, and sees that it hit. */
  async #fail(fault: Fault, room: Room, by: number[]) {
    const faults = await this.#stack.rpc("faults"), log = this.#log, members = [...this.members.values()];
    const talk = () => { for (const i of by) this.#say(i, `among ${fault}`); };
    const arm = async (what: string, hit: string, count: () => number) => {
      const before = count(), met = () => count() > before;
      for (let tries = 1; !met(); tries++) { // again, where it hit a frame of somebody who was gone before the answer
        await faults.arm("room", what);
        talk();
        await until(hit, 3000, met).catch((e) => { if (tries === 5) throw e; });
      }
    };
    try {
      if (fault === "panics") await arm("panic", "a frame meets the panic", () => log.panics);
      else if (fault === "failures") await arm("fail", "somebody is told that the room is not available", () => this.sum("unavailable"));
      else if (fault === "traps") {
        const before = log.opened;
        await arm("trap", "a frame meets the trap", () => log.traps);
        await until("several rooms are read again after the trap: they were in one isolate", 10_000, () => log.opened > before + 1);
      } else if (fault === "evictions") {
        const before = log.opened;
        talk();
        await this.#stack.evict(WORKER, "Room", { name: room.name });
        talk();
        await until(`${room.name} is read again after its eviction`, 10_000, () => log.opened > before);
      } else {
        const before = members.map(({ counts }) => counts.connections);
        talk();
        await this.#stack.abortObjects();
        await until("everybody is back after all rooms were aborted", 60_000,
          () => members.every(({ welcomed, counts }, i) => welcomed && counts.connections > before[i]));
      }
      this.hits[fault]++;
    } catch (e: any) { this.violate(`${fault}: ${e.message}`); }
  }

  /** Whoever has the last word of a room, and missed nothing on the way, has everything. */
  async #lastWords() {
    for (const i of this.rooms.keys()) this.#say(i, "that was all");
    await until("the last words are answered", 20_000, () => this.inFlight === 0).catch((e) => this.violate(e.message));
    const last = this.sent.slice(-this.rooms.length).map(({ outcome }) => (outcome && "seq" in outcome ? outcome.seq : NaN));
    const without = () => this.rooms.flatMap(({ members }, i) =>
      members.filter(({ seq }) => seq !== last[i]).map(({ person, room, seq }) => `${person.name} has the events of ${room} to ${seq} of ${last[i]}`));
    await until("everybody has the last word", 20_000, () => !without().length).catch(() => without().forEach(this.violate));
  }

  /** An acknowledged command is one event, with its text, under the number that was acknowledged; another one is none. */
  #check() {
    for (const room of this.rooms) {
      const events = new Map<string, number[]>();
      for (const [seq, { command }] of room.events) events.set(command, [...events.get(command) ?? [], seq]);
      for (const { member: { person }, id, text, outcome } of this.sent.filter((one) => one.room === room)) {
        const command = `${person.id} ${id}`, seqs = events.get(command) ?? [], what = `${person.name}'s ${id} in ${room.name}`;
        events.delete(command);
        if (!outcome) this.violate(`nobody answered ${what}`);
        else if ("code" in outcome) { if (seqs.length) this.violate(`${what} was refused, ${outcome.code}, and is event ${seqs.join(" and ")}`); }
        else if (seqs.join() !== String(outcome.seq))
          this.violate(`${what} was acknowledged as ${outcome.seq}, and is ${seqs.length ? `event ${seqs.join(" and ")}` : "nothing that anybody heard"}`);
        else if (room.events.get(outcome.seq)!.text !== text) this.violate(`${what} is ${room.events.get(outcome.seq)!.text}, and ${text} was said`);
      }
      for (const [command, seqs] of events) this.violate(`nobody said what is event ${seqs.join(" and ")} of ${room.name}: ${command}`);
      const last = Math.max(0, ...room.events.keys());
      for (let seq = 1; seq <= last; seq++) if (!room.events.has(seq)) this.violate(`${room.name} has ${last} events, and nobody heard event ${seq}`);
    }
  }

  /** What is read afterwards is what was heard, as far back as the room says that it goes. */
  async #compare(room: Room) {
    const newcomer = await Client.join(this.#stack, room.name, "newcomer"), read = await history(this.#stack, room.name, newcomer.person);
    const numbers = read.map(({ seq }) => seq), heard = [...room.events.keys()].filter((seq) => seq >= newcomer.welcome.oldest).sort((a, b) => a - b);
    newcomer.close();
    if (numbers.join() !== heard.join()) this.violate(`the history of ${room.name} has events ${shown(numbers)}, and ${shown(heard)} were heard`);
    for (const event of read) { const why = room.see(event); if (why) this.violate(`history: ${why}`); }
  }

  #counts(seconds: number): Record<string, number> {
    const { sockets, kill, faults } = this.#options, sent = this.sent.length, members = [...this.members.values()];
    const ended = (how: (outcome: any) => boolean) => this.sent.filter(({ outcome }) => outcome && how(outcome)).length;
    const acknowledged = ended(({ seq }) => seq !== undefined), limited = ended(({ code }) => code === "rate_limited");
    const refused = ended(({ code }) => code) - limited;
    const killed = this.sum("kills"), resumed = this.sum("resumed"), heard = members.reduce((sum, { from, seq }) => sum + seq - from, 0);
    for (const [fault, times] of Object.entries(faults))
      if (this.hits[fault as Fault] !== times) this.violate(`${times} ${fault} were to hit, and ${this.hits[fault as Fault]} did`);
    if (killed !== Math.round(sockets * kill / 100) || resumed !== killed) this.violate(`${killed} sockets were killed, and ${resumed} resumed`);
    if (acknowledged < sent * 0.95) this.violate(`${acknowledged} of ${sent} were acknowledged, which is less than 95%`);
    // Nothing fails within a turn here, so nobody has to notice that a number was left out.
    if (this.sum("missed")) this.violate(`${this.sum("missed")} times an event was not told, and had to be asked for`);
    if (!limited || !refused) this.violate("nothing was limited, or nothing was refused");
    return {
      seed: this.#options.seed, sockets: members.length, rooms: this.rooms.length, sent, acknowledged, limited, refused, "said again": this.sum("saidAgain"),
      "events heard": heard, killed, resumed, ...this.hits, reconnects: this.sum("connections") - members.length,
      duplicates: this.sum("duplicates"), gaps: this.sum("gaps"), "events asked for again": this.sum("missed"),
      seconds: Math.round(seconds), "messages/s": Math.round(sent / seconds), "events/s": Math.round(heard / seconds),
    };
  }
}

export async function soak(options: Options, progress: (line: string) => void = () => {}): Promise<Report> {
  const log = new Log(), stack = await startPattern(PATTERN, { faults: true, log: log.read, rateLimits: { LIMITER: 1_000_000 } });
  try {
    return await new Soak(stack, log, options).run(progress);
  } finally {
    await stack.close();
  }
}

const shown = (numbers: number[]) => `${numbers.length}: ${numbers[0]} to ${numbers.at(-1)}`;

/** `f` of each, so many at a time. */
async function inTurn<T, R>(all: T[], atOnce: number, f: (one: T) => Promise<R>): Promise<R[]> {
  const done: R[] = [], next = all.entries();
  await Promise.all(Array.from({ length: atOnce }, async () => { for (const [i, one] of next) done[i] = await f(one); }));
  return done;
}

if (process.argv[1] === import.meta.filename) {
  const { values: { help, ...values } } = parseArgs({ options: { help: { type: "boolean", short: "h" }, seed: { type: "string" }, sockets: { type: "string" },
    rooms: { type: "string" }, messages: { type: "string" }, kill: { type: "string" } } });
  if (help) {
    console.log(readFileSync(import.meta.filename, "utf8").split("\nimport ")[0].replaceAll(/^\/\/ ?/gm, ""));
    process.exit();
  }
  const given = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)]));
  for (const [name, value] of Object.entries(given)) if (!Number.isInteger(value) || value < 0) {
    console.error(`--${name} is a whole number, not ${values[name as keyof typeof values]}`);
    process.exit(2);
  }
  const { counts, violations } = await soak({ seed: Math.floor(Math.random() * 2 ** 32), sockets: 500, rooms: 20, messages: 20_000, kill: 5, ...given,
    faults: { evictions: 10, aborts: 2, panics: 3, traps: 3, failures: 3 } }, console.log);
  for (const [name, count] of Object.entries(counts)) console.log(`${name.padEnd(30)}${String(count).padStart(11)}`);
  if (violations.length) {
    console.error(`${violations.length} violations, seed ${counts.seed}; the first of them:\n${violations.slice(0, 30).join("\n")}`);
    process.exitCode = 1;
  }
}
