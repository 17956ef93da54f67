// The calls to the runtime that a room makes for a message, and nothing else: it looks at nothing that is said, and what it says
// never changes.
import { DurableObject } from "cloudflare:workers";

const PERSON = { id: "00000000-0000-4000-8000-000000000000", name: "Person 100" }, MEMBER = { ...PERSON, role: "owner" };
const SESSION = JSON.stringify({ token: "none", person: PERSON, expires: "2027-01-15T08:00:00.000Z" });
const WELCOME = JSON.stringify({ type: "welcome", you: MEMBER, epoch: PERSON.id, seq: 0, oldest: 1, gap: false, members: [MEMBER] });
const MESSAGE = JSON.stringify({ type: "message", seq: 100, id: "c-00000100", author: PERSON,
  text: "Shall we meet at the harbour at seven? I can bring the maps and something to eat.", at: "2027-01-15T08:00:00.000Z" });
const ACK = JSON.stringify({ type: "ack", id: "c-00000100", seq: 100 });

export class Room extends DurableObject {
  sockets = new Set(this.ctx.getWebSockets()); // none, unless it has slept
  sql = this.ctx.storage.sql;

  constructor(ctx, env) {
    super(ctx, env);
    this.sql.exec(`CREATE TABLE IF NOT EXISTS room (seq INTEGER NOT NULL, last INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, author TEXT NOT NULL, id TEXT NOT NULL, event TEXT NOT NULL);
      CREATE UNIQUE INDEX IF NOT EXISTS events_by_author ON events (author, id)`);
    this.seq = this.sql.exec("SELECT coalesce(max(seq), 0) AS seq FROM events").one().seq;
  }

  fetch() {
    const { 0: client, 1: socket } = new WebSocketPair();
    this.ctx.acceptWebSocket(socket);
    socket.serializeAttachment(MEMBER);
    return new Response(null, { status: 101, webSocket: client });
  }

  webSocketMessage(socket) {
    if (!this.sockets.has(socket)) {
      this.sockets.add(socket);
      return socket.send(WELCOME);
    }
    const seq = ++this.seq, id = String(seq);
    this.sql.exec("SELECT event FROM events WHERE author = ? AND id = ?", PERSON.id, id).toArray();
    this.sql.exec("INSERT INTO events (seq, at, author, id, event) VALUES (?, ?, ?, ?, ?)", seq, 0, PERSON.id, id, MESSAGE);
    if (seq % 100 === 0) {
      this.sql.exec("UPDATE room SET (seq, last) = (SELECT seq, at FROM events WHERE seq = ?1) WHERE EXISTS (SELECT 1 FROM events WHERE seq = ?1)", seq - 5000);
      this.sql.exec("DELETE FROM events WHERE seq <= ?", seq - 5000);
    }
    for (const other of this.sockets) other.send(MESSAGE);
    socket.send(ACK);
  }

  webSocketClose(socket) {
    this.sockets.delete(socket);
  }
}

export default {
  async fetch({ url, method }, { ROOM }) {
    if (method === "POST") return new Response(SESSION);
    const { webSocket } = await ROOM.getByName(url).fetch(url, { headers: { upgrade: "websocket" } });
    return new Response(null, { status: 101, webSocket, headers: { "sec-websocket-protocol": "edge-chat.v1" } });
  },
};
