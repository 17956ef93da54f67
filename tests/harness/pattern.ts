// A pattern's pattern.toml says which Workers and stand-ins belong together; here it becomes a stack.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, isAbsolute, join, relative, resolve } from "node:path";
import { parse } from "smol-toml";
import { buildOnce } from "./build.ts";
import { Stack, type StackOptions, type WorkerSpec } from "./stack.ts";

/** The checkout whose patterns/ and wrangler/local/ are meant. */
export const ROOT = process.env.EDGE_ROOT ?? resolve(import.meta.dirname, "../..");
/** The stand-in that tests arm with faults; bound as FAULTS. */
export const FAULTS: WorkerSpec = { id: "faults", config: resolve(import.meta.dirname, "../../wrangler/local/faults/wrangler.toml") };

/** A Worker or a stand-in, as pattern.toml lists it. */
export interface Part {
  /** The folder's name; for a pattern that is one Worker, the slug. */
  name: string;
  folder: string;
  public: boolean;
  bind: Record<string, string>;
  vars: Record<string, unknown>;
}
export interface Pattern {
  slug: string;
  folder: string;
  number: string;
  title: string;
  products: string[];
  standards: string[];
  /** The first public one is the pattern's main Worker. */
  workers: Part[];
  standIns: Part[];
  /** TLS servers that ask for client certificates, each before the public Worker that it names. */
  mtls: { name: string; before: string }[];
  /** Data for local runs in a KV binding of a Worker: a file for `wrangler kv bulk put`, or with `key` the text of one value. */
  seed: { worker: string; kv: string; key?: string; file: string }[];
}

/** The checkout's patterns. */
export const slugs = () => readdirSync(join(ROOT, "patterns")).filter((slug) => existsSync(join(ROOT, "patterns", slug, "pattern.toml"))).sort();

/** Key -> type of its value, with a ? where it may be absent. */
const PATTERN = { number: "string", title: "string", products: "array", standards: "array", workers: "array", "stand-ins": "array?",
  mtls: "array?", seed: "array?" };
const PART = { name: "string", public: "boolean?", vars: "object?", bind: "object?" };
const MTLS = { name: "string", before: "string" };
const SEED = { worker: "string", kv: "string", key: "string?", file: "string" };

/** Reads the pattern of this slug, or in this absolute folder. */
export function readPattern(slugOrFolder: string): Pattern {
  const folder = isAbsolute(slugOrFolder) ? slugOrFolder : join(ROOT, "patterns", slugOrFolder), slug = basename(folder);
  const file = join(folder, "pattern.toml"), shown = relative(process.cwd(), file);
  if (!existsSync(file)) throw new Error(`no pattern ${slugOrFolder}; there are: ${slugs().join(", ")}`);
  const check = (where: string, table: any, keys: Record<string, string>) => {
    for (const key of Object.keys(table))
      if (!(key in keys)) throw new Error(`${shown}: unknown key ${where}${key}; known are: ${Object.keys(keys).join(", ")}`);
    for (const [key, type] of Object.entries(keys)) {
      const is = Array.isArray(table[key]) ? "array" : typeof table[key], allowed = type.endsWith("?") ? [type.slice(0, -1), "undefined"] : [type];
      if (!allowed.includes(is)) throw new Error(`${shown}: ${where}${key} is ${is}, not ${allowed[0]}`);
    }
  };
  const read: any = parse(readFileSync(file, "utf8"));
  check("", read, PATTERN);
  const { number, title, products, standards, workers, "stand-ins": standIns = [], mtls = [], seed = [] } = read;
  const nameOf = (name: string) => (name === "." ? slug : name);
  const parts = (list: any[], key: string, base: string): Part[] => list.map((part) => {
    check(`${key}.`, part, PART);
    const at = resolve(base, part.name);
    if (!existsSync(join(at, "wrangler.toml")))
      throw new Error(`${shown}: ${key} ${part.name}: there is no ${relative(process.cwd(), at)}/wrangler.toml`);
    return { public: false, bind: {}, vars: {}, ...part, name: nameOf(part.name), folder: at };
  });
  for (const m of mtls) check("mtls.", m, MTLS);
  for (const s of seed) check("seed.", s, SEED);
  const pattern: Pattern = {
    slug, folder, number, title, products, standards,
    workers: parts(workers, "workers", folder),
    standIns: parts(standIns, "stand-ins", resolve(folder, "../../wrangler/local")),
    mtls: mtls.map((m: any) => ({ ...m, before: nameOf(m.before) })),
    seed: seed.map((s: any) => ({ ...s, worker: nameOf(s.worker), file: resolve(folder, s.file) })),
  };
  if (!pattern.workers.some((w) => w.public)) throw new Error(`${shown}: no Worker is public`);
  return pattern;
}

