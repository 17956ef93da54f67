// The probe and its caller, running.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startWorkers } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";

const PROBE = resolve(import.meta.dirname, "../probe");

export type Panics = "unwind" | "abort";

/** `faults`: with the stand-in that provokes them. */
export async function startProbe({ panics = "unwind" as Panics, faults = false } = {}): Promise<Stack> {
  const bind = { CALLER: "caller", ...(faults && { FAULTS: "faults" }) };
  const stack = await startWorkers([
    { id: "probe", config: panics === "abort" ? aborting() : join(PROBE, "wrangler.toml"), public: true, bind },
    { id: "caller", config: join(import.meta.dirname, "caller/wrangler.toml"), public: true },
    ...(faults ? [{ id: "faults", config: resolve(PROBE, "../../../wrangler/local/faults/wrangler.toml") }] : []),
  ]);
  await stack.queue("probe", "edge-http-probe-jobs", ["warm"]); // the first batch takes miniflare 100 ms more
  return stack;
}

/** The other build has no wrangler.toml of its own: it is the deployed one, pointed at that folder. */
function aborting(): string {
  if (process.env.EDGE_BUILT !== "1")
    execFileSync(resolve(PROBE, "../../../scripts/build"), [PROBE], { env: { ...process.env, EDGE_PANIC: "abort" }, stdio: "inherit" });
  const config = join(PROBE, "build-abort/wrangler.toml"), production = readFileSync(join(PROBE, "wrangler.toml"), "utf8");
  writeFileSync(config, production.replace("build/index.js", "index.js").replace(/^\[build\]\ncommand = .*\n/m, ""));
  return config;
}

/** An answer that is in the standard form for errors, and says so. */
export async function problem(answering: Response | Promise<Response>, status: number, code?: string): Promise<any> {
  const answer = await answering, { headers } = answer, text = await answer.text();
  assert.deepEqual([answer.status, headers.get("content-type")], [status, "application/problem+json"], text);
  const body = JSON.parse(text);
  assert.deepEqual([body.type, body.status], ["about:blank", status]);
  assert.ok(body.title && body.detail && body.code, JSON.stringify(body));
  if (code) assert.equal(body.code, code);
  assert.ok(headers.get("x-request-id"));
  return body;
}

export async function eventually<T>(what: () => Promise<T> | T, ms = 5000): Promise<T> {
  for (const end = Date.now() + ms; ; await sleep(20)) {
    const is = await what();
    if (is || Date.now() > end) return is;
  }
}
