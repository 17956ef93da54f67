// ./scripts/bench entry: what a request costs in the entry alone, beside Hono and beside axum on `worker`'s own types.
//
// Measured is the CPU time of workerd, which is what a user pays for, of a process for each candidate. A busy machine hurts all
// alike: candidates take turns within a second, in alternating order, and a ratio compares neighbours. Every round restarts
// all processes, since two processes of the same code differ by some percent for as long as they live.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, release, tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { modulesOf } from "../../harness/modules.ts";
import { freePorts } from "../../harness/ports.ts";
import { Stack } from "../../harness/stack.ts";
import { interval, load, mean, median, quantile, request } from "../measure.ts";

const { values: options } = parseArgs({ options: {
  rounds: { type: "string", default: "8" }, // restarts of everything
  seconds: { type: "string", default: "0.5" }, // of one slice; four a round for each candidate and route
  also: { type: "string", multiple: true, default: [] }, // other builds of `ours`, to weigh a change: only these, ours and Hono run
  write: { type: "boolean", default: false }, // into docs/BENCHMARKS.md
} });
const rounds = Number(options.rounds), slice = Number(options.seconds) * 1000, SLICES = 4;

interface Candidate { name: string; folder: string; main?: string }
const HONO = { name: "Hono", folder: "hono" }, OURS = { name: "edge-http", folder: "ours" };
const candidates: Candidate[] = options.also.length
  ? [HONO, OURS, ...options.also.map((build) => ({ name: basename(build), folder: "ours", main: resolve(build, "index.js") }))]
  : [HONO, OURS, { name: "edge-http, built to abort", folder: "ours", main: join(import.meta.dirname, "ours/build-abort/index.js") },
    { name: "axum on worker", folder: "axum-on-worker", main: join(import.meta.dirname, "axum-on-worker/build-abort/index.js") }];
const configOf = (folder: string) => join(import.meta.dirname, folder, "wrangler.toml");

// As a browser sends them, and 14 in the place of what an edge and proxies add.
const few = { "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", accept: "*/*", "accept-language": "en-GB,en;q=0.5",
  "accept-encoding": "gzip, br" };
const many = { ...few, ...Object.fromEntries(Array.from({ length: 15 }, (_, i) => [`x-header-${i}`, `a value of usual length, ${i}`])) };
const line = (i: number) => ({ sku: `SKU-${1000 + i}`, quantity: i + 1, note: "leave it at the back door, please: " + "n".repeat(40) });
const order = JSON.stringify({ customer: "c-1", lines: Array.from({ length: 8 }, (_, i) => line(i)) });
const routes: { name: string; method: string; path: string; headers: Record<string, string>; body?: string }[] = [
  { name: "hello", method: "GET", path: "/", headers: few },
  { name: "JSON, path parameter", method: "GET", path: "/items/42", headers: few },
  { name: "POST 1 KB JSON", method: "POST", path: "/echo", headers: { ...few, "content-type": "application/json" }, body: order },
  { name: "20 headers", method: "GET", path: "/headers", headers: many },
  { name: "100 KB answer", method: "GET", path: "/big", headers: few },
  { name: "HMAC of 1 KB", method: "POST", path: "/hmac", headers: { ...few, "content-type": "application/octet-stream" }, body: "m".repeat(1024) },
];

interface Running extends Candidate { stack: Stack; port: number }

async function start(candidate: Candidate): Promise<Running> {
  const stack = await Stack.start({ edge: false, workers: [{ id: "w", config: configOf(candidate.folder), main: candidate.main, public: true }],
    log: () => { stack.logs.length = 0; } }); // all write a line a request; none is kept
  return { ...candidate, stack, port: Number(stack.urls.get("w")!.port) };
}

/** All do the same work: the same status, body and type, and a request id. */
async function compare(running: Running[]) {
  for (const { name, method, path, headers, body } of routes) {
    const answers = await Promise.all(running.map(async ({ port }) => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, body });
      assert.ok(answer.headers.get("x-request-id"), `${name}: no request id`);
      return { status: answer.status, type: answer.headers.get("content-type")?.toLowerCase().replaceAll(" ", ""), body: await answer.text() };
    }));
    assert.equal(answers[0].status, 200);
    for (const answer of answers) assert.deepEqual(answer, answers[0], name);
  }
}

/** For each candidate and route: microseconds of CPU a request in each slice, a list a round; and how long the requests took. */
const cpu = candidates.map(() => routes.map((): number[][] => []));
const took = candidates.map(() => routes.map((): number[] => []));

async function round(n: number) {
  const running: Running[] = [];
  for (const candidate of candidates) running.push(await start(candidate));
  try {
    await compare(running);
    for (const [r, { method, path, headers, body }] of routes.entries()) {
      const bytes = request(method, path, headers, body);
      for (const { port } of running) await load(port, bytes, Math.max(slice, 700)); // compiled, and optimised, before it counts
      for (const of of cpu) of[r].push([]);
      for (let s = 0; s < SLICES; s++) {
        const order = [...running.entries()];
        for (const [c, { port, stack }] of (n + s) % 2 ? order.reverse() : order) {
          const before = stack.cpuMicros(), latencies = await load(port, bytes, slice);
          cpu[c][r][n].push((stack.cpuMicros() - before) / latencies.length);
          for (const latency of latencies) took[c][r].push(latency);
        }
      }
    }
  } finally {
    await Promise.all(running.map(({ stack }) => stack.close()));
  }
}

