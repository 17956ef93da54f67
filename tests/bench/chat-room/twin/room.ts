// The room in TypeScript, with sockets that hibernate: `hello` and `send`, with their refusals and limits. (Nobody deletes, types,
// kicks or bans where it is measured, and nothing is too old; what a ban asks of the others is here.)
import { DurableObject } from "cloudflare:workers";

interface Person { id: string; name: string }
/** Who somebody has proven to be, until when (ms). */
export interface Session { person: Person; expires: number }
/** What is attached to a socket: whose it is, and whether it has said hello. */
interface Seat extends Session { greeted: boolean }
interface State { epoch: string; owner: string | null; seq: number; last: number }
export interface Bindings {
  ROOM: DurableObjectNamespace; LIMITER: { limit(options: { key: string }): Promise<{ success: boolean }> };
  SESSION_SECRET: string; RETENTION_EVENTS: string;
}

const MAX_FRAME = 64 << 10, MAX_TEXT = 4000, MAX_SOCKETS = 500, MAX_OWN_SOCKETS = 8, DROP_EVERY = 100;
const COMMANDS = { burst: 40, perSecond: 5 }, FRAMES = { burst: 400, perSecond: 50 };

/** A token bucket: takes a token and says 0, or says in how many milliseconds there is one. */
function bucketOf({ burst, perSecond }: typeof COMMANDS) {
  let tokens = burst, at = 0;
  return (now: number): number => {
    tokens = Math.min(burst, tokens + (Math.max(0, now - at) / 1000) * perSecond);
    at = now;
    return tokens < 1 ? Math.ceil(((1 - tokens) / perSecond) * 1000) : (tokens--, 0);
  };
}

function tell(socket: WebSocket, frame: object | string) {
  try { socket.send(typeof frame === "string" ? frame : JSON.stringify(frame)); } catch {} // it is closing: who misses something asks for it again
}
const refuse = (socket: WebSocket, code: string, message: string, more: object = {}) => tell(socket, { type: "error", code, message, ...more });

const isId = (id: unknown) => typeof id === "string" && /^[\x21-\x7e]{1,64}$/.test(id);
const isText = (text: string) => (text.length <= MAX_TEXT || [...text].length <= MAX_TEXT) && /[^\s\p{Cf}\u3164]/u.test(text) && !/[^\P{Cc}\n\t]/u.test(text);
const isSequence = (seq: unknown) => Number.isSafeInteger(seq) && Number(seq) >= 0;
/** One room. A number is given and stored in one turn, and no frame leaves before that is on disk; what is in memory is built anew
 *  from there and from the sockets. */
