// What every benchmark needs: a load that costs little, rounds in which candidates take turns, and a place for the figures.
//
// Measured is the CPU time of workerd, which is what a user pays for, of a process for each candidate. A busy machine hurts all
// alike: candidates take turns within a second, in alternating order, and a ratio compares neighbours. Every round restarts
// all processes, since two processes of the same code differ by some percent for as long as they live.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { cpus, release, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { freePorts } from "../harness/ports.ts";
import { modulesOf } from "../harness/modules.ts";
import type { Stack } from "../harness/stack.ts";
import { median, quantile } from "./statistics.ts";

const REPOSITORY = join(import.meta.dirname, "../..");

export interface Request { method: string; path: string; headers: Record<string, string>; body?: string }
export interface Route extends Request {
  name: string;
  /** Of the answer; absent: 200. */
  status?: number;
  /** Makes the next request, where none can be sent twice. They are made before a slice begins: neither its CPU time nor its
   *  latencies include that. */
  fresh?(): Promise<Request>;
}
export interface Running { stack: Stack; port: number }
export interface Candidate<R = Running> { name: string; start(): Promise<R> }

/** What candidates are loaded with otherwise than by requests. */
export interface Sockets<R = Running> {
  name: string;
  /** How many hear each message. */
  hearers: number;
  /** Makes ready for all turns of one candidate; none of it is measured. */
  open(running: R): Promise<{
    /** Sends for `ms`, waits until all of it is done, and tells how long each message took, in microseconds. */
    send(ms: number): Promise<number[]>;
    close(): void;
  }>;
}

/** Fresh requests that are made for each millisecond. A candidate that answers more ends its slice early, which costs nothing. */
const FRESH = 3;

/** What is sent within `ms`: one request over and over, or fresh ones, each once. */
const requestsOf = async (route: Route | Sockets<never>, ms: number): Promise<Buffer[]> => "open" in route ? []
  : (await Promise.all(Array.from({ length: route.fresh ? Math.ceil(ms * FRESH) : 1 }, () => route.fresh?.() ?? route))).map(bytesOf);

/**
 * Sends requests one after the other for `ms`, on eight connections that stay open, one request at a time on each, and tells
 * how long each took, in microseconds. Raw sockets: a client library costs more than the Worker, on the same few cores.
 */
async function load(port: number, route: Route, ms: number, requests: Buffer[]): Promise<number[]> {
  const left = route.fresh ? requests.values() : undefined, expected = `HTTP/1.1 ${route.status ?? 200} `;
  const took: number[] = [], end = performance.now() + ms;
  await Promise.all(Array.from({ length: 8 }, () => new Promise<void>((done, fail) => {
    const socket = connect(port, "127.0.0.1").setNoDelay();
    let began = 0, text = "", missing = NaN; // bytes of the body to come; NaN: still in the head; Infinity: chunked
    const send = () => {
      const request = left ? left.next().value : requests[0];
      began = performance.now();
      text = "";
      missing = NaN;
      if (request && began < end) socket.write(request);
      else socket.end();
    };
    socket.on("connect", send).on("error", fail).on("close", () => done());
    socket.on("data", (chunk) => {
      if (Number.isNaN(missing)) {
        text += chunk.toString("latin1");
        const head = text.indexOf("\r\n\r\n") + 4;
        if (head === 3) return;
        if (!text.startsWith(expected)) return void fail(new Error(`${route.name}: ${text}`));
        const length = /\r\ncontent-length: (\d+)\r\n/i.exec(text)?.[1];
        missing = length ? Number(length) - text.length + head : Infinity;
      } else if (missing < Infinity) missing -= chunk.length;
      else text = text.slice(-7) + chunk.toString("latin1");
      if (missing > 0 && !text.endsWith("\r\n0\r\n\r\n")) return;
      took.push((performance.now() - began) * 1000);
      send();
    });
  })));
  return took;
}

const requestsTo = ({ port }: Running, route: Route) =>
  ({ send: (ms: number, requests: Buffer[]) => load(port, route, ms, requests), close: () => {} });

