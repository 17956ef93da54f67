// Somebody who stays in a room through everything: connects again, resumes, and sends again what was not acknowledged, as
// PROTOCOL.md asks of clients; and who notices when the room breaks its part.
import { setTimeout as sleep } from "node:timers/promises";
import type { Stack } from "../../../tests/harness/stack.ts";
import { DURABLE, open, type Person, type Said, until } from "./client.ts";
import type { Wire } from "./websocket.ts";

/** ms until a command or a hello that nobody answered is said again. */
const PATIENCE = 3000;
/** Closes after which a client stays away. */
const FINAL = [4401, 4403, 4409, 4410];

/** What became of a command: its number, or the code of the error that refused it. */
export type Outcome = { seq: number } | { code: string };
interface Pending { command: Said; tries: number; saidAt: number; settle: (outcome: Outcome) => void }

export class Member {
  readonly person: Person;
  readonly room: string;
  /** The number before its time: that of the first welcome. */
  from = -1;
  /** The number of the last event that it has. */
  seq = -1;
  /** `resumed`: after a kill. */
  readonly counts = { connections: 0, kills: 0, resumed: 0, saidAgain: 0, missed: 0, gaps: 0, duplicates: 0, unavailable: 0 };
  readonly pending = new Map<string, Pending>();
  #answered = new Map<string, string>(); // by id, how its command was settled
  #stack: Stack;
  #told: (event: Said) => void;
  #problem: (what: string) => void;
  #epoch: string | undefined;
  #wire: Wire | undefined;
  #welcomed = false; // and has not asked for what it missed since
  #known = false; // it was welcomed on this socket
  #greeted = Infinity; // when hello was said that was not answered yet
  #killed = false;
  #leaving = false;
  #life: Promise<void>;
  #clock: NodeJS.Timeout;

  /** `told` hears each durable event once and in order, `problem` what a room must not do. */
  constructor(stack: Stack, room: string, person: Person, told: (event: Said) => void, problem: (what: string) => void) {
    this.#stack = stack;
    this.room = room;
    this.person = person;
    this.#told = told;
    this.#problem = (what) => problem(`${person.name} in ${room} ${what}`);
    this.#life = this.#live();
    this.#clock = setInterval(() => this.#hurry(), 250);
  }

  get welcomed() { return this.#welcomed; }

  /** Settles once the command is acknowledged or refused, however often it has to be said until then. */
  send(text: string, id: string): Promise<Outcome> {
    return new Promise((settle) => {
      const its: Pending = { command: { type: "send", id, text }, tries: 0, saidAt: 0, settle };
      this.pending.set(id, its);
      if (this.#welcomed) this.#say(its);
    });
  }

  /** Loses its connection without a close, at once or as soon as it has one. */
  async kill() {
    await until(`${this.person.name} is connected and can be killed`, 60_000, () => this.#welcomed);
    this.#killed = true;
    this.counts.kills++;
    this.#wire!.kill();
  }

  async leave() {
    this.#leaving = true;
    clearInterval(this.#clock);
    this.#wire?.close();
    await this.#life;
  }

  async #live() {
    for (let tries = 0; !this.#leaving; tries++) {
      try {
        const wire = this.#wire = await open(this.#stack, this.room, this.person);
        this.counts.connections++;
        wire.onmessage = (message) => { if (this.#hears(JSON.parse(message as string))) tries = 0; };
        this.#hello();
        const { code, reason } = await wire.ended;
        if (FINAL.includes(code) && !this.#leaving) { this.#problem(`was closed: ${code} ${reason}`); return; }
      } catch { /* not let in just now */ }
      this.#welcomed = this.#known = false;
      this.#greeted = Infinity;
      if (!this.#leaving) await sleep(Math.random() * Math.min(500 * 2 ** tries, 30_000));
    }
  }

  #hello() {
    this.#welcomed = false;
    this.#greeted = performance.now();
    this.#wire!.text(JSON.stringify({ type: "hello", resume_after: this.seq < 0 ? null : this.seq, epoch: this.#epoch }));
  }

  #say(its: Pending) {
    if (its.tries++) this.counts.saidAgain++;
    its.saidAt = performance.now();
    this.#wire!.text(JSON.stringify(its.command));
  }

  /** Nobody answered, so it may have been lost with an object that failed. */
  #hurry() {
    const late = performance.now() - PATIENCE;
    if (this.#welcomed) { for (const its of this.pending.values()) if (its.saidAt < late) this.#say(its); }
    else if (this.#greeted < late) this.#wire!.kill(); // a second hello on this socket might be answered twice
  }

  /** Whether that was a welcome. */
  #hears(said: Said): boolean {
    if (said.type === "welcome") { this.#welcome(said); return true; }
    if (DURABLE.includes(said.type)) this.#event(said);
    else if (said.type === "ack") this.#settle(said.id, { seq: said.seq });
    else if (said.type === "error") this.#error(said);
    return false;
  }

  #welcome({ epoch, seq, gap, you }: Said) {
    if (you.id !== this.person.id) this.#problem(`was welcomed as ${you.id}`);
    if (this.seq < 0) this.from = this.seq = seq;
    else {
      if (gap || epoch !== this.#epoch || seq < this.seq) {
        this.counts.gaps++;
        this.#problem(`resumed after ${this.seq} and was told of a gap: ${JSON.stringify({ gap, epoch, seq, before: this.#epoch })}`);
      }
      if (this.#killed) this.counts.resumed++;
      this.#killed = false;
    }
    this.#epoch = epoch;
    this.#welcomed = this.#known = true;
    this.#greeted = Infinity;
    for (const its of this.pending.values()) this.#say(its);
  }

  #event(event: Said) {
    if (!this.#welcomed) {
      // After an event that was missed, what comes before the answer comes again behind it.
      if (!this.#known) this.#problem(`was told event ${event.seq} before it was welcomed`);
    } else if (event.seq <= this.seq) {
      this.counts.duplicates++;
      this.#problem(`was told event ${event.seq} again, and has ${this.seq} already`);
    } else if (event.seq > this.seq + 1) {
      this.counts.missed++;
      this.#hello();
    } else {
      this.seq = event.seq;
      this.#told(event);
    }
  }

  #error({ id, code, retry_after_ms = 200 }: Said) {
    const its = this.pending.get(id);
    if (code === "unavailable") this.counts.unavailable++;
    if (its && (code === "unavailable" || (code === "rate_limited" && its.tries > 1)))
      its.saidAt = performance.now() + retry_after_ms - PATIENCE; // it may be stored: only an ack tells
    else if (its) this.#settle(id, { code });
    else if (code === "unavailable" && !this.#welcomed) {
      const wire = this.#wire;
      setTimeout(() => { if (wire === this.#wire && !this.#welcomed) this.#hello(); }, retry_after_ms);
    } else if (!this.#answered.has(id)) this.#problem(`was told ${code}, and not what about`);
  }

  #settle(id: string, outcome: Outcome) {
    const its = this.pending.get(id);
    const answer = JSON.stringify(outcome), before = this.#answered.get(id);
    this.pending.delete(id);
    this.#answered.set(id, answer);
    if (its) its.settle(outcome);
    else if (before !== answer) this.#problem(`was answered ${answer} to ${id}, and before that ${before}`);
  }
}
