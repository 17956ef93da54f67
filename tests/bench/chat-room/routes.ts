import { existsSync } from "node:fs";
import type { Measured } from "../pattern.ts";
import { Crowd } from "./crowd.ts";
import { glue } from "./glue.ts";
import { agree } from "./transcript.ts";

/** Of one person each, so many that none has to wait for a token. */
const ROOMS = Array.from({ length: 600 }, (_, n) => `room-${n}`);
const CLIENTS = 200;
/** In memory: every message is on disk before it is told, and what is measured is not the pace of this machine's disk. */
const TEMPORARY = existsSync("/dev/shm") ? "/dev/shm" : undefined;

export const measured = async (): Promise<Measured> => ({
  routes: [],
  sockets: [
    { name: "receive, decide, store: alone in a room", hearers: 1, open: ({ port }) => Crowd.gather(port, ROOMS, 1) },
    { name: `fan-out: a room of ${CLIENTS}`, hearers: CLIENTS, open: ({ port }) => Crowd.gather(port, ["full"], CLIENTS) },
  ],
  rateLimits: { LIMITER: 1e9 }, // one machine signs in all of them
  temporary: TEMPORARY,
  agree,
  more: (rounds, slice) => glue(rounds, slice, ROOMS, TEMPORARY),
});
