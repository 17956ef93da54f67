// Runs a Worker's own [build] command, which decides by itself whether anything changed.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parse } from "smol-toml";

/** Builds the Worker of this wrangler.toml (if it has a build), with the output shown; `signal` ends it and everything it started. */
export async function build(config: string, signal?: AbortSignal): Promise<void> {
  const { build: { command, cwd = "." } = {} } = parse(readFileSync(config, "utf8")) as { build?: { command?: string; cwd?: string } };
  signal?.throwIfAborted();
  if (!command) return;
  await new Promise<void>((done, fail) => {
    // In the Worker's folder, as with `cd PATTERN && wrangler dev`. A process group of its own, so that cargo's children end too.
    const child = spawn("sh", ["-c", command],
      { cwd: resolve(dirname(config), cwd), stdio: ["ignore", "inherit", "inherit"], detached: true });
    const end = () => { try { process.kill(-child.pid!, "SIGTERM"); } catch { /* ended just now */ } };
    signal?.addEventListener("abort", end);
    child.on("error", fail);
    child.on("exit", (code) => {
      signal?.removeEventListener("abort", end);
      if (code === 0) done();
      else fail(new Error(`${config}: the build failed: ${command}`));
    });
  });
}

const begun = new Map<string, Promise<void>>();
/** For tests, in which no source changes: the same, once in this process; not at all where `EDGE_BUILT=1` says that everything is
 *  built already, as ./scripts/test does first. */
export async function buildOnce(config: string): Promise<void> {
  if (process.env.EDGE_BUILT === "1") return;
  if (!begun.has(config)) begun.set(config, build(config));
  await begun.get(config);
}
