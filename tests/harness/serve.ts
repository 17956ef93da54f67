// Builds patterns, runs them, says where, and rebuilds on change.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "./build.ts";
import { fingerprint } from "./certificates.ts";
import { mtlsOf, readPattern, ROOT, slugs, specsOf, tryCommands, type Pattern } from "./pattern.ts";
import { Stack } from "./stack.ts";
import { watch } from "./watch.ts";

const USAGE = `usage: ./scripts/dev [SLUG…] [--port N] [--var NAME=VALUE]… [--persist DIR | --fresh]
  SLUG           the patterns to run (default: all)
  --port N       port of the first public Worker, the next takes N + 1, … (default: 8787)
  --var N=V      sets a variable or secret of the patterns' Workers, in place of what their files say
  --persist DIR  where storage is kept (default: .edge/ of the checkout)
  --fresh        starts on empty storage, which is forgotten at the end
Certificates for the TLS addresses are kept in .edge/mtls of the checkout in any case.`;

/** Asked for something that does not exist. */
export class Refused extends Error {
  constructor(why: string) {
    super(`${why}\n\n${USAGE}\npatterns: ${slugs().join(", ")}`);
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, allowPositionals: true, options: {
      port: { type: "string", default: "8787" }, var: { type: "string", multiple: true, default: [] },
      persist: { type: "string" }, fresh: { type: "boolean", default: false }, help: { type: "boolean", short: "h", default: false },
    } });
  } catch (e: any) {
    throw new Refused(e.message);
  }
}

/** Runs what the arguments name; nothing, when they ask for help or `signal` came first. */
export async function serve(args: string[], signal: AbortSignal): Promise<Stack | undefined> {
  const { values, positionals } = parse(args);
  if (values.help) {
    console.log(`${USAGE}\npatterns: ${slugs().join(", ")}`);
    return;
  }
  const port = Number(values.port), known = slugs(), named = positionals.length ? [...new Set(positionals)] : known;
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new Refused(`--port ${values.port} is no port`);
  if (values.persist !== undefined && values.fresh) throw new Refused("--persist and --fresh exclude each other");
  for (const slug of named) if (!known.includes(slug)) throw new Refused(`there is no pattern ${slug}`);
  const vars = Object.fromEntries(values.var.map((v) => {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(v) ?? [];
    if (!name) throw new Refused(`--var ${v}: NAME=VALUE is wanted`);
    return [name, value];
  }));

  const patterns = named.map(readPattern);
  const workers = patterns.flatMap((pattern) => specsOf(pattern, idIn(pattern)).map((spec, i) => ({
    ...spec,
    vars: i < pattern.workers.length ? { ...spec.vars, ...vars } : spec.vars, // stand-ins are not what is tried out
    envFiles: [".dev.vars.example", ".dev.vars"], // what a developer has not set is as the example says
  })));
  for (const { config } of workers) await build(config, signal);
  const persist = values.fresh ? undefined : (values.persist ?? join(ROOT, ".edge"));
  const mtls = patterns.flatMap((pattern) => mtlsOf(pattern, idIn(pattern)));
  // Kept by --fresh, too: who names a fingerprint in --var has to know it before.
  const certificates = join(ROOT, ".edge/mtls");
  const stack = await Stack.start({ workers, mtls, certificates, port, persist, log: console.log, ownSignals: true });
  if (signal.aborted) return stack;

  // Before anybody is told that it is ready, or a change that they make at once is not seen.
  const crates = join(ROOT, "crates"), configsOf = (p: Pattern) => p.workers.map((w) => join(w.folder, "wrangler.toml"));
  watch(stack, [
    ...workers.map(({ config }) => ({ folder: dirname(config), configs: [config] })),
    ...patterns.map((p) => ({ folder: p.folder, configs: configsOf(p) })), // what its Workers share
    ...(existsSync(crates) ? [{ folder: crates, configs: patterns.flatMap(configsOf) }] : []), // a build knows whether it is concerned
  ], (line) => console.log(`dev: ${line}`), signal);

  for (const [id, url] of stack.urls) console.log(`ready ${id} ${url.origin}`);
  if (mtls.length) {
    for (const [what, file] of Object.entries({ ca: "ca.pem", "ca-key": "ca.key", certificate: "client.pem", key: "client.key" }))
      console.log(`mtls ${what} ${join(stack.certificates, file)}`);
    console.log(`mtls fingerprint ${fingerprint(stack.identity("client").cert)}`);
  }
  for (const { slug } of patterns) {
    const urls = [...stack.urls].flatMap(([id, url]) => (id.split("/")[0] === slug ? [url] : []));
    for (const { comment, command } of tryCommands(slug, urls, stack.certificates)) console.log(`\n${comment && `# ${comment}\n`}${command}`);
  }
  console.log();
  return stack;
}

/** As printed: a pattern's main Worker is called like the pattern, the others SLUG/WORKER. */
const idIn = ({ slug, workers }: Pattern) => (name: string) => (workers.find((w) => w.public)?.name === name ? slug : `${slug}/${name}`);
