// A client of edge-chat.v1 (PROTOCOL.md), for any page or program that has `WebSocket`: it knows no DOM.
//
// What it promises to its user:
// - Each durable event is told once, in the order of its number, whatever is lost, repeated or missed in between.
// - What is sent is stored once. Commands wait in the outbox, and go out one after the other, so that they are stored in the
//   order in which they were made; one that hears no answer goes out again under the same id.
// - It connects again by itself, until the room says that this is of no use.

export interface Person { id: string; name: string }
export interface Member extends Person { role: "owner" | "member" }

export interface Message { type: "message"; seq: number; id: string; author: Person; text: string; at: string; deleted?: boolean }
export interface Deleted { type: "deleted"; seq: number; id: string; target: number; by: Person; at: string }
export interface Kicked { type: "kicked"; seq: number; id: string; person: Person; by: Person; at: string }
export interface Banned { type: "banned"; seq: number; id: string; person: Person; by: Person; until: string; at: string }
/** A later version may add some. */
export type Durable = Message | Deleted | Kicked | Banned;

export interface Welcome { you: Member; epoch: string; seq: number; oldest: number; gap: boolean; members: Member[] }
export interface Refusal { code: string; message: string; id?: string; retry_after_ms?: number }

export type Command = { id: string } & (
  | { type: "send"; text: string } | { type: "delete"; seq: number }
  | { type: "kick"; person: string } | { type: "ban"; person: string; until: string });
type Without<T, K extends keyof T> = T extends unknown ? Omit<T, K> : never;

/** How a welcome goes on from what was there before: the first one; all that was missed follows; some of it is not to be had
 *  any more; or the room began anew, and nothing of before counts. */
export type Since = "entered" | "resumed" | "gap" | "anew";

export type Status =
  | { state: "connecting" | "open" | "closed" }
  /** `opened` is false where the socket was refused, or nobody was reached: a browser does not tell which. */
  | { state: "waiting"; until: number; opened: boolean; code: number; reason: string }
  | { state: "stopped"; code: number; reason: string };

export interface Handlers {
  status(status: Status): void;
  welcome(welcome: Welcome, since: Since): void;
  event(event: Durable): void;
  presence(person: Member, online: boolean): void;
  typing(person: Person): void;
  /** The outbox has changed; who keeps it somewhere can go on with it after a restart. */
  outbox(commands: readonly Command[]): void;
  /** The command is stored, and no longer in the outbox. */
  stored(command: Command, seq: number): void;
  /** The command is not stored, never will be, and no longer in the outbox. */
  refused(command: Command, refusal: Refusal): void;
  /** The room takes no more for so long; the command stays in the outbox. */
  limited(ms: number): void;
}

export interface Options {
  /** What an earlier connection of the same person left. */
  outbox?: Command[];
  WebSocket?: new (url: string | URL, protocols: string) => Socket;
  random?: () => number;
}
export type Socket = Pick<WebSocket, "send" | "close" | "onopen" | "onmessage" | "onclose">;

const PROTOCOL = "edge-chat.v1";
/** Closes after which a new connection would end in the same way. */
const STOPS = new Set([4401, 4403, 4409, 4410]);
/** In milliseconds. */
const FIRST_WAIT = 500, LONGEST_WAIT = 30_000, STEADY_AFTER = 10_000, PING_EVERY = 25_000, ANSWER_WITHIN = 10_000, ACK_WITHIN = 5000;

export class Connection {
  #url: string | URL;
  #on: Handlers;
  #WebSocket: NonNullable<Options["WebSocket"]>;
  #random: () => number;

  #status: Status = { state: "closed" };
  #socket?: Socket;
  #opened = false;
  /** When this socket's first hello was answered. */
  #welcomedAt?: number;
  /** The last hello is answered. What comes before that would come again after it, so it is not looked at. */
  #current = false;
  /** The number at which something was missing, and this socket was asked for it. */
  #askedAt?: number;
  /** Connections in a row that did not last. */
  #failures = 0;

  #me?: string;
  #epoch?: string;
  /** The last number that was told. */
  #last?: number;
  #outbox: Command[];

