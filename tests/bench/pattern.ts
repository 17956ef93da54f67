// A pattern beside its twin and its floor. All three are the pattern's own stack, of its pattern.toml and wrangler.toml files,
// with other code in its Workers: so bindings, migrations, seeds and variables are the same by construction.
//
// Another pattern takes three files in tests/bench/<slug>/ and is found by itself:
// - twin.ts: the hot routes in TypeScript, at most 150 lines, as an author would be proud of them, with the usual libraries;
//   refusals and log line included. Where a pattern is several Workers, this one file exports all of their entrypoints.
// - floor.js: plain JavaScript that makes the same binding calls for the same requests and nothing else: it looks at nothing
//   that it need not, and answers with the same status and body.
// - routes.ts: exports `measured`, which says what is requested. Every round starts on empty storage, and within one a request
//   must not make the next one cost more.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readPattern, slugs, specsOf } from "../harness/pattern.ts";
import { Stack } from "../harness/stack.ts";
import type { Request, Route, Running } from "./measure.ts";

export interface Measured {
  routes: (Route & {
    /** A request of the same kind that is refused: compared, not measured. */
    refused?: Request;
  })[];
  /** Overrides of variables and secrets of the pattern's Workers. */
  vars?: Record<string, unknown>;
  /** Puts into storage what the requests find there. */
  fill?(stack: Stack): Promise<void>;
  /** Ends what `measured` started. */
  close?(): Promise<void>;
}

/** What Cloudflare's edge adds to every request; there is no edge before the Workers here. */
export const FROM_EDGE = { "accept-encoding": "gzip, br", "cf-connecting-ip": "203.0.113.7", "cf-ipcountry": "NL", "cf-ray": "9a1b2c3d4e5f6a7b-AMS",
  "cf-visitor": '{"scheme":"https"}', "x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https" };

const folderOf = (slug: string) => join(import.meta.dirname, slug);
/** The patterns that have a twin. */
export const measurable = () => slugs().filter((slug) => existsSync(join(folderOf(slug), "twin.ts")));
export const measuredOf = async (slug: string): Promise<Measured> => (await import(join(folderOf(slug), "routes.ts"))).measured();

/** The main module of a Worker; absent: its own. */
type Main = string | undefined;
export const CANDIDATES: { name: string; main(slug: string): Main }[] = [
  { name: "Rust", main: () => undefined },
  { name: "twin", main: (slug) => join(folderOf(slug), "twin.ts") },
  { name: "floor", main: (slug) => join(folderOf(slug), "floor.js") },
];

/** The pattern with another main module in all of its Workers, or each with its own. */
export async function start(slug: string, main: Main, { vars, fill }: Measured): Promise<Running> {
  const pattern = readPattern(slug), count = pattern.workers.length;
  const workers = specsOf(pattern).map((spec, i) => (i < count ? { ...spec, main, vars: { ...spec.vars, ...vars } } : spec));
  const stack = await Stack.start({ edge: false, workers, log: () => { stack.logs.length = 0; } }); // a line a request; none is kept
  await fill?.(stack);
  return { stack, port: Number(stack.urls.get(pattern.workers.find((w) => w.public)!.name)!.port) };
}

/** What of an answer two implementations of one API agree on: not what is made anew each time, nor sentences for people. */
async function answerOf(port: number, { method, path, headers, body }: Request) {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, body });
  const agreed = (text: string) => text.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "UUID").replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, "TIME")
    .replace(/, error_description="[^"]*"/, "").replace(/"detail":"[^"]*"/, '"detail":""');
  const told = ["content-type", "location", "retry-after", "www-authenticate", "x-request-id"].map((name) => [name, agreed(answer.headers.get(name) ?? "").toLowerCase()]);
  const text = agreed(await answer.text());
  return { status: answer.status, headers: Object.fromEntries(told), body: text.startsWith("{") ? JSON.parse(text) : text };
}

/** All do the same work; of the last, the floor, only status and body are looked at, and no refusal but those that are measured. */
export async function compare(routes: Measured["routes"], running: Running[]) {
  for (const { name, refused, ...route } of routes) {
    const [first, ...others] = await Promise.all(running.map(({ port }) => answerOf(port, route)));
    assert.equal(first.status, route.status ?? 200, name);
    const floor = others.pop()!;
    for (const other of others) assert.deepEqual(other, first, name);
    assert.equal(floor.status, first.status, `${name}, floor`);
    if (first.status < 400) assert.deepEqual(floor.body, first.body, `${name}, floor`);
    if (!refused) continue;
    const [refusal, ...same] = await Promise.all(running.slice(0, -1).map(({ port }) => answerOf(port, refused)));
    assert.ok(refusal.status >= 400, `${name}: ${refusal.status} is no refusal`);
    for (const other of same) assert.deepEqual(other, refusal, `${name}, refused`);
  }
}
