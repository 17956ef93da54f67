// ./scripts/bench entry: what a request costs in the entry alone, beside Hono and beside axum on `worker`'s own types.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { parse } from "smol-toml";
import { Stack } from "../../harness/stack.ts";
import { circumstances, latency, measure, optionsOf, publish, type Route, type Running, sizeAndStart, table } from "../measure.ts";
import { interval, mean, median, written } from "../statistics.ts";

const { rounds, slice, also, command } = optionsOf("entry");

interface Candidate { name: string; folder: string; main?: string }
const HONO = { name: "Hono", folder: "hono" }, OURS = { name: "edge-http", folder: "ours" };
const candidates: Candidate[] = also.length
  ? [HONO, OURS, ...also.map((build) => ({ name: basename(build), folder: "ours", main: resolve(build, "index.js") }))]
  : [HONO, OURS, { name: "edge-http, built to abort", folder: "ours", main: join(import.meta.dirname, "ours/build-abort/index.js") },
    { name: "axum on worker", folder: "axum-on-worker", main: join(import.meta.dirname, "axum-on-worker/build-abort/index.js") }];
const configOf = (folder: string) => join(import.meta.dirname, folder, "wrangler.toml");

// As a browser sends them, and 14 in the place of what an edge and proxies add.
const few = { "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", accept: "*/*", "accept-language": "en-GB,en;q=0.5",
  "accept-encoding": "gzip, br" };
const many = { ...few, ...Object.fromEntries(Array.from({ length: 15 }, (_, i) => [`x-header-${i}`, `a value of usual length, ${i}`])) };
const line = (i: number) => ({ sku: `SKU-${1000 + i}`, quantity: i + 1, note: "leave it at the back door, please: " + "n".repeat(40) });
const order = JSON.stringify({ customer: "c-1", lines: Array.from({ length: 8 }, (_, i) => line(i)) });
const routes: Route[] = [
  { name: "hello", method: "GET", path: "/", headers: few },
  { name: "JSON, path parameter", method: "GET", path: "/items/42", headers: few },
  { name: "POST 1 KB JSON", method: "POST", path: "/echo", headers: { ...few, "content-type": "application/json" }, body: order },
  { name: "20 headers", method: "GET", path: "/headers", headers: many },
  { name: "100 KB answer", method: "GET", path: "/big", headers: few },
  { name: "HMAC of 1 KB", method: "POST", path: "/hmac", headers: { ...few, "content-type": "application/octet-stream" }, body: "m".repeat(1024) },
];

async function start(folder: string, main?: string): Promise<Running> {
  const stack = await Stack.start({ edge: false, workers: [{ id: "w", config: configOf(folder), main, public: true }],
    log: () => { stack.logs.length = 0; } }); // all write a line a request; none is kept
  return { stack, port: Number(stack.urls.get("w")!.port) };
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

const others = [{ name: "hello on edge-http", folder: "hello" } as Candidate, ...candidates];
const sizes: string[][] = [];
for (const { name, folder, main } of others) {
  const config: any = parse(readFileSync(configOf(folder), "utf8"));
  sizes.push([name, ...await sizeAndStart({ ...config, main: main ?? join(import.meta.dirname, folder, config.main) })]);
}
const { cpu, took } = await measure({ what: "entry", routes, rounds, slice, compare,
  candidates: candidates.map(({ name, folder, main }) => ({ name, start: () => start(folder, main) })) });

/** Logarithms of the ratio to Hono, one a round. */
const logs = (c: number, r: number) => cpu[c][r].map((slices, n) => mean(slices.map((value, s) => Math.log(value / cpu[0][r][n][s]))));

function cpuTable() {
  return table(["", ...routes.map((r) => r.name), "geometric mean"], candidates.map(({ name }, c) => {
    const each = routes.map((_, r) => logs(c, r)), all = each[0].map((_, n) => mean(each.map((route) => route[n])));
    const cells = each.map((route, r) => `${median(cpu[c][r].flat()).toFixed(0)} µs${c ? `, ${written(interval(route))}` : ""}`);
    return [name, ...cells, c ? written(interval(all)) : "1"];
  }));
}

const report = `CPU time of workerd a request, and its ratio to Hono's with a 95% interval (bootstrap over ${rounds} rounds):

${cpuTable()}

Latency in milliseconds at eight connections on this machine, median / 99th percentile (the load runs on the same cores):

${table(["", ...routes.map((r) => r.name)], candidates.map(({ name }, c) => [name, ...took[c].map(latency)]))}

What is deployed, gzip -9, and the time from spawning workerd to the first answer (median of 9):

${table(["", "size", "start-up"], sizes)}

${circumstances(command())}`;
publish(report, { section: "entry", title: "The entry", rounds, unless: also.length > 0 && "with --also" });
