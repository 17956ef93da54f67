// A checkout to deploy from, and the command.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parse } from "smol-toml";
import { Cloudflare, type Mode } from "./cloudflare.ts";

export const FIXTURE = join(import.meta.dirname, "fixture");
const REPOSITORY = resolve(import.meta.dirname, "../.."), TARGET = process.env.CARGO_TARGET_DIR ?? join(REPOSITORY, "target");

const ENVIRONMENT = `# Ours.
[workers.shop] # the front
routes = [{ pattern = "shop.example.com", custom_domain = true }, { pattern = "example.com/shop/*", zone_name = "example.com" },
  { pattern = "*.example.com/shop/*", zone_name = "example.com" }]
vars = { GREETING = "good day" }
`;

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

  write(path: string, text: string) {
    mkdirSync(dirname(join(this.root, path)), { recursive: true });
    writeFileSync(join(this.root, path), text);
  }

  /** Of its files only, since the stand-ins are not here. */
  workers(slug: string) {
    const pattern = `patterns/${slug}`, read = (file: string): any => parse(this.file(file)!);
    return read(`${pattern}/pattern.toml`).workers.map((worker: any) => {
      const folder = join(pattern, worker.name), { name, main, workers_dev: workersDev = true, secrets = {} } = read(`${folder}/wrangler.toml`);
      return { name, isPublic: worker.public, workersDev, secrets: secrets.required ?? [], file: join(this.root, folder, main) };
    });
  }

  /** The Worker that people reach. */
  main(slug: string) { return this.workers(slug).find(({ isPublic }: any) => isPublic); }

  remove() { rmSync(this.root, { recursive: true, force: true }); }
}

export interface Ended { status: number | null; out: string }

/** Runs a command to its end. Only these variables are of this machine, so that nobody's account is meant. */
export function run(command: string, args: string[], cwd: string, env: Record<string, string>): Promise<Ended> {
  const { PATH, HOME, TMPDIR, CARGO_HOME, RUSTUP_HOME, CARGO_TARGET_DIR, EDGE_TOOLS, NODE_COMPILE_CACHE } = process.env;
  const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"],
    env: { PATH, HOME, TMPDIR, CARGO_HOME, RUSTUP_HOME, CARGO_TARGET_DIR, EDGE_TOOLS, NODE_COMPILE_CACHE, WRANGLER_SEND_METRICS: "false", ...env } });
  let out = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => { out += text; });
  return new Promise((done, fail) => child.on("error", fail).on("close", (status) => done({ status, out })));
}

/** `./scripts/deploy`, after its set-up. */
export const deploy = (checkout: Checkout, args: string[], env: Record<string, string>) =>
  run(join(TARGET, "debug/xtask"), ["deploy", ...args], checkout.root, { EDGE_ROOT: checkout.root, EDGE_BUILT: "1", ...env });

export const BOTH: Mode[] = ["before", "after"];

/** An account, and a checkout to deploy from. */
export class World {
  readonly slug: string;
  readonly cloudflare: Cloudflare;
  readonly checkout: Checkout;

  private constructor(slug: string, cloudflare: Cloudflare) {
    this.slug = slug;
    this.cloudflare = cloudflare;
    this.checkout = new Checkout(slug === "shop" ? FIXTURE : REPOSITORY);
  }

  static async start(slug: string): Promise<World> {
    const world = new World(slug, await Cloudflare.start()), { name, workersDev } = world.checkout.main(slug);
    for (const { name, secrets } of world.checkout.workers(slug)) if (secrets.length) world.cloudflare.secret(name, ...secrets);
    // Written by hand, before the first deployment.
    const written = slug === "shop" ? ENVIRONMENT
      : workersDev ? undefined : `[workers.${name}]\nroutes = [{ pattern = "api.example.com", custom_domain = true }]\n`;
    if (written) world.checkout.write("environments/production.toml", written);
    return world;
  }

  deploy(...args: string[]): Promise<Ended> { return deploy(this.checkout, [this.slug, ...args], this.cloudflare.env); }

  /** A deployment, or another command, that must succeed. */
  async succeeds(...args: string[]): Promise<string> {
    const { status, out } = await this.deploy(...args);
    assert.equal(status, 0, out);
    assert.deepEqual(this.cloudflare.unknown, []);
    return out;
  }

  /** How many calls that needs, and how it ends. */
  async reference(...args: string[]) {
    const from = this.cloudflare.calls.length;
    await this.succeeds(...args);
    return { calls: this.cloudflare.calls.slice(from), state: this.cloudflare.state };
  }

  /** The command, interrupted at this call, and the same command again. */
  async interrupted(at: number, mode: Mode, ...args: string[]) {
    this.cloudflare.fail(at, mode);
    const { status, out } = await this.deploy(...args);
    assert.ok(this.cloudflare.heal(), `there was no call ${at}: ${out}`);
    // Wrangler shrugs off some failures: they are right after the next run all the same.
    if (status) assert.match(out, /nothing was changed|Not done: /);
    await this.succeeds(...args);
    return out;
  }

  /** The file names what is there, and nothing else. */
  remembers(env = "production") {
    const { kv_namespaces = {}, d1_databases = {} } = parse(this.checkout.file(`environments/${env}.toml`) ?? "") as any;
    const named = (all: Map<string, any>, key: string) =>
      Object.fromEntries([...all].map(([id, it]) => [it[key], id]).filter(([name]) => name.includes("-staging") === (env === "staging")));
    assert.deepEqual({ ...kv_namespaces }, named(this.cloudflare.kv, "title"));
    assert.deepEqual({ ...d1_databases }, named(this.cloudflare.d1, "name"));
  }

  async end() {
    await this.cloudflare.close();
    this.checkout.remove();
  }
}
