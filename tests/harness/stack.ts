// Runs a set of Workers from their PRODUCTION wrangler.toml files in one local workerd: one module for `scripts/dev`, the
// end-to-end tests and the benchmarks, so that all three run the same thing.
//
// How: wrangler reads and validates each configuration and says what its bindings are locally
// (`unstable_getMiniflareWorkerOptions`), miniflare turns that into its own form, where a Worker's bindings are one flat
// record; there bindings are replaced by stand-ins and variables by overrides, and sockets are opened.
// This leans on names that wrangler calls unstable, so wrangler is pinned exactly; harness.test.ts says what an upgrade broke.
import { AsyncLocalStorage } from "node:async_hooks";
import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { subscribe } from "node:diagnostics_channel";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import type { Server } from "node:https";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fingerprint, identity, makeCertificates } from "./certificates.ts";
import { migrate, seed as write, type Seed } from "./data.ts";
import { CF, controlWorker, edgeWorker } from "./inside.ts";
import { modulesOf } from "./modules.ts";
import { freePorts, HOST, inUse } from "./ports.ts";

/** One Worker of the stack. */
export interface WorkerSpec {
  /** What tests, `bind` and `{url:…}` call it. */
  id: string;
  /** Path of its wrangler.toml. */
  config: string;
  /** Its name in the stack, where the same wrangler.toml may run several times; absent: the name that the file gives. */
  name?: string;
  /** Another main module than the file says: of another build of the same Worker. */
  main?: string;
  /** A public Worker has a port of its own, in the order of the list. */
  public?: boolean;
  /** Binding -> id (or "id#Entrypoint") of the Worker that stands in for it, replacing a binding or adding one. */
  bind?: Record<string, string>;
  /** Overrides of variables and secrets; `{url:ID}` in one is that Worker's address. */
  vars?: Record<string, unknown>;
  /** Rate-limit binding -> how many calls it lets through in its period, instead of what the file says. */
  rateLimits?: Record<string, number>;
  /** KV binding -> what `seed` writes to it. */
  seed?: Record<string, Seed>;
  /** Files with secrets, beside wrangler.toml, the last one has the last word; absent: a developer's own `.dev.vars`. */
  envFiles?: string[];
}

export interface StackOptions {
  workers: WorkerSpec[];
  /** TLS servers that ask for client certificates, each before a public Worker and with a port after those of the Workers. */
  mtls?: { id: string; before: string }[];
  /** Port of the first public Worker, the next has port + 1, ...; 0 (default) takes free ones. */
  port?: number;
  /** Folder for storage, in wrangler's own layout; absent: a temporary one that `close` deletes. */
  persist?: string;
  /** Where the temporary one lies; absent: where the system has such files. */
  temporary?: string;
  /** Folder of the certificates of `mtls`, which stay there; absent: beside the storage. */
  certificates?: string;
  /** Puts edge.js in front of each public Worker. Benchmarks turn it off, and `mtls` with it. Default true. */
  edge?: boolean;
  /** Lets `sql` read objects. It wraps every class and writes one row in each object. Default false. */
  inspect?: boolean;
  /** Told every line that Workers and the runtime write. */
  log?: (line: string) => void;
  /** SIGINT and SIGTERM are the caller's: miniflare would end the process at once, with 130 or 143. Default false. */
  ownSignals?: boolean;
}

/** What a request may say about its visitor beside what `fetch` knows: laid over request.cf, and who connects. */
export type Visit = RequestInit & { cf?: object; ip?: string; duplex?: "half" };
export type ObjectId = { name: string } | { id: string };

/** Nothing emulates these: without a stand-in the stack does not start, rather than fail at the first call. */
const NO_EMULATION = new Set(["ai", "ai-search", "ai-search-namespace", "dispatch-namespace", "media", "mtls-certificate", "vectorize",
  "vpc-network", "vpc-service"]);

