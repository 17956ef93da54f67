// A checkout to deploy from, and the command.
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const REPOSITORY = resolve(import.meta.dirname, "../.."), TARGET = process.env.CARGO_TARGET_DIR ?? join(REPOSITORY, "target");

/** A checkout with the patterns in `from`, as they are built there, so that environments/ and .edge/ of the real one stay as they are. */
export class Checkout {
  readonly root = mkdtempSync(join(tmpdir(), "checkout-"));

  constructor(from = REPOSITORY) {
    cpSync(join(from, "patterns"), join(this.root, "patterns"), { recursive: true, preserveTimestamps: true });
  }

  file(path: string): string | undefined {
    const file = join(this.root, path);
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  }

  remove() { rmSync(this.root, { recursive: true, force: true }); }
}

export interface Ended { status: number | null; out: string }

/** Runs a command to its end. Only these variables are of this machine, so that nobody's account is meant. */
export function run(command: string, args: string[], cwd: string, env: Record<string, string>): Promise<Ended> {
  const { PATH, HOME, TMPDIR, CARGO_TARGET_DIR, EDGE_TOOLS } = process.env;
  const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"],
    env: { PATH, HOME, TMPDIR, CARGO_TARGET_DIR, EDGE_TOOLS, WRANGLER_SEND_METRICS: "false", NODE_COMPILE_CACHE: join(TARGET, "node"), ...env } });
  let out = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => { out += text; });
  return new Promise((done, fail) => child.on("error", fail).on("close", (status) => done({ status, out })));
}

/** `./scripts/deploy`, after its set-up. */
export const deploy = (checkout: Checkout, args: string[], env: Record<string, string>) =>
  run(join(TARGET, "debug/xtask"), ["deploy", ...args], checkout.root, { EDGE_ROOT: checkout.root, EDGE_BUILT: "1", ...env });
