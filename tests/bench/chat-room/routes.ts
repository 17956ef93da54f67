import { existsSync } from "node:fs";
import type { Measured } from "../pattern.ts";
import { Crowd } from "./crowd.ts";
import { glue } from "./glue.ts";
import { agree } from "./transcript.ts";

/** Of one person each, so many that none has to wait for a token. */
const ROOMS = 600;
const CLIENTS = 200;

export const measured = async (): Promise<Measured> => ({
  routes: [],
  sockets: [
    { name: "receive, decide, store: alone in a room", hearers: 1, open: ({ port }) => Crowd.gather(port, Array.from({ length: ROOMS }, (_, n) => `room-${n}`), 1) },
    { name: `fan-out: a room of ${CLIENTS}`, hearers: CLIENTS, open: ({ port }) => Crowd.gather(port, ["full"], CLIENTS) },
  ],
  rateLimits: { LIMITER: 1e9 }, // one machine signs in all of them
  // In memory: every message is on disk before it is told, and what is measured is not the pace of this machine's disk.
  temporary: existsSync("/dev/shm") ? "/dev/shm" : undefined,
  agree,
  more: (rounds, slice) => glue(rounds, slice, CLIENTS),
});