// Read by wrangler when it is loaded. At its usual level it warns that AI is always remote, about bindings that are replaced here.
process.env.WRANGLER_SEND_METRICS ??= "false";
process.env.WRANGLER_LOG ??= "error";
process.env.CLOUDFLARE_CF_FETCH_ENABLED ??= "false"; // request.cf is ours: no look-up at each start, which fails offline
const require = createRequire(import.meta.url);
let wrangler: typeof import("wrangler"), miniflare: any;
/** At the first start and not before (0.7 s), so that signals are already heard and a test that starts nothing pays nothing. */
function load() {
  if (miniflare) return;
  wrangler = require("wrangler");
  // Not a dependency of our own: the very miniflare that this wrangler pins, since the two must match.
  const fromWrangler = createRequire(require.resolve("wrangler"));
  miniflare = fromWrangler("miniflare");
  // `kill -9` of Node would leave workerd serving its ports: on Linux the kernel ends it with us.
  if (process.platform === "linux" && existsSync("/usr/bin/setpriv")) {
    process.env.REAL_WORKERD = createRequire(fromWrangler.resolve("miniflare"))("workerd").default;
    process.env.MINIFLARE_WORKERD_PATH ??= join(import.meta.dirname, "workerd.sh");
  }
}

// miniflare keeps its child to itself, but Node announces every child process on this channel: the context says whose it is.
const owner = new AsyncLocalStorage<ChildProcess[]>();
subscribe("child_process", (event: any) => { owner.getStore()?.push(event.process); });

interface Assembled {
  /** miniflare's. */
  options: any;
  /** By id, wrangler's normalised configuration under the name that the Worker has in the stack. */
  configs: Map<string, any>;
}

export class Stack {
  /** By id, in the order of the ports. */
  readonly urls = new Map<string, URL>();
  /** Every line that Workers and the runtime wrote. One may come shortly after the response that it belongs to: see `logged`. */
  readonly logs: string[] = [];
  #options: StackOptions;
  #mf: any;
  #good!: Assembled; // what started last
  #storage: string;
  /** Folder of the certificates of `mtls`: see makeCertificates. */
  readonly certificates: string;
  #doors: Server[] = [];
  #key = randomUUID();
  #runtimes: ChildProcess[] = []; // every workerd that ran: a reload starts a new one
  #closed?: Promise<void>;

