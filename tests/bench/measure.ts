// What every benchmark needs: a load that costs little, and figures that say how far to trust them.
import { connect } from "node:net";

/**
 * Sends the same request over and over for `ms`, on eight connections that stay open, one request at a time on each, and tells
 * how long each took, in microseconds. Raw sockets: a client library costs more than the Worker, on the same few cores.
 */
export async function load(port: number, request: Buffer, ms: number): Promise<number[]> {
  const took: number[] = [], end = performance.now() + ms;
  await Promise.all(Array.from({ length: 8 }, () => new Promise<void>((done, fail) => {
    const socket = connect(port, "127.0.0.1").setNoDelay();
    let began = 0, text = "", left = NaN; // bytes of the body to come; NaN: still in the head; Infinity: chunked
    const send = () => { began = performance.now(); text = ""; left = NaN; socket.write(request); };
    socket.on("connect", send).on("error", fail).on("close", () => done());
    socket.on("data", (chunk) => {
      if (Number.isNaN(left)) {
        text += chunk.toString("latin1");
        const head = text.indexOf("\r\n\r\n") + 4;
        if (head === 3) return;
        if (!text.startsWith("HTTP/1.1 200 ")) return void fail(new Error(text));
        const length = /\r\ncontent-length: (\d+)\r\n/i.exec(text)?.[1];
        left = length ? Number(length) - text.length + head : Infinity;
      } else if (left < Infinity) left -= chunk.length;
      else text = text.slice(-7) + chunk.toString("latin1");
      if (left > 0 && !text.endsWith("\r\n0\r\n\r\n")) return;
      const now = performance.now();
      took.push((now - began) * 1000);
      if (now < end) send();
      else socket.end();
    });
  })));
  return took;
}

/** An HTTP/1.1 request as bytes. */
export function request(method: string, path: string, headers: Record<string, string>, body = ""): Buffer {
  const length = body ? { "content-length": String(Buffer.byteLength(body)) } : {};
  const lines = Object.entries({ host: "127.0.0.1", ...headers, ...length }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`);
}

/** The value below which this share of them lies. */
export const quantile = (values: number[], share: number) => values.toSorted((a, b) => a - b)[Math.floor(values.length * share)];
export const median = (values: number[]) => quantile(values, 0.5);
export const mean = (values: number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;

/**
 * The geometric mean of ratios, from their logarithms, one for each round, with a 95% interval: the bootstrap's, over rounds.
 * Not over slices: those of one process are alike, and it is how a process happened to lie in memory that differs most.
 */
export function interval(logs: number[]): { ratio: number; low: number; high: number } {
  const means = Array.from({ length: 4000 }, () => mean(logs.map(() => logs[Math.floor(Math.random() * logs.length)])));
  return { ratio: Math.exp(mean(logs)), low: Math.exp(quantile(means, 0.025)), high: Math.exp(quantile(means, 0.975)) };
}