  #reconnect?: Timer;
  #ping?: Timer;
  #deadline?: Timer;
  #resend?: Timer;

  constructor(url: string | URL, on: Handlers, options: Options = {}) {
    this.#url = url;
    this.#on = on;
    this.#outbox = [...(options.outbox ?? [])];
    this.#WebSocket = options.WebSocket ?? WebSocket;
    this.#random = options.random ?? Math.random;
  }

  get outbox(): readonly Command[] { return this.#outbox; }
  /** The last number that was told. */
  get last() { return this.#last; }

  /** Connects, if it is not connected: at first, after a stop, or instead of waiting any longer. */
  connect() {
    if (this.#socket) return;
    clearTimeout(this.#reconnect);
    this.#opened = this.#current = false;
    this.#welcomedAt = this.#askedAt = undefined;
    const socket = (this.#socket = new this.#WebSocket(this.#url, PROTOCOL));
    socket.onopen = () => {
      this.#opened = true;
      this.#hello();
    };
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onclose = ({ code, reason }) => this.#lose(code, reason);
    this.#expectAnswer();
    this.#become({ state: "connecting" });
  }

  /** The network is back, or the machine has slept: looks whether the connection lives, and does not wait for a new one. */
  wake() {
    if (this.#status.state === "waiting") this.connect();
    else if (this.#status.state === "open") this.#sendPing();
  }

  /** The network is gone, which a socket would notice much later. */
  sleep() {
    if (this.#socket) this.#lose(1006, "offline");
  }

  /** For good; the outbox keeps what it has. */
  close() {
    this.#detach();
    this.#become({ state: "closed" });
  }

  /** These four return the command's id, and are heard of again by `stored` or `refused`. */
  send(text: string) { return this.#add({ type: "send", text: text.toWellFormed() }); } // half a character is not JSON
  delete(seq: number) { return this.#add({ type: "delete", seq }); }
  kick(person: string) { return this.#add({ type: "kick", person }); }
  ban(person: string, until: Date) { return this.#add({ type: "ban", person, until: until.toISOString() }); }

  /** A hint, which is not worth keeping. */
  typing() {
    if (this.#current) this.#say({ type: "typing" });
  }

  #become(status: Status) {
    this.#status = status;
    this.#on.status(status);
  }

  #say(frame: object) { this.#socket?.send(JSON.stringify(frame)); }

  #hello() {
    this.#current = false;
    this.#say({ type: "hello", resume_after: this.#last ?? null, epoch: this.#epoch });
    this.#expectAnswer();
  }

  #sendPing() {
    clearTimeout(this.#ping);
    this.#ping = setTimeout(() => this.#sendPing(), PING_EVERY);
    this.#socket?.send("ping");
    this.#expectAnswer();
  }

  /** A connection may be dead without anybody having closed it. A hello wants its welcome; after a ping, anything at all that
   *  is heard shows that the connection lives. */
  #expectAnswer() {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#lose(1006, "no answer"), ANSWER_WITHIN);
  }

  #hear(data: unknown) {
    if (this.#current) clearTimeout(this.#deadline);
    if (data === "pong") return;
    const said = JSON.parse(data as string);
    switch (said.type) {
      case "welcome": return this.#enter(said);
      case "presence": return this.#on.presence(said.person, said.online);
      case "typing": return this.#on.typing(said.person);
      case "ack": return this.#settle(said.id, said.seq);
      case "error": return this.#correct(said);
      // Everything else with a number is durable. Also what a later version adds: left out, it would look like one missed.
      default: if (Number.isInteger(said.seq)) this.#tell(said);
    }
  }

  #enter(welcome: Welcome) {
    const { epoch, seq, oldest, gap } = welcome;
    let since: Since = "resumed";
    if (this.#last === undefined) [since, this.#last] = ["entered", seq];
    else if (epoch !== this.#epoch) [since, this.#last] = ["anew", oldest - 1];
    else if (gap) [since, this.#last] = ["gap", Math.max(this.#last, oldest - 1)];
    this.#epoch = epoch;
    this.#me = welcome.you.id;
    this.#current = true;
    clearTimeout(this.#deadline);
    if (this.#welcomedAt === undefined) {
      this.#welcomedAt = Date.now();
      this.#ping = setTimeout(() => this.#sendPing(), PING_EVERY);
      this.#become({ state: "open" });
    }
    this.#on.welcome(welcome, since);
    this.#sendNext();
  }

  #tell(event: Durable) {
    if (!this.#current || event.seq <= this.#last!) return;
    if (event.seq > this.#last! + 1) return this.#ask();
    this.#last = event.seq;
    this.#on.event(event);
    const by = event.type === "message" ? event.author : event.by;
    if (by?.id === this.#me) this.#settle(event.id, event.seq); // as good as its ack
  }

  /** Something was missed. A room that was asked for it and does not tell is left, and tried again later. */
  #ask() {
    if (this.#askedAt === this.#last) return this.#lose(1006, "an event is missing");
    this.#askedAt = this.#last;
    this.#hello();
  }

  #add(command: Without<Command, "id">) {
    const id = crypto.randomUUID();
    this.#outbox.push({ ...command, id } as Command);
    this.#on.outbox(this.#outbox);
    if (this.#outbox.length === 1) this.#sendNext();
    return id;
  }

  /** Sends the first command of the outbox, and again until it is settled. */
  #sendNext() {
    clearTimeout(this.#resend);
    if (!this.#current || !this.#outbox.length) return;
    this.#say(this.#outbox[0]);
    this.#resend = setTimeout(() => this.#sendNext(), ACK_WITHIN);
  }

  #takeOut(id: string | undefined): Command | undefined {
    if (id === undefined || this.#outbox[0]?.id !== id) return undefined; // settled before, by the event or an earlier answer
    const command = this.#outbox.shift();
    this.#on.outbox(this.#outbox);
    return command;
  }

  #settle(id: string, seq: number) {
    const command = this.#takeOut(id);
    if (!command) return;
    this.#on.stored(command, seq);
    this.#sendNext();
    // An ack whose event does not follow: the room failed in between, and no later event may ever show it.
    setTimeout(() => { if (this.#current && this.#last! < seq) this.#ask(); }, ACK_WITHIN);
  }

  #correct(refusal: Refusal) {
    const { code, id, retry_after_ms = 1000 } = refusal;
    if (code === "rate_limited" && !this.#current) { // the hello
      this.#resend = setTimeout(() => this.#hello(), retry_after_ms);
      return;
    }
    if (code === "rate_limited" || code === "unavailable") {
      if (id === undefined || this.#outbox[0]?.id !== id) return;
      clearTimeout(this.#resend);
      this.#resend = setTimeout(() => this.#sendNext(), retry_after_ms);
      if (code === "rate_limited") this.#on.limited(retry_after_ms);
      return;
    }
    const command = this.#takeOut(id);
    if (!command) return;
    this.#on.refused(command, refusal);
    this.#sendNext();
  }

  #detach() {
    for (const timer of [this.#reconnect, this.#ping, this.#deadline, this.#resend]) clearTimeout(timer);
    const socket = this.#socket;
    if (socket) socket.onopen = socket.onmessage = socket.onclose = null; // its last words may come after the next one's first
    socket?.close();
    this.#socket = undefined;
    this.#current = false;
  }

  #lose(code: number, reason: string) {
    this.#detach();
    // What is sent alone was too large, and would be again.
    if (code === 1009 && this.#outbox.length) this.#on.refused(this.#takeOut(this.#outbox[0].id)!, { code: "too_large", message: reason });
    if (STOPS.has(code)) return this.#become({ state: "stopped", code, reason });
    // A room that lets in and fails at once is no reason to begin with short waits again.
    if (this.#welcomedAt !== undefined && Date.now() - this.#welcomedAt > STEADY_AFTER) this.#failures = 0;
    // All of the time is random: after a deployment everybody comes back, and not all in the same moment.
    const wait = this.#random() * Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#failures++);
    this.#reconnect = setTimeout(() => this.connect(), wait);
    this.#become({ state: "waiting", until: Date.now() + wait, opened: this.#opened, code, reason });
  }
}

type Timer = ReturnType<typeof setTimeout>;
