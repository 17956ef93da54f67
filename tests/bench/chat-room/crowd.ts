// People who talk as fast as a room takes it, and each no faster than the protocol lets a person.
import { Connection, frame } from "./socket.ts";

/** Messages that are on their way at a time, as there are requests in the other benchmarks. */
const AT_ONCE = 8;
/** What a person may send at once, and each second: a little less than the protocol says, since the room has another clock. */
const BURST = 36, PER_SECOND = 4.9;
/** Milliseconds after which what has not arrived is lost. */
const PATIENCE = 10_000;
/** People who come in at a time. */
const DOOR = 20;

export const USUAL = "Shall we meet at the harbour at seven? I can bring the maps and something to eat.";
/** Where in a payload the type's value is: it is the first member of all frames. */
const TYPE = '{"type":"'.length;
/** Of a message's id. */
const DIGITS = 8;

interface Member {
  connection: Connection;
  /** A frame in which only the digits of the id change, which are here. */
  message: Buffer;
  digits: number;
  tokens: number;
  /** When there were so many. */
  at: number;
  /** When what is on its way left; 0: nothing is. */
  began: number;
}

/** A new session; its token says who somebody is. */
export async function signIn(port: number, name: string): Promise<{ token: string; person: { id: string } }> {
  const answer = await fetch(`http://127.0.0.1:${port}/session`, { method: "POST", body: JSON.stringify({ name }), headers: { "content-type": "application/json" } });
  return (await answer.json()) as any;
}

export const socketOf = (room: string) => `/rooms/${room}/socket`;
export const upgrade = (token: string) => ({ authorization: `Bearer ${token}`, "sec-websocket-protocol": "edge-chat.v1" });

/** The same number of people in each of some rooms, who have said hello. */
export class Crowd {
  readonly #each: number;
  readonly #members: Member[] = [];
  #turn = 0; // whose it is to speak
  #acknowledged: (member: Member) => void = () => {};
  #delivered = () => {};
  #failed: (why: Error) => void = () => {};

  private constructor(each: number) { this.#each = each; }

  static async gather(port: number, rooms: string[], each: number, text = USUAL): Promise<Crowd> {
    const crowd = new Crowd(each), seats = rooms.flatMap((room) => Array.from({ length: each }, () => room));
    for (let n = 0; n < seats.length; n += DOOR)
      await Promise.all(seats.slice(n, n + DOOR).map((room, i) => crowd.#seat(port, room, `Person ${n + i}`, text)));
    return crowd;
  }

  async #seat(port: number, room: string, name: string, text: string) {
    const { token } = await signIn(port, name), connection = await Connection.open(port, socketOf(room), upgrade(token));
    const message = frame(JSON.stringify({ type: "send", id: `c-${"0".repeat(DIGITS)}`, text }));
    const member = { connection, message, digits: message.indexOf("c-0") + 2, tokens: BURST, at: performance.now(), began: 0 };
    this.#members.push(member);
    await new Promise<void>((welcome, fail) => {
      const failed = connection.ended = (why: Error) => { fail(why); this.#failed(new Error(name, { cause: why })); };
      connection.hear = (_, bytes, from, to) => {
        switch (String.fromCharCode(bytes[from + TYPE])) {
          case "m": return this.#delivered(); // message
          case "a": return this.#acknowledged(member);
          case "p": return; // presence
          case "w": return welcome();
          default: failed(new Error(`${name} was told ${bytes.toString("utf8", from, to)}`));
        }
      };
      connection.send(frame('{"type":"hello","resume_after":null}'));
    });
  }

  /** Lets one after the other say something for `ms`, or until somebody may not yet again, and waits until all have heard
   *  everything. Tells how long each waited for its `ack`, in microseconds. */
  send(ms: number): Promise<number[]> {
    const took: number[] = [], end = performance.now() + ms;
    let acks = 0, messages = 0; // that are still to come
    return new Promise<number[]>((done, fail) => {
      const late = setTimeout(() => this.#failed(new Error(`${acks} acks and ${messages} messages have not come`)), ms + PATIENCE);
      const speak = () => {
        const member = this.#members[this.#turn % this.#members.length], now = performance.now();
        const tokens = Math.min(BURST, member.tokens + ((now - member.at) / 1000) * PER_SECOND);
        if (now >= end || tokens < 1 || member.began) return;
        [member.tokens, member.at, member.began] = [tokens - 1, now, now];
        member.message.write(String(this.#turn++).padStart(DIGITS, "0"), member.digits, "latin1");
        acks++;
        messages += this.#each;
        member.connection.send(member.message);
      };
      const settle = () => {
        if (acks || messages) return;
        clearTimeout(late);
        if (took.length) done(took);
        else fail(new Error("nobody may speak yet: there are too few"));
      };
      this.#failed = (why) => { clearTimeout(late); fail(why); };
      this.#delivered = () => { messages--; settle(); };
      this.#acknowledged = (member) => {
        took.push((performance.now() - member.began) * 1000);
        member.began = 0;
        acks--;
        speak();
        settle();
      };
      for (let n = 0; n < AT_ONCE; n++) speak();
      settle();
    });
  }

  close() {
    for (const { connection } of this.#members) connection.close();
  }
}