export class Room extends DurableObject<Bindings> {
  #sql = this.ctx.storage.sql;
  #seats = new Map<WebSocket, Seat>(this.ctx.getWebSockets().map((socket) => [socket, socket.deserializeAttachment()]));
  #quotas = new Map<string, Record<"command" | "frame", ReturnType<typeof bucketOf>>>(); // full again before the object can hibernate
  #room: State;
  #bans: Map<string, number>;

  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, env);
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS room (epoch TEXT NOT NULL, owner TEXT, seq INTEGER NOT NULL, last INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, author TEXT NOT NULL, id TEXT NOT NULL, event TEXT NOT NULL);
      CREATE UNIQUE INDEX IF NOT EXISTS events_by_author ON events (author, id);
      CREATE TABLE IF NOT EXISTS bans (person TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID`);
    if (!this.#sql.exec("SELECT 1 FROM room").toArray().length) this.#sql.exec("INSERT INTO room VALUES (?, NULL, 0, 0)", crypto.randomUUID());
    this.#room = this.#sql.exec<State>(`SELECT epoch, owner, max(seq, (SELECT coalesce(max(seq), 0) FROM events)) AS seq,
      max(last, (SELECT coalesce(max(at), 0) FROM events)) AS last FROM room`).one();
    this.#bans = new Map(this.#sql.exec<{ person: string; until: number }>("SELECT person, until FROM bans").toArray().map(({ person, until }) => [person, until]));
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
  }

  fetch(request: Request) {
    const session: Session = JSON.parse(new URL(request.url).searchParams.get("session")!), { 0: client, 1: socket } = new WebSocketPair();
    this.ctx.acceptWebSocket(socket);
    const banned = this.#bans.get(session.person.id) ?? 0;
    if (banned > Date.now()) socket.close(4403, `banned until ${new Date(banned).toISOString()}`);
    else if (this.#seatsOf(session.person).length >= MAX_OWN_SOCKETS) socket.close(4409, "too many sockets");
    else if (this.#seats.size >= MAX_SOCKETS) socket.close(4503, "room full");
    else this.#sit(socket, { ...session, greeted: false });
    return new Response(null, { status: 101, webSocket: client } as ResponseInit);
  }

  webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer) {
    const seat = this.#seats.get(socket), now = Date.now();
    if (!seat) return; // it was closed a moment ago
    if (typeof frame !== "string") return this.#close(socket, 1003, "text frames only");
    if (now >= seat.expires) return this.#close(socket, 4401, "session expired");
    let quota = this.#quotas.get(seat.person.id);
    if (!quota) this.#quotas.set(seat.person.id, quota = { command: bucketOf(COMMANDS), frame: bucketOf(FRAMES) });
    if (quota.frame(now)) return this.#close(socket, 4429, "flooding");
    if (frame.length * 3 > MAX_FRAME && Buffer.byteLength(frame) > MAX_FRAME) return this.#close(socket, 1009, "frame too large");
    let said: any;
    try { said = JSON.parse(frame); } catch {} // which is as malformed as JSON of another shape
    const { type, id, text, resume_after = null, epoch = null } = said ?? {}, named = isId(id) ? { id } : {};
    if (type === "hello" && (resume_after === null || isSequence(resume_after)) && (epoch === null || typeof epoch === "string"))
      return this.#hello(socket, seat, resume_after, epoch);
    if (typeof type === "string" && type !== "hello" && type !== "send") return refuse(socket, "unknown_type", "this room does not know frames of this type", named);
    if (type !== "send" || typeof id !== "string" || typeof text !== "string" || !text.isWellFormed())
      return refuse(socket, "malformed", "this is not a frame of edge-chat.v1", named);
    if (!isId(id)) return refuse(socket, "invalid_id", "an id is 1 to 64 visible ASCII characters");
    if (!isText(text)) return refuse(socket, "invalid_text", "a text is 1 to 4,000 characters, with no control characters but line feed and tab", named);
    if (!seat.greeted) return refuse(socket, "hello_first", "say hello first", named);
    this.#send(socket, seat.person, id, text, now, quota.command);
  }
  webSocketClose(socket: WebSocket) { this.#leave(socket); }
  webSocketError(socket: WebSocket) { this.#leave(socket); }

  #hello(socket: WebSocket, seat: Seat, after: number | null, known: string | null) {
    if (!this.#room.owner) this.#sql.exec("UPDATE room SET owner = ?", this.#room.owner = seat.person.id);
    const you = this.#member(seat.person), isFirst = !this.#isHere(seat.person), { epoch, seq } = this.#room;
    this.#sit(socket, { ...seat, greeted: true });
    if (isFirst) this.#broadcast(JSON.stringify({ type: "presence", person: you, online: true }), socket);
    const { oldest } = this.#sql.exec<{ oldest: number }>("SELECT coalesce(min(seq), ? + 1) AS oldest FROM events", seq).one();
    const isOther = known !== null && known !== epoch, gap = isOther || (after !== null && (after > seq || after < oldest - 1));
    const members = new Map([...this.#seats.values()].filter(({ greeted }) => greeted).map(({ person }) => [person.id, this.#member(person)]));
    tell(socket, { type: "welcome", you, epoch, seq, oldest, gap, members: [...members.values()] });
    if (after === null) return;
    for (const { event } of this.#sql.exec<{ event: string }>("SELECT event FROM events WHERE seq > ? ORDER BY seq", gap ? 0 : after)) tell(socket, event);
  }

  #send(socket: WebSocket, author: Person, id: string, text: string, now: number, quota: (now: number) => number) {
    const [known] = this.#sql.exec<{ event: string }>("SELECT event FROM events WHERE author = ? AND id = ?", author.id, id).toArray();
    const before: { seq: number; text: string } | undefined = known && JSON.parse(known.event);
    if (before) return before.text === text ? tell(socket, { type: "ack", id, seq: before.seq }) : refuse(socket, "id_reused", "another command of yours has this id", { id });
    const wait = quota(now), seq = this.#room.seq + 1, at = Math.max(now, this.#room.last);
    if (wait) return refuse(socket, "rate_limited", "too many commands: wait a little", { id, retry_after_ms: wait });
    const event = JSON.stringify({ type: "message", seq, id, author, text, at: new Date(at).toISOString() });
    try {
      this.#sql.exec("INSERT INTO events (seq, at, author, id, event) VALUES (?, ?, ?, ?, ?)", seq, at, author.id, id, event);
      if (seq % DROP_EVERY === 0) this.#drop(seq - Number(this.env.RETENTION_EVENTS));
    } catch (e) {
      console.error(JSON.stringify({ level: "error", event: "room", cause: String(e) }));
      return refuse(socket, "unavailable", "the room failed: send it again, under the same id", { id });
    }
    Object.assign(this.#room, { seq, last: at });
    this.#broadcast(event);
    tell(socket, { type: "ack", id, seq });
  }

  #drop(through: number) {
    this.#sql.exec("UPDATE room SET (seq, last) = (SELECT seq, at FROM events WHERE seq = ?1) WHERE EXISTS (SELECT 1 FROM events WHERE seq = ?1)", through);
    this.#sql.exec("DELETE FROM events WHERE seq <= ?", through);
  }
  #broadcast(frame: string, except?: WebSocket) {
    for (const [socket, { greeted }] of this.#seats) if (greeted && socket !== except) tell(socket, frame);
  }
  #member = ({ id, name }: Person) => ({ id, name, role: id === this.#room.owner ? "owner" : "member" });
  #seatsOf = ({ id }: Person) => [...this.#seats.values()].filter(({ person }) => person.id === id);
  #isHere = (person: Person) => this.#seatsOf(person).some(({ greeted }) => greeted);
  #sit(socket: WebSocket, seat: Seat) {
    this.#seats.set(socket, seat);
    socket.serializeAttachment(seat);
  }
  #close(socket: WebSocket, code: number, why: string) {
    socket.close(code, why);
    this.#leave(socket);
  }
  #leave(socket: WebSocket) {
    const seat = this.#seats.get(socket);
    this.#seats.delete(socket);
    if (seat?.greeted && !this.#isHere(seat.person)) this.#broadcast(JSON.stringify({ type: "presence", person: this.#member(seat.person), online: false }));
  }
}