/** Logarithms of the ratio to Hono, one a round. */
const logs = (c: number, r: number) => cpu[c][r].map((slices, n) => mean(slices.map((value, s) => Math.log(value / cpu[0][r][n][s]))));
const table = (head: string[], rows: string[][]) =>
  [head, head.map((_, i) => (i ? "--:" : "---")), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
const written = ({ ratio, low, high }: ReturnType<typeof interval>) => `${ratio.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`;

function cpuTable() {
  return table(["", ...routes.map((r) => r.name), "geometric mean"], candidates.map(({ name }, c) => {
    const each = routes.map((_, r) => logs(c, r)), all = each[0].map((_, n) => mean(each.map((route) => route[n])));
    const cells = each.map((route, r) => `${median(cpu[c][r].flat()).toFixed(0)} µs${c ? `, ${written(interval(route))}` : ""}`);
    return [name, ...cells, c ? written(interval(all)) : "1"];
  }));
}

const latencyTable = () => table(["", ...routes.map((r) => r.name)], candidates.map(({ name }, c) =>
  [name, ...took[c].map((t) => `${(median(t) / 1000).toFixed(2)} / ${(quantile(t, 0.99) / 1000).toFixed(2)}`)]));

/** Kilobytes as deployed, and milliseconds from spawning workerd alone, without the harness, to the first answer. */
async function sizeAndStart(folder: string, main?: string) {
  const { name, main: own, date } = { name: folder, ...configIn(folder) };
  const modules = modulesOf({ name, main: main ?? own, no_bundle: folder !== "hono" }).modules as { type: string; path: string; contents?: string }[];
  const dir = mkdtempSync(join(tmpdir(), "start-")), files = modules.map((m) => ({ ...m, name: basename(m.path), bytes: Buffer.from(m.contents ?? readFileSync(m.path)) }));
  for (const file of files) writeFileSync(join(dir, file.name), file.bytes);
  const times: number[] = [];
  for (let i = 0; i < 9; i++) {
    const [port] = await freePorts(1);
    const embedded = files.map((f) => `(name = "${f.name}", ${f.type === "ESModule" ? "esModule" : "wasm"} = embed "${f.name}")`);
    writeFileSync(join(dir, "config.capnp"), `using Workerd = import "/workerd/workerd.capnp";
      const config :Workerd.Config = (sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "w")],
        services = [(name = "w", worker = (compatibilityDate = "${date}", modules = [${embedded.join(", ")}]))]);`);
    const began = performance.now(), child = spawn(workerd, ["serve", join(dir, "config.capnp")], { stdio: "ignore" });
    const ended = new Promise((done) => child.on("exit", done));
    while (!(await fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.text(), () => ""))) if (child.exitCode !== null) throw new Error(`${name} does not start`);
    times.push(performance.now() - began);
    child.kill();
    await ended;
  }
  const size = execFileSync("gzip", ["-9c"], { input: Buffer.concat(files.map((f) => f.bytes)) }).length;
  rmSync(dir, { recursive: true });
  return [`${(size / 1024).toFixed(0)} KB`, `${median(times).toFixed(0)} ms`];
}

const workerd: string = createRequire(createRequire(createRequire(import.meta.url).resolve("wrangler")).resolve("miniflare"))("workerd").default;
function configIn(folder: string) {
  const text = readFileSync(configOf(folder), "utf8"), value = (key: string) => new RegExp(`^${key} = "(.*)"`, "m").exec(text)![1];
  return { main: join(dirname(configOf(folder)), value("main")), date: value("compatibility_date") };
}

const others = [{ name: "hello on edge-http", folder: "hello" } as Candidate, ...candidates];
const sizes: string[][] = [];
for (const { name, folder, main } of others) sizes.push([name, ...await sizeAndStart(folder, main)]);
for (let n = 0; n < rounds; n++) {
  await round(n);
  console.error(`bench: round ${n + 1} of ${rounds}`);
}

const version = (name: string) => JSON.parse(readFileSync(join(import.meta.dirname, `../../../node_modules/${name}/package.json`), "utf8")).version;
const report = `CPU time of workerd a request, and its ratio to Hono's with a 95% interval (bootstrap over ${rounds} rounds):

${cpuTable()}

Latency in milliseconds at eight connections on this machine, median / 99th percentile (the load runs on the same cores):

${latencyTable()}

What is deployed, gzip -9, and the time from spawning workerd to the first answer (median of 9):

${table(["", "size", "start-up"], sizes)}

${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpus()[0].model}, Linux ${release()}; workerd ${version("workerd")}, Hono ${version("hono")}.
\`./scripts/bench entry --rounds ${rounds} --seconds ${options.seconds}\``;
console.log(report);

if (options.write) {
  const file = join(import.meta.dirname, "../../../docs/BENCHMARKS.md"), [open, close] = ["<!-- entry: written by ./scripts/bench entry --write -->", "<!-- /entry -->"];
  const before = existsSync(file) ? readFileSync(file, "utf8") : `# Benchmarks\n\n## The entry\n\n${open}${close}\n`;
  writeFileSync(file, before.replace(new RegExp(`${open}.*${close}`, "s"), () => `${open}\n\n${report}\n\n${close}`));
}