function bytesOf({ method, path, headers, body = "" }: Request): Buffer {
  const length = body ? { "content-length": String(Buffer.byteLength(body)) } : {};
  const lines = Object.entries({ host: "127.0.0.1", ...headers, ...length }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`);
}

/** By candidate and route. */
export interface Figures {
  /** Microseconds of CPU a request, in each slice of each round. */
  cpu: number[][][][];
  /** Microseconds that each request took. */
  took: number[][][];
  /** Requests a second, in each slice. */
  rate: number[][][];
}

/** Short ones, so that what else the machine does meets all candidates alike. */
const SLICES = 10;
/**
 * Milliseconds of one turn, and turns, before a process's first route counts and before each later one, which finds what they
 * share compiled. V8 optimises a function of wasm once 13 MB of it have run (`--wasm-tiering-budget`), so one of a kilobyte in
 * the 13,000th request, and of JavaScript much earlier: two seconds showed an instance that is young, and only one of the two.
 */
const WARM = 2000, WARM_FIRST = 8, WARM_LATER = 2;

/** Starts all candidates anew in each round, and lets them take turns on each route; `compare` looks at them before that. */
export async function measure<R extends Running>({ what, candidates, routes, rounds, slice, compare }: { what: string; candidates: Candidate<R>[];
  routes: (Route | Sockets<R>)[]; rounds: number; slice: number; compare?(running: R[]): Promise<void> }): Promise<Figures> {
  const cpu = candidates.map(() => routes.map((): number[][] => [])), [took, rate] = [0, 0].map(() => candidates.map(() => routes.map((): number[] => [])));
  for (let n = 0; n < rounds; n++) {
    const running: R[] = [], began = performance.now();
    try {
      for (const candidate of candidates) running.push(await candidate.start());
      await compare?.(running);
      for (const [r, route] of routes.entries()) {
        const opened: ReturnType<typeof requestsTo>[] = [];
        for (const one of running) opened.push("open" in route ? await route.open(one) : requestsTo(one, route));
        for (let n = 0; n < (r ? WARM_LATER : WARM_FIRST); n++) {
          const warming = await requestsOf(route, WARM); // none of these reaches a candidate twice, all may reach each of them
          for (const one of opened) await one.send(WARM, warming);
        }
        for (const of of cpu) of[r].push([]);
        for (let s = 0; s < SLICES; s++) {
          const order = [...running.entries()], requests = await requestsOf(route, slice);
          for (const [c, { stack }] of (n + s) % 2 ? order.reverse() : order) {
            const before = stack.cpuMicros(), since = performance.now(), latencies = await opened[c].send(slice, requests);
            cpu[c][r][n].push((stack.cpuMicros() - before) / latencies.length);
            rate[c][r].push(latencies.length / (performance.now() - since) * 1000);
            for (const latency of latencies) took[c][r].push(latency);
          }
        }
        for (const one of opened) one.close();
      }
    } finally {
      await Promise.all(running.map(({ stack }) => stack.close()));
    }
    console.error(`bench: ${what}: round ${n + 1} of ${rounds}, ${((performance.now() - began) / 1000).toFixed(0)} s`);
  }
  return { cpu, took, rate };
}

/** Kilobytes as deployed (gzip -9), and milliseconds from spawning workerd, with this Worker alone and nothing bound to it, to
 *  its first answer: the median of nine. */
export async function sizeAndStart({ name, main, no_bundle, compatibility_date }: { name: string; main: string; no_bundle: boolean;
  compatibility_date: string }): Promise<[string, string]> {
  const modules = modulesOf({ name, main, no_bundle }).modules as { type: string; path: string; contents?: string }[];
  const dir = mkdtempSync(join(tmpdir(), "start-")), times: number[] = [];
  const files = modules.map((m) => ({ ...m, name: basename(m.path), bytes: Buffer.from(m.contents ?? readFileSync(m.path)) }));
  for (const file of files) writeFileSync(join(dir, file.name), file.bytes);
  for (let i = 0; i < 9; i++) {
    const [port] = await freePorts(1);
    const embedded = files.map((f) => `(name = "${f.name}", ${f.type === "ESModule" ? "esModule" : "wasm"} = embed "${f.name}")`);
    writeFileSync(join(dir, "config.capnp"), `using Workerd = import "/workerd/workerd.capnp";
      const config :Workerd.Config = (sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "w")],
        services = [(name = "w", worker = (compatibilityDate = "${compatibility_date}", modules = [${embedded.join(", ")}]))]);`);
    const began = performance.now(), child = spawn(workerd(), ["serve", join(dir, "config.capnp")], { stdio: "ignore" });
    const ended = new Promise((done) => child.on("exit", done));
    while (!(await fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.text().then(() => true), () => false)))
      if (child.exitCode !== null) throw new Error(`${name} does not start`);
    times.push(performance.now() - began);
    child.kill();
    await ended;
  }
  rmSync(dir, { recursive: true });
  const size = execFileSync("gzip", ["-9c"], { input: Buffer.concat(files.map((f) => f.bytes)) }).length;
  return [`${(size / 1024).toFixed(0)} KB`, `${median(times).toFixed(0)} ms`];
}

const workerd = (): string => createRequire(createRequire(createRequire(import.meta.url).resolve("wrangler")).resolve("miniflare"))("workerd").default;

export const table = (head: string[], rows: string[][]) =>
  [head, head.map((_, i) => (i ? "--:" : "---")), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
/** "median / 99th percentile", in milliseconds. */
export const latency = (micros: number[]) => `${(median(micros) / 1000).toFixed(2)} / ${(quantile(micros, 0.99) / 1000).toFixed(2)}`;

/** What the figures are of. */
export function circumstances(command: string): string {
  const version = (name: string) => JSON.parse(readFileSync(join(REPOSITORY, `node_modules/${name}/package.json`), "utf8")).version;
  return `${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpus()[0].model}, Linux ${release()}; workerd ${version("workerd")}, Hono ${version("hono")}.
