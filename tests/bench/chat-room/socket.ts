// As much of RFC 6455 as a load needs, on raw sockets: a client library costs more than the room, on the same few cores.
import { once } from "node:events";
import { connect, type Socket } from "node:net";

export const TEXT = 1, BINARY = 2, CLOSE = 8;

export const UPGRADE = { upgrade: "websocket", connection: "Upgrade", "sec-websocket-version": "13", "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==" };

/** A client's frame. The mask is of zeros, which a server has to take as any other. */
export function frame(payload: string | Buffer, opcode = typeof payload === "string" ? TEXT : BINARY): Buffer {
  const bytes = Buffer.from(payload), { length } = bytes, short = length < 126 ? length : length < 65_536 ? 126 : 127;
  const head = Buffer.alloc(short < 126 ? 6 : short === 126 ? 8 : 14);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | short;
  if (short === 126) head.writeUInt16BE(length, 2);
  if (short === 127) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, bytes]);
}

// What arrives is looked at before the next read, so one buffer does for all sockets.
const arriving = Buffer.alloc(64 << 10), EMPTY = Buffer.alloc(0);

/** Told every frame that arrives: its payload lies in `bytes` from `from` to `to`, for as long as the call takes. */
export type Hear = (opcode: number, bytes: Buffer, from: number, to: number) => void;

export class Connection {
  hear: Hear = () => {};
  /** Told why nothing arrives any more. */
  ended: (why: Error) => void = () => {};
  readonly #socket: Socket;
  #rest = EMPTY; // the beginning of a frame
  #head?: (head: string) => void; // until the answer to the request is there

  /** Opens a WebSocket. Throws the head of any answer but 101. */
  static async open(port: number, path: string, headers: Record<string, string>): Promise<Connection> {
    const connection = new Connection(port), socket = connection.#socket;
    await once(socket, "connect");
    const all = { host: `127.0.0.1:${port}`, ...UPGRADE, ...headers };
    const answered = new Promise<string>((done) => { connection.#head = done; });
    socket.write(`GET ${path} HTTP/1.1\r\n${Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`);
    const head = await answered;
    if (head.startsWith("HTTP/1.1 101 ")) return connection;
    socket.destroy();
    throw new Error(head);
  }

  private constructor(port: number) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true,
      onread: { buffer: arriving, callback: (length) => { this.#read(length); return true; } } });
    this.#socket.on("error", (e) => this.ended(e)).on("close", () => this.ended(new Error("the connection was closed")));
  }

  send(frame: Buffer) { this.#socket.write(frame); }
  close() { this.#socket.destroy(); }

  #read(length: number) {
    let bytes = arriving, at = 0;
    if (this.#rest.length) {
      bytes = Buffer.concat([this.#rest, arriving.subarray(0, length)]);
      length = bytes.length;
    }
    if (this.#head) {
      const end = bytes.subarray(0, length).indexOf("\r\n\r\n");
      if (end < 0) return void (this.#rest = Buffer.from(bytes.subarray(0, length)));
      this.#head(bytes.toString("latin1", 0, end));
      this.#head = undefined;
      at = end + 4;
    }
    while (length - at >= 2) {
      let size = bytes[at + 1], from = at + 2;
      if (size === 126) { size = length - at < 4 ? Infinity : bytes.readUInt16BE(from); from += 2; }
      else if (size === 127) { size = length - at < 10 ? Infinity : Number(bytes.readBigUInt64BE(from)); from += 8; }
      if (from + size > length) break;
      this.hear(bytes[at] & 0x0f, bytes, from, from + size);
      at = from + size;
    }
    this.#rest = at < length ? Buffer.from(bytes.subarray(at, length)) : EMPTY;
  }
}
