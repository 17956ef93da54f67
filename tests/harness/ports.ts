import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** All that the harness opens is for this machine alone. */
export const HOST = "127.0.0.1";

/** Ports that nobody listens on, below those that the system gives to clients and to servers without a wish: so nobody is
 *  given one while workerd, restarting, does not hold it. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = randomInt(10_240, 32_768);
    if ((await inUse([port])) < 0) ports.add(port);
  }
  return [...ports];
}

/** The index of the first port that cannot be listened on, or -1. */
export async function inUse(ports: number[]): Promise<number> {
  for (const [i, port] of ports.entries()) {
    const free = await new Promise<boolean>((done) => {
      const server = createServer().once("error", () => done(false)).listen({ port, host: HOST }, () => server.close(() => done(true)));
    });
    if (!free) return i;
  }
  return -1;
}