  private constructor(options: StackOptions) {
    this.#options = options;
    this.#storage = options.persist ? resolve(options.persist) : this.#temporary();
    this.certificates = options.certificates ?? (options.persist ? join(this.#storage, "mtls") : `${this.#storage}-mtls`); // outlives a reset
  }

  #temporary() { return mkdtempSync(join(this.#options.temporary ?? tmpdir(), "stack-")); }

  static async start(options: StackOptions): Promise<Stack> {
    load();
    const open = options.workers.flatMap((w) => (w.public ? [w.id] : []));
    const mtls = options.edge === false ? [] : (options.mtls ?? []), ids = [...open, ...mtls.map(({ id }) => id)];
    for (const { id, before } of mtls)
      if (!open.includes(before)) throw new Error(`${id} is before ${before}, which is not a public Worker of the stack`);
    for (let attempt = 1; ; attempt++) {
      const ports = options.port ? ids.map((_, i) => options.port! + i) : await freePorts(ids.length);
      const stack = new Stack(options);
      for (const [i, id] of ids.entries()) stack.urls.set(id, new URL(`http${i < open.length ? "" : "s"}://${HOST}:${ports[i]}`));
      try {
        await stack.#start(mtls);
        return stack;
      } catch (e: any) {
        await stack.close().catch(() => {}); // the first error is the one to tell
        if (!["ERR_ADDRESS_IN_USE", "EADDRINUSE"].includes(e.code)) throw e;
        if (!options.port && attempt < 5) continue; // somebody took it between our look and workerd's
        const taken = await inUse(ports); // miniflare names the socket, not the port
        throw taken < 0 ? e : new Error(`port ${ports[taken]}, for ${ids[taken]}, is in use`, { cause: e });
      }
    }
  }

  async #start(mtls: { id: string; before: string }[]) {
    this.#good = this.#assemble();
    await this.#run(this.#good);
    await this.#fill(this.#good);
    if (!mtls.length) return;
    await makeCertificates(this.certificates);
    const { openMtls } = await import("./mtls.ts"); // here, since most stacks do without (0.1 s)
    const port = (id: string) => Number(this.urls.get(id)!.port);
    for (const { id, before } of mtls) this.#doors.push(await openMtls(port(id), port(before), this.#key, this.certificates));
  }

  /** workerd starts, or restarts, with this. */
  async #run({ options }: Assembled) {
    const signals = ["SIGINT", "SIGTERM"] as const, before = signals.map((s) => process.listeners(s)), logged = this.logs.length;
    const ready = owner.run(this.#runtimes, () => {
      if (this.#mf) return this.#mf.setOptions(options);
      this.#mf = new miniflare.Miniflare(options);
      return this.#mf.ready;
    });
    if (this.#options.ownSignals) for (const [i, s] of signals.entries())
      for (const listener of process.listeners(s)) if (!before[i].includes(listener)) process.off(s, listener);
    await ready.catch((e: any) => {
      if (e.code !== "ERR_RUNTIME_FAILURE") throw e;
      // Its message is workerd's log in JSON; this is the same as text.
      throw new Error(`a Worker does not start:\n${this.logs.slice(logged).join("\n")}`, { cause: e });
    });
  }

  /** Reads configurations and builds from disk; starts nothing. */
  #assemble(): Assembled {
    const { workers: specs, edge = true, inspect = false, log } = this.#options;
    const configs = new Map<string, any>();
    const workers = specs.map((spec) => {
      const read = wrangler.unstable_readConfig({ config: spec.config }) as any;
      const config = { ...read, name: spec.name ?? read.name, main: spec.main ?? read.main };
      configs.set(spec.id, config);
      const { workerOptions }: any = wrangler.unstable_getMiniflareWorkerOptions(config, undefined, { envFiles: spec.envFiles } as any);
      delete workerOptions.modulesRules; // miniflare 5 refuses it: it wants every module listed
      const page = workerOptions.assets?.directory; // where there is none, miniflare would serve nothing
      if (page && !existsSync(page)) throw new Error(`${config.name}: ${relative(process.cwd(), page)} is missing: build it first`);
      return { name: config.name, ...workerOptions, ...modulesOf(config) };
    });
    const options = miniflare.convertV4MiniflareOptions({
      host: HOST, port: 0, workers, cf: CF, logRequests: false,
      unsafeInspectDurableObjects: inspect, resourcePersistencePath: this.#storage,
      handleStructuredLogs: ({ message }: { message: string }) => {
        if (this.logs.push(message) > 20_000) this.logs.splice(0, 10_000); // `dev` runs for days
        log?.(message);
      },
    });

    const names = new Set(options.workers.map((w: any) => w.config.name));
    for (const [i, spec] of specs.entries()) {
      const { name, env } = options.workers[i].config;
      for (const [key, value] of Object.entries(spec.vars ?? {}))
        env[key] = typeof value === "string" ? { type: "text", value: this.#withUrls(value) } : { type: "json", value };
      for (const [key, limit] of Object.entries(spec.rateLimits ?? {})) if (key in env) env[key].simple.limit = limit;
      for (const [key, target] of Object.entries(spec.bind ?? {})) {
        const [id, exportName] = target.split("#");
        if (!configs.has(id)) throw new Error(`${name}: binding ${key} names ${id}, which is not in the stack`);
        env[key] = { type: "worker", worker: configs.get(id).name, exportName };
      }
      for (const [key, b] of Object.entries<any>(env)) {
        // No id in the file (wrangler then takes the binding's name for it), or a placeholder of zeros: data of the Worker's own,
        // or else two that know nothing of each other would share it. The same real id is the same data, as in production.
        if ((b.type === "kv" || b.type === "d1") && (b.id === key || /^[0-]+$/.test(b.id))) b.id = `${name}-${key}`;
        if (NO_EMULATION.has(b.type)) throw new Error(`${name}: binding ${key} (${b.type}) is not emulated locally: name a stand-in for it`);
        if (typeof b.worker === "string" && !names.has(b.worker))
          throw new Error(`${name}: binding ${key} needs the Worker ${b.worker}: add it to the stack`);
      }
    }

    const open: any[] = options.workers.filter((_: unknown, i: number) => specs[i].public);
    const ports = [...this.urls.values()].map((url) => Number(url.port));
    const socket = (i: number, entrypoint?: string) => ({ host: HOST, port: ports[i], entrypoint });
    if (edge) options.workers.push(edgeWorker(open.map((w) => w.config), this.#key, open.map((_, i) => socket(i, `E${i}`))));
    else for (const [i, w] of open.entries()) (w.dev ??= {}).unsafeDirectSockets = [socket(i)];
    options.workers.push(controlWorker());
    return { options, configs };
  }

  #withUrls(value: string): string {
    return value.replace(/\{url:([^}]*)\}/g, (_, id) => {
      const url = this.urls.get(id);
      if (!url) throw new Error(`{url:${id}}: ${id} is not a public Worker of the stack`);
      return url.origin;
    });
  }

  async #fill({ configs }: Assembled) {
    for (const { id, config, seed = {} } of this.#options.workers) {
      const { name, d1_databases } = configs.get(id);
      for (const database of d1_databases)
        await migrate(await this.#mf.getD1Database(database.binding, name), dirname(config), database, wrangler.unstable_splitSqlQuery);
      for (const [binding, what] of Object.entries(seed)) await write(await this.#mf.getKVNamespace(binding, name), what, (text) => this.#withFingerprints(text));
    }
  }

  /** `{fingerprint:NAME}` is that of one of makeCertificates's. */
  async #withFingerprints(text: string): Promise<string> {
    const names = /\{fingerprint:(\w+)\}/g;
    if (names.test(text)) await makeCertificates(this.certificates); // also where no `mtls` has made them
    return text.replace(names, (_, name) => fingerprint(this.identity(name).cert));
  }

  #nameOf(id: string): string {
    const config = this.#good.configs.get(id);
    if (!config) throw new Error(`no Worker ${id} in this stack; there are: ${[...this.#good.configs.keys()].join(", ")}`);
    return config.name;
  }

