// The tests' own client of edge-chat.v1 (PROTOCOL.md), independent of the page's.
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Stack } from "../../../tests/harness/stack.ts";
import { Wire } from "./websocket.ts";

/** The pattern is the folder that these tests lie in, so that a copy tests itself. */
export const PATTERN = join(import.meta.dirname, ".."), WORKER = basename(PATTERN);
export const PROTOCOL = "edge-chat.v1";
export interface Person { id: string; name: string; token: string }
/** A message of the room's. */
export type Said = Record<string, any> & { type: string };
/** Those that have a number. */
export const DURABLE = ["message", "deleted", "kicked", "banned"];

export async function signIn(stack: Stack, name: string): Promise<Person> {
  const answer = await stack.fetch(WORKER, "/session", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ name }) });
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  const { token, person } = JSON.parse(text);
  return { ...person, token };
}

/** A socket to the room for whom the token names; says nothing yet. */
export const open = (stack: Stack, room: string, { token }: Person, headers: Record<string, string> = {}): Promise<Wire> =>
  Wire.open(new URL(`/rooms/${room}/socket`, stack.urls.get(WORKER)),
    { authorization: `Bearer ${token}`, "sec-websocket-protocol": PROTOCOL, ...headers });

/** The durable events of a room, all that are retained, page by page over HTTP. */
export async function history(stack: Stack, room: string, { token }: Person, limit = 200): Promise<Said[]> {
  const events: Said[] = [];
  for (let before: number | null | undefined; before !== null;) {
    const query = new URLSearchParams({ limit: String(limit), ...(before !== undefined && { before: String(before) }) });
    const answer = await stack.fetch(WORKER, `/rooms/${room}/history?${query}`, { headers: { authorization: `Bearer ${token}` } });
    const text = await answer.text();
    assert.equal(answer.status, 200, text);
    const page = JSON.parse(text);
    events.unshift(...page.events);
    before = page.next_before;
  }
  return events;
}

/** A refusal of a command, by its code. */
export class CommandError extends Error {
  readonly code: string;
  readonly answer: Said;
  constructor(answer: Said) {
    super(`${answer.code}: ${answer.message}`);
    this.code = answer.code;
    this.answer = answer;
  }
}

const has = (said: Said, members: object): boolean => Object.entries(members).every(([name, value]) =>
  (value !== null && typeof value === "object" ? has(said[name] ?? {}, value) : said[name] === value));
let commands = 0;

/** Milliseconds until a test gives up: no bound on how fast a room is, since a machine that also does other things may take seconds. */
export const PATIENCE = 30_000;

/** Throws when it takes longer. */
export async function until(what: string, ms: number, holds: () => boolean): Promise<void> {
  for (const end = performance.now() + ms; !holds(); await sleep(2))
    if (performance.now() > end) throw new Error(`waited ${ms / 1000} s in vain until ${what}`);
}

/** One person on one socket. */
export class Client {
  readonly person: Person;
  readonly room: string;
  readonly wire: Wire;
  /** What was said to it and nobody asked for yet, in order. */
  heard: Said[] = [];
  /** All durable events that it was told, in order. */
  readonly events: Said[] = [];
  welcome!: Said;
  #waiting = new Set<() => void>();

  private constructor(room: string, person: Person, wire: Wire) {
    this.room = room;
    this.person = person;
    this.wire = wire;
    const look = () => { for (const one of this.#waiting) one(); };
    wire.onmessage = (message) => {
      assert.equal(typeof message, "string", "the room speaks text");
      const said: Said = message === "pong" ? { type: "pong" } : JSON.parse(message as string);
      this.heard.push(said);
      if (DURABLE.includes(said.type)) this.events.push(said);
      look();
    };
    wire.ended.then(look);
  }

  /** Connects and says nothing yet. */
  static async connect(stack: Stack, room: string, who: Person | string, headers?: Record<string, string>): Promise<Client> {
    const person = typeof who === "string" ? await signIn(stack, who) : who;
    return new Client(room, person, await open(stack, room, person, headers));
  }
  /** Connects, says hello and is welcomed. */
  static async join(stack: Stack, room: string, who: Person | string, resumeAfter: number | null = null, epoch?: string): Promise<Client> {
    const client = await Client.connect(stack, room, who);
    await client.hello(resumeAfter, epoch);
    return client;
  }

  say(message: object | string) { this.wire.text(typeof message === "string" ? message : JSON.stringify(message)); }

  /** The first message with these members that nobody asked for yet, of those heard or within `ms`. */
  hears(members: object, ms?: number): Promise<Said> {
    return this.hearsWhat(JSON.stringify(members), (said) => has(said, members), ms);
  }
  hearsWhat(what: string, matches: (said: Said) => boolean, ms = PATIENCE): Promise<Said> {
    return this.#within(ms, () => {
      const i = this.heard.findIndex(matches);
      return i < 0 ? undefined : this.heard.splice(i, 1)[0];
    }, what);
  }

  /** The socket's end, by whomever, within `ms`. */
  closes(ms = PATIENCE): Promise<{ code: number; reason: string }> {
    return this.#within(ms, () => this.wire.closed, "a close");
  }

  async hello(resume_after: number | null = null, epoch?: string): Promise<Said> {
    this.say({ type: "hello", resume_after, epoch });
    return (this.welcome = await this.hears({ type: "welcome" }));
  }

  /** The number under which the command is stored; throws `CommandError` when it is refused. Gives it an id when it has none. */
  async command(command: Record<string, unknown>): Promise<number> {
    const id = command.id ?? `c-${++commands}`;
    this.say({ ...command, id });
    const answer = await this.hearsWhat(`an answer to ${id}`, (said) => said.id === id && ["ack", "error"].includes(said.type));
    if (answer.type === "error") throw new CommandError(answer);
    return answer.seq;
  }
  send(text: string, id?: string) { return this.command({ type: "send", text, ...(id !== undefined && { id }) }); }

  close() { this.wire.close(); }
  /** Goes without a close. */
  kill() { this.wire.kill(); }

  #within<T>(ms: number, take: () => T | undefined, what: string): Promise<T> {
    return new Promise((done, fail) => {
      const look = () => {
        const found = take();
        if (found !== undefined) { end(); done(found); return; }
        if (this.wire.closed) tell("; the socket was closed");
      };
      const tell = (why: string) => {
        end();
        const { closed } = this.wire, last = this.heard.slice(-10).map((said) => `\n  ${JSON.stringify(said).slice(0, 300)}`).join("");
        fail(new Error(`${this.person.name} in ${this.room} did not hear ${what}${why}${closed ? ` (${closed.code} ${closed.reason})` : ""}; `
          + `heard, and not asked for: ${this.heard.length ? last : "nothing"}`));
      };
      const end = () => { clearTimeout(timer); this.#waiting.delete(look); };
      const timer = setTimeout(tell, ms, ` within ${ms} ms`);
      this.#waiting.add(look);
      look();
    });
  }
}
