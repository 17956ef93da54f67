// RFC 6455 from a client's side, frame by frame: a test can say here what no library would, and vanish without a close.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { request } from "node:http";
import type { Socket } from "node:net";

export const CONTINUATION = 0x0, TEXT = 0x1, BINARY = 0x2, CLOSE = 0x8, PING = 0x9, PONG = 0xa;

/** What a frame's head says beside the opcode; `length` may claim more than there is. */
export interface Head { final?: boolean; reserved?: number; masked?: boolean; length?: number | bigint }

/** One frame, as section 5.2 draws it. */
export function frame(opcode: number, payload: string | Buffer = "", { final = true, reserved = 0, masked = true, length }: Head = {}): Buffer {
  const body = Buffer.from(payload as Buffer), claimed = length ?? body.length, short = claimed < 126 ? Number(claimed) : claimed < 65_536 ? 126 : 127;
  const size = Buffer.alloc(short < 126 ? 0 : short === 126 ? 2 : 8);
  if (short === 126) size.writeUInt16BE(Number(claimed));
  if (short === 127) size.writeBigUInt64BE(BigInt(claimed));
  const mask = masked ? randomBytes(4) : Buffer.alloc(0);
  if (masked) for (let i = 0; i < body.length; i++) body[i] ^= mask[i & 3];
  return Buffer.concat([Buffer.from([(final ? 0x80 : 0) | (reserved << 4) | opcode, (masked ? 0x80 : 0) | short]), size, mask, body]);
}

/** The server's answer, where it is not 101. */
export class Refused extends Error {
  readonly status: number;
  readonly body: string;
  constructor(status: number, body: string) {
    super(`not upgraded: ${status} ${body}`);
    this.status = status;
    this.body = body;
  }
}

export class Wire {
  /** Each message of the server's, whole. */
  onmessage: (message: string | Buffer) => void = () => {};
  /** How it ended, once it has: 1005 is a close without a code, 1006 the end of the connection without a close. */
  closed?: { code: number; reason: string };
  readonly ended: Promise<{ code: number; reason: string }>;
  readonly headers: Record<string, string | string[] | undefined>;
  #socket: Socket;
  #end: (code: number, reason: string) => void;
  #unread: Buffer = Buffer.alloc(0);
  #parts: Buffer[] = [];
  #opcode = 0;

  private constructor(socket: Socket, head: Buffer, headers: Wire["headers"]) {
    this.#socket = socket.setNoDelay();
    this.headers = headers;
    let end: () => void;
    this.ended = new Promise((done) => { end = () => done(this.closed!); });
    this.#end = (code, reason) => { this.closed ??= { code, reason }; end(); };
    socket.on("close", () => this.#end(1006, "")).on("error", () => {}); // "close" follows
    socket.on("data", (bytes) => this.#read(bytes));
    if (head.length) setImmediate(() => this.#read(head)); // after the caller has set onmessage
  }

  /** Throws `Refused` when the server does not upgrade. */
  static open(url: URL, headers: Record<string, string>): Promise<Wire> {
    const key = randomBytes(16).toString("base64");
    return new Promise((done, fail) => {
      const asked = request({ host: url.hostname, port: url.port, path: url.pathname + url.search,
        headers: { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-key": key, ...headers } });
      asked.on("error", fail).on("upgrade", ({ headers }, socket, head) => {
        const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
        if (headers["sec-websocket-accept"] === accept) done(new Wire(socket as Socket, head, headers));
        else fail(new Error(`Sec-WebSocket-Accept: ${headers["sec-websocket-accept"]}, not ${accept}`));
      }).on("response", async (response) => {
        let body = "";
        for await (const chunk of response) body += chunk;
        fail(new Refused(response.statusCode!, body));
      }).end();
    });
  }

  /** Whatever bytes these are; nothing after the end. */
  write(bytes: Buffer) { if (this.#socket.writable) this.#socket.write(bytes); }
  text(message: string) { this.write(frame(TEXT, message)); }
  close(code = 1000, reason = "") {
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    this.write(frame(CLOSE, Buffer.concat([payload, Buffer.from(reason)])));
  }
  /** Ends the TCP connection with a reset: the server hears no close. */
  kill() {
    if (this.#socket.writableEnded) this.#socket.destroy(); // a reset now would leave the process waiting for it at its end
    else this.#socket.resetAndDestroy();
  }

  #read(bytes: Buffer) {
    let unread = this.#unread.length ? Buffer.concat([this.#unread, bytes]) : bytes;
    for (;;) {
      if (unread.length < 2) break;
      const short = unread[1] & 0x7f, from = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (unread.length < from) break;
      const to = from + (short < 126 ? short : short === 126 ? unread.readUInt16BE(2) : Number(unread.readBigUInt64BE(2)));
      if (unread.length < to) break;
      assert.equal(unread[0] & 0x70 | unread[1] & 0x80, 0, "a server's frame has no reserved bits and no mask");
      this.#take(unread[0] & 0x0f, (unread[0] & 0x80) !== 0, unread.subarray(from, to));
      unread = unread.subarray(to);
    }
    this.#unread = unread;
  }

  #take(opcode: number, final: boolean, payload: Buffer) {
    if (opcode === PING) return this.write(frame(PONG, payload));
    if (opcode === PONG) return;
    if (opcode === CLOSE) {
      if (payload.length) this.#end(payload.readUInt16BE(0), payload.toString("utf8", 2));
      else this.#end(1005, "");
      this.write(frame(CLOSE, payload));
      this.#socket.end();
      return;
    }
    if (opcode !== CONTINUATION) this.#opcode = opcode;
    this.#parts.push(payload);
    if (!final) return;
    const whole = this.#parts.length === 1 ? payload : Buffer.concat(this.#parts);
    this.#parts = [];
    this.onmessage(this.#opcode === TEXT ? whole.toString() : whole);
  }
}