  /** A request to a Worker, public or not. */
  async fetch(id: string, path = "/", { cf, ip, ...init }: Visit = {}): Promise<Response> {
    const url = this.urls.get(id), headers = new Headers(init.headers);
    if (url) headers.set("MF-Edge-Key", this.#key);
    if (cf) headers.set("MF-CF-Blob", JSON.stringify({ ...CF, ...cf }));
    if (ip) headers.set("CF-Connecting-IP", ip);
    if (!url) headers.set("MF-Route-Override", this.#nameOf(id)); // through miniflare's own entry, which lets a caller name the Worker
    return fetch(new URL(path, url ?? (await this.#mf.ready)), { redirect: "manual", ...init, headers });
  }

  /** One of makeCertificates's as options of Node's TLS, to call an `mtls` with; `client` is known there. */
  identity(name: string) { return identity(this.certificates, name); }

  /** The first line that matches, of those written so far or within `ms`: long, since a busy machine is no fault. */
  async logged(what: string | RegExp, ms = 30_000): Promise<string> {
    for (const end = Date.now() + ms; ; await sleep(20)) {
      const line = this.logs.find((l) => (typeof what === "string" ? l.includes(what) : what.test(l)));
      if (line !== undefined) return line;
      if (Date.now() > end) throw new Error(`no log line matches ${what}; there are:\n${this.logs.join("\n")}`);
    }
  }

  /** The Worker's bindings, usable from Node: KV, D1, R2, queues, services over RPC, objects. Ask again after `reset` and `reload`. */
  async env(id: string): Promise<any> { return this.#mf.getBindings(this.#nameOf(id)); }
  /** A Worker's default export over RPC. */
  async rpc(id: string): Promise<any> { return this.#mf.getWorker(this.#nameOf(id)); }
  /** Fires the cron handler, since nothing fires by itself locally; tells the outcome. */
  async scheduled(id: string, cron: string, scheduledTime = new Date()) {
    return (await this.rpc(id)).scheduled({ cron, scheduledTime });
  }
  /** Hands a batch to the queue handler, past the broker, and tells what was acknowledged: no waiting, no timers. */
  async queue(id: string, queue: string, bodies: unknown[], attempts = 1) {
    return (await this.rpc(id)).queue(queue, bodies.map((body, i) => ({ id: `m${i}`, timestamp: new Date(), attempts, body })));
  }
  /** Ends the running instance of an object as idleness would; its sockets hibernate or close. */
  async evict(id: string, className: string, object: ObjectId, webSockets: "hibernate" | "close" = "hibernate") {
    await this.#mf.unsafeEvictDurableObject(this.#nameOf(id), className, { ...object, webSockets });
  }
  /** Ends every object as a crash or a deployment would: memory and sockets are lost, storage is kept. */
  async abortObjects() { await (await this.#mf.getWorker("local-control")).abortAll(); }
  /** Runs SQL in an object (needs `inspect`). */
  async sql(id: string, className: string, object: ObjectId, query: string, ...args: unknown[]): Promise<any[]> {
    return (await this.#mf.unsafeGetDurableObjectStorage(this.#nameOf(id), className, object)).exec(query, ...args);
  }

  /** The workerd process, which also runs the simulators of D1, KV, R2 and queues. */
  get pid(): number {
    const running = this.#runtimes.findLast((p) => p.exitCode === null && p.signalCode === null);
    if (!running?.pid) throw new Error("workerd is not running");
    return running.pid;
  }
  /** CPU time that workerd has used, in microseconds (Linux): the sum over its threads. */
  cpuMicros(): number {
    const tasks = `/proc/${this.pid}/task`;
    return readdirSync(tasks).reduce((sum, t) => sum + Number(readFileSync(`${tasks}/${t}/schedstat`, "utf8").split(" ")[0]) / 1000, 0);
  }

  /** Starts over on empty storage and the same ports: workerd is restarted, so objects, queues, caches and module state go too. */
  async reset() {
    if (this.#options.persist) throw new Error("a stack with a storage folder is not reset");
    const old = this.#storage;
    this.#good.options.resourcePersistencePath = this.#storage = this.#temporary();
    await this.#run(this.#good);
    rmSync(old, { recursive: true, force: true });
    await this.#fill(this.#good);
  }
  /** Takes up new builds, configurations and migrations, on the same ports and storage (waiting queue messages are lost:
   *  miniflare keeps them in memory). If the new one does not start, the old one runs again and this throws. */
  async reload() {
    const next = this.#assemble();
    try {
      await this.#run(next);
      await this.#fill(next);
      this.#good = next;
    } catch (e) {
      await this.#run(this.#good);
      throw e;
    }
  }

  /** Ends everything that this stack started. */
  close(): Promise<void> {
    return (this.#closed ??= (async () => {
      for (const door of this.#doors) door.close().closeAllConnections();
      await this.#mf?.dispose();
      const { persist, certificates } = this.#options;
      for (const folder of persist ? [] : certificates ? [this.#storage] : [this.#storage, this.certificates]) rmSync(folder, { recursive: true, force: true });
    })());
  }
}
