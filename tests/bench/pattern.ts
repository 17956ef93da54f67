// A pattern beside its twin and its floor. All three are the pattern's own stack, of its pattern.toml and wrangler.toml files,
// with other code in its Workers: so bindings, migrations, seeds and variables are the same by construction.
//
// Another pattern takes three files in tests/bench/<slug>/ and is found by itself:
// - twin.ts: the hot routes in TypeScript, at most 150 lines, as an author would be proud of them, with the usual libraries;
//   refusals and log line included.
// - floor.js: plain JavaScript that makes the same binding calls for the same requests and nothing else: it looks at nothing
//   that it need not, and answers with the same status and body.
//   Where a pattern is several Workers, these are twin/<worker>.ts and floor/<worker>.js, for those that the requests reach; the
//   others run their own code. (Of one Worker, twin/<slug>.ts if it imports others.)
// - routes.ts: exports `measured`, which says what is requested, or what is said over sockets. Every round starts on empty storage, and within one a request
//   must not make the next one cost more.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { readPattern, slugs, specsOf } from "../harness/pattern.ts";
import { Stack } from "../harness/stack.ts";
import type { Request, Route, Running, Sockets } from "./measure.ts";

export interface Measured {
  routes: (Route & {
    /** Requests of the same kind that are refused, after `sent` was not: compared, not measured. */
    refused?(sent: Request): Promise<Request[]>;
  })[];
  /** Measured as well, and otherwise than by requests. */
  sockets?: Sockets[];
  /** Compares what no request shows; the last is the floor. */
  agree?(running: Running[]): Promise<void>;
  /** Measures what the twin is no measure for; a part of the report. */
  more?(rounds: number, slice: number): Promise<string>;
  /** Overrides of variables and secrets of the pattern's Workers. */
  vars?: Record<string, unknown>;
  /** Overrides of what their rate limits allow. */
  rateLimits?: Record<string, number>;
  /** Where storage lies: see StackOptions. */
  temporary?: string;
  /** Puts into storage what the requests find there. */
  fill?(stack: Stack): Promise<void>;
  /** Ends what `measured` started. */
  close?(): Promise<void>;
}

/** What Cloudflare's edge adds to every request; there is no edge before the Workers here. */
export const FROM_EDGE = { "accept-encoding": "gzip, br", "cf-connecting-ip": "203.0.113.7", "cf-ipcountry": "NL", "cf-ray": "9a1b2c3d4e5f6a7b-AMS",
  "cf-visitor": '{"scheme":"https"}', "x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https" };

const fileOf = (slug: string, ...path: string[]) => join(import.meta.dirname, slug, ...path);
/** The main module of a Worker; undefined: its own. */
type Main = (slug: string, worker: string) => string | undefined;
const mainOf = (kind: string, extension: string): Main => (slug, worker) =>
  [fileOf(slug, kind + extension), fileOf(slug, kind, worker + extension)].find(existsSync);

export const CANDIDATES: { name: string; main: Main }[] = [
  { name: "Rust", main: () => undefined },
  { name: "twin", main: mainOf("twin", ".ts") },
  { name: "floor", main: mainOf("floor", ".js") },
];

/** The patterns that have a twin. */
export const measurable = () => slugs().filter((slug) => existsSync(fileOf(slug, "routes.ts")));
export const measuredOf = async (slug: string): Promise<Measured> => (await import(fileOf(slug, "routes.ts"))).measured();

/** The pattern with other main modules in its Workers. */
export async function start(slug: string, main: Main, { vars, rateLimits, temporary, fill }: Measured): Promise<Running> {
  const pattern = readPattern(slug), count = pattern.workers.length;
  const workers = specsOf(pattern).map((spec, i) => (i < count ? { ...spec, main: main(slug, spec.id), rateLimits, vars: { ...spec.vars, ...vars } } : spec));
  let stack: Stack | undefined; // until it has started, its log says why it does not
  stack = await Stack.start({ edge: false, workers, temporary, log: () => { if (stack) stack.logs.length = 0; } }); // a line a request; none is kept
  await fill?.(stack);
  return { stack, port: Number(stack.urls.get(pattern.workers.find((w) => w.public)!.name)!.port) };
}

/** What of an answer two implementations of one API agree on: not what is made anew each time, nor sentences for people. */
export async function answerOf(port: number, { method, path, headers, body }: Request) {
  // Not `fetch`, which names the address as the host: a signature is of the host that is given.
  const answer = await new Promise<IncomingMessage>((done, fail) =>
    request({ host: "127.0.0.1", port, method, path, headers }, done).on("error", fail).end(body));
  const agreed = (text: string) => text.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "UUID").replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, "TIME")
    .replace(/"detail":"[^"]*"/, '"detail":""');
  const told = ["content-type", "location", "retry-after", "www-authenticate", "x-request-id"]
    .map((name) => [name, agreed(String(answer.headers[name] ?? "")).toLowerCase()]);
  const text = agreed(Buffer.concat(await answer.toArray()).toString());
  return { status: answer.statusCode!, headers: Object.fromEntries(told), body: text.startsWith("{") ? JSON.parse(text) : text };
}

/** All do the same work; of the last, the floor, only status and body are looked at, and no refusal but those that are measured. */
export async function compare({ routes, agree }: Measured, running: Running[]) {
  await agree?.(running);
  for (const { name, status = 200, refused, ...route } of routes) {
    const sent = await route.fresh?.() ?? route, [first, ...others] = await Promise.all(running.map(({ port }) => answerOf(port, sent)));
    assert.equal(first.status, status, `${name}: ${JSON.stringify(first)}`);
    const floor = others.pop()!;
    for (const other of others) assert.deepEqual(other, first, name);
    assert.equal(floor.status, first.status, `${name}, floor`);
    if (first.status < 400) assert.deepEqual(floor.body, first.body, `${name}, floor`);
    for (const refusable of await refused?.(sent) ?? []) {
      const [refusal, ...same] = await Promise.all(running.slice(0, -1).map(({ port }) => answerOf(port, refusable)));
      assert.ok(refusal.status >= 400, `${name}: ${refusal.status} is no refusal of ${JSON.stringify(refusable)}`);
      for (const other of same) assert.deepEqual(other, refusal, `${name}, refused`);
    }
  }
}