/** The pattern's Workers and then its stand-ins. `id` makes names unique where several patterns share a stack. */
export function specsOf({ slug, workers, standIns, seed }: Pattern, id = (name: string) => name): WorkerSpec[] {
  return [...workers, ...standIns].map((part) => ({
    id: id(part.name),
    config: join(part.folder, "wrangler.toml"),
    // Each pattern has stand-ins of its own, which stand before different Workers.
    name: standIns.includes(part) ? `local-${part.name}-${slug}` : undefined,
    public: part.public,
    bind: Object.fromEntries(Object.entries(part.bind).map(([binding, target]) => [binding, target.replace(/^[^#]*/, id)])),
    vars: Object.fromEntries(Object.entries(part.vars).map(([key, value]) =>
      [key, typeof value === "string" ? value.replace(/\{url:([^}]*)\}/g, (_, name) => `{url:${id(name)}}`) : value])),
    seed: Object.fromEntries(seed.filter((s) => s.worker === part.name).map(({ kv, key, file }) => [kv, { key, file }])),
    envFiles: [".dev.vars.example"], // a developer's own secrets stay out of tests
  }));
}

/** What stands before them in a stack; `id` as in specsOf. */
export const mtlsOf = ({ mtls }: Pattern, id = (name: string) => name): NonNullable<StackOptions["mtls"]> =>
  mtls.map(({ name, before }) => ({ id: id(name), before: id(before) }));

export type TestOptions = Omit<StackOptions, "workers" | "mtls"> & {
  /** Binds the stand-in `faults` as FAULTS into the pattern's Workers and stand-ins. */
  faults?: boolean;
  /** Overrides of variables and secrets of the pattern's Workers. */
  vars?: Record<string, unknown>;
  /** Overrides of what their rate limits allow. */
  rateLimits?: Record<string, number>;
};

/** Runs a pattern (a slug, or an absolute folder) for a test: on free ports and empty storage unless told otherwise. */
export async function startPattern(slugOrFolder: string, { faults, vars, rateLimits, ...options }: TestOptions = {}): Promise<Stack> {
  const pattern = readPattern(slugOrFolder), count = pattern.workers.length;
  const workers = specsOf(pattern).map((spec, i): WorkerSpec =>
    ({ ...spec, rateLimits, vars: i < count ? { ...spec.vars, ...vars } : spec.vars, bind: { ...spec.bind, ...(faults && { FAULTS: FAULTS.id }) } }));
  if (faults) workers.push(FAULTS);
  return startWorkers(workers, { ...options, mtls: mtlsOf(pattern) });
}

/** Builds and runs any Workers. */
export async function startWorkers(workers: WorkerSpec[], options: Omit<StackOptions, "workers"> = {}): Promise<Stack> {
  for (const { config } of workers) await buildOnce(config);
  return Stack.start({ ...options, workers });
}

export interface Try {
  /** The comment above the command: `401: nobody is let in without a token`. */
  comment: string;
  command: string;
  /** The HTTP status that the comment starts with. */
  expect?: number;
}

/** The commands under `## Try` in the pattern's README: a line each (or several, joined by a backslash), with a comment
 *  before it. The default addresses in them, from port 8787 on, become those of `urls` (in the order of the ports), and the
 *  default folder of certificates becomes this one. */
export function tryCommands(slugOrFolder: string, urls: Iterable<URL>, certificates: string): Try[] {
  const readme = join(readPattern(slugOrFolder).folder, "README.md"), actual = [...urls];
  if (!existsSync(readme)) return [];
  const section = /^## Try$(.*?)(?=^## |(?![^]))/ms.exec(readFileSync(readme, "utf8"))?.[1] ?? "";
  const tries: Try[] = [];
  let comment = "";
  for (const [, block] of section.matchAll(/^```sh\n(.*?)^```/gms)) {
    for (const line of block.replaceAll(/\\\n\s*/g, "").split("\n").map((l) => l.trim())) {
      if (line.startsWith("#")) comment = line.replace(/^#\s*/, "");
      else if (line) {
        const command = line.replace(/https?:\/\/127\.0\.0\.1:(\d+)/g, (url, port) => actual[Number(port) - 8787]?.origin ?? url)
          .replaceAll(".edge/mtls/", `${certificates}/`);
        const status = /^([1-5]\d\d)\b/.exec(comment)?.[1];
        tries.push({ comment, command, expect: status ? Number(status) : undefined });
        comment = "";
      }
    }
  }
  return tries;
}

/** Runs every curl that the README shows against the running pattern: each must be answered with the status that it promises. */
export async function runTry(slugOrFolder: string, stack: Stack): Promise<void> {
  const tries = tryCommands(slugOrFolder, stack.urls.values(), stack.certificates), dir = mkdtempSync(join(tmpdir(), "try-"));
  assert.ok(tries.length, `${slugOrFolder}: README.md shows nothing under "## Try"`);
  try {
    for (const { command, expect } of tries) {
      // The command stands as it is, quotes and pipes and all; what is answered goes to a file, so that the status is what remains.
      const curl = `curl() { command curl --silent --show-error --output '${dir}/body' --write-out '%{http_code}' "$@"; }`;
      const status = await new Promise<string>((done) =>
        execFile("sh", ["-c", `${curl}\n${command}`], { timeout: 30_000 }, (_, out, err) => done(out || err)));
      assert.equal(status, String(expect), `${command}\n${existsSync(`${dir}/body`) ? readFileSync(`${dir}/body`, "utf8") : ""}`);
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
}