\`${command}\``;
}

/** From how many rounds on figures are kept: those of fewer are only printed. */
const ENOUGH = 10;

const HELP = `./scripts/bench [SLUG...]   patterns beside their TypeScript twins, above the floor of their bindings (all with a twin, without a name)
./scripts/bench proof       can it tell? a Worker slowed by 20%, and the same one, beside itself; exit status 1 if not
./scripts/bench entry       what a request costs in the entry alone, beside Hono and beside axum on worker's own types

  --rounds N    restarts of everything, one after the other; default ${ENOUGH}. With that many or more the figures are written to
                docs/BENCHMARKS.md, each between its markers; with fewer they are only printed.
  --seconds S   of one slice; ${SLICES} a round for each candidate and route; default 0.2
  --also BUILD  (entry) other builds of tests/bench/entry/ours, to weigh a change: only these, ours and Hono run; only printed

A round takes about 13 s for each of a pattern's routes. Let nothing else run meanwhile.`;

/** Of what was asked for, not of what was measured. */
export function refuse(why: string): never {
  console.error(`bench: ${why}; see --help`);
  process.exit(2);
}

export function optionsOf(name: string) {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: {
    rounds: { type: "string", default: String(ENOUGH) }, seconds: { type: "string", default: "0.2" },
    also: { type: "string", multiple: true, default: [] }, help: { type: "boolean", short: "h" },
  } });
  if (values.help) { console.log(HELP); process.exit(); }
  const rounds = Number(values.rounds), slice = Number(values.seconds) * 1000;
  if (!(rounds >= 1 && slice > 0)) refuse(`--rounds ${values.rounds} --seconds ${values.seconds}: not both are numbers above 0`);
  const command = (what = name) => `./scripts/bench ${what} --rounds ${rounds} --seconds ${values.seconds}`;
  return { rounds, slice, also: values.also, positionals, command };
}

/** Prints a report, and writes it into its section of docs/BENCHMARKS.md, between its markers. */
export function publish(report: string, { section, title, rounds, unless }: { section: string; title: string; rounds: number;
  /** A reason not to write it. */
  unless?: string | false }) {
  console.log(report);
  const why = unless || (rounds < ENOUGH && `fewer than ${ENOUGH} rounds`);
  if (why) return console.error(`bench: only printed: ${why}`);
  const file = join(REPOSITORY, "docs/BENCHMARKS.md"), open = `<!-- ${section}: written by ./scripts/bench ${section} -->`, close = `<!-- /${section} -->`;
  const before = readFileSync(file, "utf8");
  const at = before.includes(open) ? before : `${before.trimEnd()}\n\n## ${title}\n\n${open}${close}\n`;
  writeFileSync(file, at.replace(new RegExp(`${open}.*${close}`, "s"), () => `${open}\n\n${report}\n\n${close}`));
  console.error(`bench: written to docs/BENCHMARKS.md, "${title}"`);
}
