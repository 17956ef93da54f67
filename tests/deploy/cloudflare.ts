// Cloudflare's API, as far as wrangler and xtask call it: one account that keeps state in memory (databases in a real SQLite),
// refuses what Cloudflare refuses, and fails on demand. A call that it does not know is an error of the test: it is never
// silently incomplete. The codes are those that wrangler's source knows, and those of Cloudflare's documentation.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { buildSync } from "esbuild";

export const ACCOUNT = "0123456789abcdef0123456789abcdef", TOKEN = "token-that-opens-nothing", SUBDOMAIN = "acme";

/** An answer that is no success. */
class Refusal extends Error {
  status: number;
  code: number;
  constructor(status: number, code: number, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}
const refuse = (status: number, code: number, message: string): never => { throw new Refusal(status, code, message); };

interface Version {
  id: string;
  number: number;
  modules: Map<string, Buffer>;
  exports: string[];
  metadata: any;
  secrets: Map<string, string>;
  /** Static assets: path -> hash. */
  assets?: Map<string, string>;
  created: string;
}
/** Static assets on their way. The one token opens the upload, the other says in a version's metadata that all of them are there. */
interface AssetsSession { script: string; manifest: Record<string, { hash: string; size: number }>; upload: string; completion: string }
interface Deployment { id: string; versions: { version_id: string; percentage: number }[]; annotations: any; created: string }
interface Worker {
  name: string;
  tag: string;
  versions: Version[]; // the newest is the last
  deployments: Deployment[];
  workersDev: boolean;
  previews: boolean;
  crons: string[];
  migrationTag?: string;
  classes: Set<string>;
  settings: any;
  from: string;
}
interface Queue { queue_id: string; queue_name: string; consumers: any[] }

export interface Call { method: string; path: string; status: number }
/** `before`: refused with 500, nothing happens. `after`: it happens, and the connection breaks before the answer. */
export type Mode = "before" | "after";

export class Cloudflare {
  workers = new Map<string, Worker>();
  kv = new Map<string, { title: string; entries: Map<string, string> }>();
  d1 = new Map<string, { name: string; db: DatabaseSync }>();
  r2 = new Map<string, { objects: Map<string, string> }>();
  queues = new Map<string, Queue>();
  /** By hash, of all Workers. */
  assets = new Map<string, { bytes: Buffer; type: string }>();
  #sessions: AssetsSession[] = [];
  domains = new Map<string, { id: string; hostname: string; service: string }>();
  zones = new Map([["zone-of-example-com", { name: "example.com", routes: new Map<string, { pattern: string; script: string }>() }]]);
  /** What a Worker answers with, where it is not 200. */
  answers = new Map<string, number>();
  /** So many requests to addresses find them not spread yet. */
  spreading = 0;
  /** A path in the account that is answered with 404, though it is there. */
  missing?: string;
  /** Requests to addresses, not to the API. */
  visits: string[] = [];
  calls: Call[] = [];
  unknown: string[] = [];
  /** The call with this number, counted from 0, fails, and so does the same call again until `heal`. */
  #fault?: { at: number; mode: Mode; call?: string };
  #api!: Server;
  #edge!: Server;
  #files = mkdtempSync(join(tmpdir(), "cloudflare-"));

  static async start(): Promise<Cloudflare> {
    const cloudflare = new Cloudflare();
    await cloudflare.#listen();
    return cloudflare;
  }

  async #listen() {
    // Workers' addresses are https, with certificates that a client verifies.
    const [key, cert] = [join(this.#files, "key.pem"), join(this.#files, "cert.pem")];
    execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=edge",
      "-addext", `subjectAltName=DNS:*.${SUBDOMAIN}.workers.dev,DNS:example.com,DNS:*.example.com`, "-keyout", key, "-out", cert], { stdio: "pipe" });
    this.#edge = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) => {
      const ours = this.spreading-- <= 0, status = ours ? this.#visit(request.headers.host!) : 404;
      this.visits.push(`${request.headers.host}${request.url} ${status}`);
      response.writeHead(status, ours && status !== 530 ? { "x-request-id": randomUUID() } : {}).end();
    }).listen(0, "127.0.0.1");
    this.#api = createServer((request, response) => void this.#answer(request, response)).listen(0, "127.0.0.1");
    // As a proxy it leads to every address there is.
    this.#api.on("connect", (_, client: Socket) => {
      const edge = connect((this.#edge.address() as AddressInfo).port, "127.0.0.1", () => client.write("HTTP/1.1 200 OK\r\n\r\n"));
      client.pipe(edge).pipe(client);
      for (const socket of [client, edge]) socket.on("error", () => { client.destroy(); edge.destroy(); });
    });
    await Promise.all([this.#edge, this.#api].map((server) => server.listening || new Promise((resolve) => server.once("listening", resolve))));
  }

  async close() {
    for (const server of [this.#api, this.#edge]) { server.close(); server.closeAllConnections(); }
    rmSync(this.#files, { recursive: true });
  }

  /** For a command that is to believe that this is Cloudflare. */
  get env(): Record<string, string> {
    const origin = `http://127.0.0.1:${(this.#api.address() as AddressInfo).port}`;
    return { CLOUDFLARE_API_BASE_URL: `${origin}/client/v4`, CLOUDFLARE_API_TOKEN: TOKEN, CLOUDFLARE_ACCOUNT_ID: ACCOUNT,
      HTTPS_PROXY: origin, NODE_EXTRA_CA_CERTS: join(this.#files, "cert.pem") };
  }

  /** `wrangler secret put` of each, for a Worker that is not there yet. */
  secret(name: string, ...secrets: string[]) {
    const version = { id: randomUUID(), number: 1, modules: new Map(), exports: ["default"], metadata: { bindings: [] }, secrets: new Map(secrets.map((secret) => [secret, "hush"])), created: new Date().toISOString() };
    const worker = { ...empty(name), versions: [version] };
    this.workers.set(name, worker);
    this.#deploy(worker, [{ version_id: version.id, percentage: 100 }], {});
  }

  fail(at: number, mode: Mode) { this.#fault = { at: this.calls.length + at, mode }; }
  /** Tells whether there was such a call. */
  heal(): boolean {
    const hit = this.#fault?.call !== undefined;
    this.#fault = undefined;
    return hit;
  }

  #visit(host: string): number {
    const name = host.endsWith(`.${SUBDOMAIN}.workers.dev`) ? host.split(".")[0] : undefined;
    const domain = [...this.domains.values()].find(({ hostname }) => hostname === host);
    const route = [...this.zones.values()].flatMap(({ routes }) => [...routes.values()]).find(({ pattern }) => pattern.split("/")[0] === host);
    const worker = this.workers.get(domain?.service ?? route?.script ?? name ?? "");
    if (!worker?.deployments.length || (name && !worker.workersDev)) return 530;
    return this.answers.get(worker.name) ?? 200;
  }

  async #answer(request: IncomingMessage, response: ServerResponse) {
    const url = new URL(request.url!, "http://cloudflare"), method = request.method!, path = url.pathname.replace("/client/v4", "");
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const call: Call = { method, path: path.replace(`/accounts/${ACCOUNT}`, ""), status: 0 }, fault = this.#fault;
    const at = this.calls.push(call) - 1;
    if (fault && at === fault.at) fault.call = `${method} ${path}`;
    const fails = fault?.call === `${method} ${path}`;
    let answer: any;
    try {
      const token = request.headers.authorization?.replace("Bearer ", "") ?? "", uploading = this.#sessions.find(({ upload }) => upload === token);
      if (token !== TOKEN && !(uploading && call.path === "/workers/assets/upload")) refuse(401, 10000, "Authentication error");
      if (fails && fault.mode === "before") refuse(500, 10013, "An unknown error has occurred");
      if (call.path === this.missing) refuse(404, 7003, "Could not route to the path");
      const type = request.headers["content-type"] ?? "", body = Buffer.concat(chunks);
      const parsed = type.startsWith("multipart/") ? await new Response(body, { headers: { "content-type": type } }).formData()
        : path.includes("/values/") ? body.toString() : body.length ? JSON.parse(body.toString()) : undefined;
      const { result, status = 200, ...info } = (await this.#route(method, path, url.searchParams, parsed, uploading)) as any;
      answer = { success: true, errors: [], messages: [], result: result ?? null, ...info };
      call.status = status;
    } catch (e: any) {
      if (!(e instanceof Refusal)) this.unknown.push(`${method} ${path}: ${e.stack}`);
      call.status = e.status ?? 500;
      answer = { success: false, errors: [{ code: e.code ?? 1, message: e.message }], messages: [], result: null };
    }
    if (fails && fault.mode === "after") { call.status = 0; return void request.socket.destroy(); }
    response.writeHead(call.status, { "content-type": "application/json" }).end(JSON.stringify(answer));
  }

  async #route(method: string, path: string, query: URLSearchParams, body: any, uploading?: AssetsSession): Promise<object> {
    for (const [pattern, verbs] of this.#routes) {
      const found = pattern.exec(path);
      if (found && verbs[method]) return (await verbs[method](body, ...found.slice(1).map(decodeURIComponent), query, uploading)) ?? {};
    }
    this.unknown.push(`${method} ${path}?${query}`);
    return refuse(404, 7003, `the mock does not know ${method} ${path}`);
  }

  #routes: [RegExp, Record<string, (body: any, ...rest: any[]) => any>][] = ([
    // Resources
    ["/storage/kv/namespaces", {
      GET: (_: any, query: URLSearchParams) => page([...this.kv].map(([id, { title }]) => ({ id, title })), query),
      POST: ({ title }: any) => {
        if ([...this.kv.values()].some((kv) => kv.title === title)) refuse(400, 10014, "create namespace: A namespace with this account ID and title already exists.");
        const id = randomUUID().replaceAll("-", "");
        this.kv.set(id, { title, entries: new Map() });
        return { result: { id, title } };
      },
    }],
    ["/storage/kv/namespaces/([^/]+)", {
      DELETE: (_: any, id: string) => void (this.kv.delete(id) || refuse(404, 10013, "namespace not found")),
    }],
    ["/storage/kv/namespaces/([^/]+)/bulk", {
      PUT: (entries: any[], id: string) => {
        const kv = this.kv.get(id) ?? refuse(404, 10013, "namespace not found");
        for (const { key, value } of entries) kv.entries.set(key, value);
        return { result: { successful_key_count: entries.length, unsuccessful_keys: [] } };
      },
    }],
    ["/storage/kv/namespaces/([^/]+)/values/([^/]+)", {
      PUT: (value: string, id: string, key: string) => void (this.kv.get(id) ?? refuse(404, 10013, "namespace not found")).entries.set(key, value),
    }],
    ["/d1/database", {
      GET: (_: any, query: URLSearchParams) => page([...this.d1].map(([uuid, { name }]) => ({ uuid, name })), query),
      POST: ({ name }: any) => {
        if ([...this.d1.values()].some((d1) => d1.name === name)) refuse(400, 7502, `Database with name '${name}' already exists`);
        const uuid = randomUUID();
        this.d1.set(uuid, { name, db: new DatabaseSync(":memory:") });
        return { result: { uuid, name, version: "production" } };
      },
    }],
    ["/d1/database/([^/]+)", {
      GET: (_: any, key: string) => { const [uuid, { name }] = this.#database(key); return { result: { uuid, name, version: "production" } }; },
      DELETE: (_: any, key: string) => void this.d1.delete(this.#database(key)[0]),
    }],
    ["/d1/database/([^/]+)/query", { POST: ({ sql, params }: any, key: string) => ({ result: this.#query(this.#database(key)[1].db, sql, params) }) }],
    ["/r2/buckets", {
      POST: ({ name }: any) => {
        if (this.r2.has(name)) refuse(409, 10004, "The bucket you tried to create already exists, and you own it.");
        this.r2.set(name, { objects: new Map() });
        return { result: { name } };
      },
    }],
    ["/r2/buckets/([^/]+)", {
      GET: (_: any, name: string) => (this.r2.has(name) ? { result: { name } } : refuse(404, 10006, "The specified bucket does not exist.")),
      DELETE: (_: any, name: string) => {
        const bucket = this.r2.get(name) ?? refuse(404, 10006, "The specified bucket does not exist.");
        if (bucket.objects.size) refuse(409, 10008, "The bucket you tried to delete is not empty");
        this.r2.delete(name);
      },
    }],
    ["/queues", {
      GET: (_: any, query: URLSearchParams) => {
        const names = query.getAll("name");
        return page([...this.queues.values()].filter((queue) => !names.length || names.includes(queue.queue_name)), query);
      },
      POST: ({ queue_name }: any) => {
        if ([...this.queues.values()].some((queue) => queue.queue_name === queue_name)) refuse(409, 11009, `Queue name '${queue_name}' is already taken. Please use a different name and try again.`);
        const queue = { queue_id: randomUUID().replaceAll("-", ""), queue_name, consumers: [] };
        this.queues.set(queue.queue_id, queue);
        return { result: queue };
      },
    }],
    ["/queues/([^/]+)", { DELETE: (_: any, id: string) => void (this.#queue(id), this.queues.delete(id)) }],
    ["/queues/([^/]+)/consumers", {
      GET: (_: any, id: string) => ({ result: this.#queue(id).consumers }),
      POST: (consumer: any, id: string) => {
        const { consumers } = this.#queue(id);
        if (consumers.length) refuse(400, 11004, "Queue already has a consumer");
        const { script_name: script, ...rest } = this.#consumer(consumer);
        consumers.push({ consumer_id: randomUUID().replaceAll("-", ""), script, ...rest });
        return { result: consumers[0] };
      },
    }],
    ["/queues/([^/]+)/consumers/([^/]+)", {
      PUT: (consumer: any, id: string, consumerId: string) => {
        const found = this.#queue(id).consumers.find((c) => c.consumer_id === consumerId) ?? refuse(404, 11005, "consumer not found");
        const { script_name: script, ...rest } = this.#consumer(consumer);
        return { result: Object.assign(found, { script, ...rest }) };
      },
      DELETE: (_: any, id: string, consumerId: string) => {
        const queue = this.#queue(id), before = queue.consumers.length;
        queue.consumers = queue.consumers.filter((c) => c.consumer_id !== consumerId);
        if (queue.consumers.length === before) refuse(404, 11005, "consumer not found");
      },
    }],

    // Workers
    ["/workers/subdomain", { GET: () => ({ result: { subdomain: SUBDOMAIN } }) }],
    ["/workers/services/([^/]+)", {
      GET: (_: any, name: string) => {
        const { tag, migrationTag, settings, from } = this.#worker(name);
        return { result: { id: name, default_environment: { environment: "production",
          script: { id: name, tag, migration_tag: migrationTag, tags: settings.tags ?? null, last_deployed_from: from } } } };
      },
      DELETE: (_: any, name: string, query: URLSearchParams) => this.#delete(name, query),
    }],
    ["/workers/workers/([^/]+)", {
      GET: (_: any, name: string) => {
        const { tag, workersDev, previews } = this.#worker(name);
        return { result: { id: tag, name, subdomain: { enabled: workersDev, previews_enabled: previews } } };
      },
    }],
    ["/workers/scripts", {
      GET: () => ({ result: [...this.workers.values()].map(({ name, tag, migrationTag }) => ({ id: name, tag, migration_tag: migrationTag })) }),
    }],
    ["/workers/scripts/([^/]+)", {
      PUT: async (form: FormData, name: string) => {
        const version = await this.#upload(name, form, true), worker = this.#worker(name);
        this.#deploy(worker, [{ version_id: version.id, percentage: 100 }], version.metadata.annotations);
        const { observability, logpush, tail_consumers } = version.metadata;
        Object.assign(worker.settings, { observability, logpush, tail_consumers });
        return { result: { id: name, tag: worker.tag, etag: version.id, deployment_id: version.id.replaceAll("-", ""), startup_time_ms: 5 } };
      },
      DELETE: (_: any, name: string, query: URLSearchParams) => this.#delete(name, query),
    }],
    // https://developers.cloudflare.com/workers/static-assets/direct-upload/
    ["/workers/scripts/([^/]+)/assets-upload-session", {
      POST: ({ manifest }: any, script: string) => {
        for (const [path, { hash, size }] of Object.entries<any>(manifest))
          if (!path.startsWith("/") || !/^[0-9a-f]{32}$/.test(hash) || !Number.isInteger(size)) refuse(400, 10021, `no asset: ${path}`);
        const session: AssetsSession = { script, manifest, upload: jwt(), completion: jwt() }, missing = this.#missing(session);
        this.#sessions.push(session);
        // So few at a time that a small page has several.
        const buckets = missing.flatMap((_, i) => (i % 2 ? [] : [missing.slice(i, i + 2)]));
        return { result: { jwt: missing.length ? session.upload : session.completion, buckets } };
      },
    }],
    ["/workers/assets/upload", {
      POST: async (form: FormData, query: URLSearchParams, session?: AssetsSession) => {
        if (!session || query.get("base64") !== "true") return refuse(400, 10021, "the mock takes assets in base64, with the token of their session");
        for (const [hash, file] of form.entries()) {
          const listed = Object.values(session.manifest).find((asset) => asset.hash === hash) ?? refuse(400, 10021, `${hash} is not in the manifest`);
          const bytes = Buffer.from(await (file as File).text(), "base64");
          if (bytes.length !== listed.size) refuse(400, 10021, `${hash} has ${bytes.length} bytes, not ${listed.size}`);
          this.assets.set(hash, { bytes, type: (file as File).type });
        }
        return this.#missing(session).length ? { result: {}, status: 202 } : { result: { jwt: session.completion }, status: 201 };
      },
    }],
    ["/workers/scripts/([^/]+)/versions", {
      POST: async (form: FormData, name: string) => {
        this.#worker(name);
        const version = await this.#upload(name, form, false);
        return { result: { id: version.id, number: version.number, startup_time_ms: 5, resources: { script: { etag: version.id } }, metadata: { has_preview: false } } };
      },
      GET: (_: any, name: string) => ({ result: { items: this.#worker(name).versions.toReversed().map(shown) } }),
    }],
    ["/workers/scripts/([^/]+)/versions/([^/]+)", {
      GET: (_: any, name: string, id: string) => ({ result: shown(this.#worker(name).versions.find((v) => v.id === id) ?? refuse(404, 10215, "version not found")) }),
    }],
    ["/workers/scripts/([^/]+)/deployments", {
      GET: (_: any, name: string) => ({ result: { deployments: this.#worker(name).deployments.toReversed().map(({ created, ...d }) => ({ ...d, created_on: created, source: "api", strategy: "percentage", author_email: "ci@example.com" })) } }),
      POST: ({ versions, annotations }: any, name: string) => ({ result: { id: this.#deploy(this.#worker(name), versions, annotations).id } }),
    }],
    ["/workers/scripts/([^/]+)/script-settings", {
      PATCH: (settings: any, name: string) => ({ result: Object.assign(this.#worker(name).settings, settings) }),
    }],
    ["/workers/scripts/([^/]+)/subdomain", {
      POST: ({ enabled, previews_enabled }: any, name: string) => {
        const worker = this.#worker(name);
        Object.assign(worker, { workersDev: enabled, previews: previews_enabled ?? enabled });
        return { result: { enabled, previews_enabled: worker.previews } };
      },
    }],
    ["/workers/scripts/([^/]+)/settings", {
      GET: (_: any, name: string) => ({ result: { ...this.#worker(name).settings, bindings: this.#worker(name).versions.at(-1)!.metadata.bindings } }),
    }],
    ["/workers/scripts/([^/]+)/schedules", {
      PUT: (crons: any[], name: string) => { this.#worker(name).crons = crons.map(({ cron }) => cron); return { result: { schedules: crons } }; },
    }],
    ["/workers/scripts/([^/]+)/secrets", {
      GET: (_: any, name: string) => ({ result: [...(this.#worker(name).versions.at(-1)?.secrets.keys() ?? [])].map((name) => ({ name, type: "secret_text" })) }),
      PUT: ({ name: secret, text }: any, name: string) => {
        const worker = this.#worker(name), last = worker.versions.at(-1)!;
        if (worker.deployments.at(-1)?.versions[0].version_id !== last.id) refuse(400, 10215, "the latest version is not deployed");
        const metadata = { ...last.metadata, annotations: { "workers/triggered_by": "secret" } };
        const version = { ...last, id: randomUUID(), number: last.number + 1, metadata, secrets: new Map(last.secrets).set(secret, text) };
        worker.versions.push(version);
        this.#deploy(worker, [{ version_id: version.id, percentage: 100 }], {});
        return { result: { name: secret, type: "secret_text" } };
      },
    }],
    ["/workers/scripts/([^/]+)/references", {
      GET: (_: any, name: string) => ({ result: { services: { incoming: this.#bound(name).map((service) => ({ service, environment: "production" })) } } }),
    }],
    ["/workers/durable_objects/namespaces", {
      GET: (_: any, query: URLSearchParams) =>
        page([...this.workers.values()].flatMap(({ name, classes }) => [...classes].map((c) => ({ id: `${name}_${c}`, name: `${name}_${c}`, script: name, class: c }))), query),
    }],
    ["/workers/tails/by-consumer/([^/]+)", { GET: () => ({ result: [] }) }],
    ["/containers(?:/dash)?/applications", { GET: () => ({ result: [] }) }],
    ["/workers/scripts/([^/]+)/domains/changeset", {
      POST: (origins: any[], name: string) => {
        const known = (hostname: string) => [...this.domains.values()].find((domain) => domain.hostname === hostname);
        return { result: { added: origins.filter(({ hostname }) => !known(hostname)), removed: [], conflicting: [],
          updated: origins.flatMap(({ hostname }) => { const d = known(hostname); return d ? [{ ...d, modified: d.service !== name }] : []; }) } };
      },
    }],
    ["/workers/scripts/([^/]+)/domains/records", {
      PUT: ({ origins }: any, name: string) => {
        this.#worker(name);
        for (const { hostname } of origins) {
          const id = [...this.domains.values()].find((domain) => domain.hostname === hostname)?.id ?? randomUUID();
          this.domains.set(id, { id, hostname, service: name });
        }
      },
    }],
    ["/workers/domains", {
      GET: (_: any, query: URLSearchParams) => ({ result: [...this.domains.values()].filter(({ hostname, service }) =>
        hostname === (query.get("hostname") ?? hostname) && service === (query.get("service") ?? service)) }),
    }],
    ["/workers/domains/([^/]+)", { DELETE: (_: any, id: string) => void (this.domains.delete(id) || refuse(404, 10007, "domain not found")) }],
    ["/workers/scripts/([^/]+)/routes", {
      PUT: (routes: any[], name: string) => {
        for (const { pattern } of routes) {
          const zone = [...this.zones.values()].find((zone) => pattern.split("/")[0].endsWith(zone.name)) ?? refuse(400, 10082, `no zone for ${pattern}`);
          zone.routes.set(pattern, { pattern, script: name });
        }
        return { result: routes };
      },
    }],
  ] as [string, any][]).map(([path, verbs]): [RegExp, any] => [new RegExp(`^/accounts/${ACCOUNT}${path}$`), verbs]).concat([
    [/^\/zones$/, { GET: (_: any, query: URLSearchParams) =>
      ({ result: [...this.zones].filter(([, { name }]) => name === query.get("name")).map(([id, { name }]) => ({ id, name })) }) }],
    [/^\/zones\/([^/]+)\/workers\/routes$/, { GET: (_: any, id: string) => ({ result: [...this.zones.get(id)!.routes.values()] }) }],
  ]);

  #missing({ manifest }: AssetsSession): string[] {
    return [...new Set(Object.values(manifest).map(({ hash }) => hash))].filter((hash) => !this.assets.has(hash));
  }
  #worker(name: string): Worker {
    return this.workers.get(name) ?? refuse(404, 10007, "This Worker does not exist on your account.");
  }
  #queue(id: string): Queue {
    return this.queues.get(id) ?? refuse(404, 11000, "queue not found");
  }
  #database(key: string) {
    return [...this.d1].find(([uuid, { name }]) => uuid === key || name === key) ?? refuse(404, 7404, "The database could not be found");
  }
  #consumer(consumer: any) {
    this.#worker(consumer.script_name);
    const dead = consumer.dead_letter_queue;
    if (dead && ![...this.queues.values()].some((queue) => queue.queue_name === dead)) refuse(400, 11006, `dead letter queue ${dead} does not exist`);
    return consumer;
  }

  /** All or nothing, as D1 runs what came in one request. */
  #query(db: DatabaseSync, sql: string, params: any[] = []) {
    db.exec("BEGIN");
    try {
      let results: any[] = [];
      // node:sqlite gives rows for one statement only; where there are more, nobody looks at them.
      if (/;\s*\S/.test(sql)) db.exec(sql); else results = db.prepare(sql).all(...params);
      db.exec("COMMIT");
      return [{ results, success: true, meta: { duration: 0 } }];
    } catch (e: any) {
      db.exec("ROLLBACK");
      return refuse(400, 7500, e.message);
    }
  }

  #bound(name: string) {
    return [...this.workers.values()].filter((worker) => worker.name !== name && worker.deployments.at(-1)?.versions.some(({ version_id }) =>
      worker.versions.find((v) => v.id === version_id)!.metadata.bindings.some((b: any) => b.service === name || b.script_name === name))).map((w) => w.name);
  }

  #delete(name: string, query: URLSearchParams) {
    this.#worker(name);
    if (query.get("force") !== "true") {
      const by = this.#bound(name);
      if (by.length) refuse(400, 10064, `Cannot delete this Worker as it is bound by ${by.join(", ")}`);
      if ([...this.queues.values()].some((queue) => queue.consumers.some((c) => c.script === name))) refuse(400, 10064, "Cannot delete this Worker as it is a consumer for a Queue.");
    }
    this.workers.delete(name);
    for (const { routes } of this.zones.values()) for (const [id, { script }] of routes) if (script === name) routes.delete(id);
  }

  #deploy(worker: Worker, versions: Deployment["versions"], annotations: any): Deployment {
    if (versions.length < 1 || versions.length > 2 || versions.reduce((sum, v) => sum + v.percentage, 0) !== 100) refuse(400, 10021, "percentages must add up to 100");
    for (const { version_id } of versions) if (!worker.versions.some((v) => v.id === version_id)) refuse(400, 10215, `no version ${version_id}`);
    const deployment = { id: randomUUID(), versions, annotations: annotations ?? {}, created: new Date().toISOString() };
    worker.deployments.push(deployment);
    worker.from = "wrangler";
    return deployment;
  }

  async #upload(name: string, form: FormData, create: boolean): Promise<Version> {
    const described = form.get("metadata")!;
    const { migrations, assets, ...metadata } = JSON.parse(typeof described === "string" ? described : await described.text());
    const session = assets && (this.#sessions.find(({ script, completion }) => script === name && completion === assets.jwt)
      ?? refuse(400, 10021, "the assets' token is not that of a finished upload for this Worker"));
    const modules = new Map<string, Buffer>();
    for (const [part, file] of form.entries()) if (typeof file !== "string") modules.set(part, Buffer.from(await file.arrayBuffer()));
    if (!modules.has(metadata.main_module)) refuse(400, 10021, `no module ${metadata.main_module}`);
    const exports = exportsOf(modules, metadata.main_module);
    const old = this.workers.get(name), before = old?.versions.at(-1), classes = new Set(old?.classes), secrets = new Map<string, string>();

    if (migrations) {
      if (!create) refuse(400, 10211, "migrations must be fully applied by running `wrangler deploy`");
      if ((migrations.old_tag ?? undefined) !== old?.migrationTag) refuse(412, 10079, `Tag precondition failed: expected ${old?.migrationTag}, got ${migrations.old_tag}`);
      for (const step of migrations.steps) {
        for (const c of step.new_sqlite_classes ?? []) classes.add(c);
        for (const c of step.deleted_classes ?? []) classes.delete(c);
      }
    }
    for (const c of classes) if (!exports.includes(c)) refuse(400, 10064, `New version of script does not export class '${c}' which is depended on by existing Durable Objects`);

    const bindings = [];
    for (const b of metadata.bindings ?? []) {
      const gone = (code: number, what: string) => refuse(400, code, `binding ${b.name}: ${what}`);
      switch (b.type) {
        case "plain_text": case "json": case "ratelimit": bindings.push(b); break;
        case "secret_text": secrets.set(b.name, b.text); break;
        case "inherit": {
          const inherited = before?.metadata.bindings.find(({ name }: any) => name === b.name);
          if (inherited) bindings.push(inherited);
          else if (!before?.secrets.has(b.name)) refuse(400, 10057, `inherit binding '${b.name}' is invalid, the previous version has no such binding`);
          break;
        }
        case "kv_namespace": this.kv.has(b.namespace_id) || gone(10041, `KV namespace '${b.namespace_id}' not found.`); bindings.push(b); break;
        case "d1": this.d1.has(b.id) || gone(10181, `D1 database '${b.id}' not found.`); bindings.push(b); break;
        case "r2_bucket": this.r2.has(b.bucket_name) || gone(10085, `R2 bucket '${b.bucket_name}' not found.`); bindings.push(b); break;
        case "queue": [...this.queues.values()].some((q) => q.queue_name === b.queue_name) || gone(11000, `Queue '${b.queue_name}' not found.`); bindings.push(b); break;
        case "service": {
          const target = b.service === name ? { deployments: [{}], exports } : this.workers.get(b.service);
          if (!target?.deployments.length) gone(10143, `Could not resolve service binding: script '${b.service}' not found.`);
          const there = "exports" in target! ? target.exports : (target as Worker).versions.at(-1)!.exports;
          if (!there.includes(b.entrypoint ?? "default")) gone(10144, `Worker '${b.service}' has no entrypoint '${b.entrypoint ?? "default"}'.`);
          bindings.push(b); break;
        }
        case "durable_object_namespace": {
          const there = b.script_name && b.script_name !== name ? this.workers.get(b.script_name)?.classes : classes;
          if (!there?.has(b.class_name)) gone(10061, `Cannot create binding for class '${b.class_name}' because it is not currently configured to implement Durable Objects.`);
          bindings.push(b); break;
        }
        case "assets": session || gone(10021, "there are no assets."); bindings.push(b); break;
        default: throw new Error(`the mock does not know bindings of type ${b.type}`);
      }
    }
    if (before) for (const [secret, text] of before.secrets) if (metadata.keep_bindings?.includes("secret_text") && !secrets.has(secret)) secrets.set(secret, text);

    const worker = old ?? empty(name);
    const version = { id: randomUUID(), number: worker.versions.length + 1, modules, exports, secrets, created: new Date().toISOString(),
      metadata: { ...metadata, bindings, assets: assets?.config }, assets: session && pathsOf(session) };
    worker.classes = classes;
    if (migrations) worker.migrationTag = migrations.new_tag;
    worker.versions.push(version);
    this.workers.set(name, worker);
    return version;
  }

  /** The versions that answer requests, with their share. */
  deployed(name: string): { percentage: number; version: Version }[] {
    const worker = this.workers.get(name);
    assert.ok(worker, `no Worker ${name}; there are: ${[...this.workers.keys()].join(", ")}`);
    return worker.deployments.at(-1)!.versions.map(({ version_id, percentage }) => ({ percentage, version: worker.versions.find((v) => v.id === version_id)! }));
  }

  /** All that a user would notice, under the names that a user knows: two histories that end alike give the same. */
  get state() {
    const names = new Map<string, string>([...[...this.kv].map(([id, { title }]) => [id, `KV ${title}`] as const),
      ...[...this.d1].map(([id, { name }]) => [id, `D1 ${name}`] as const)]);
    const named = (value: any) => JSON.parse(JSON.stringify(value ?? null), (_, v) => (typeof v === "string" ? names.get(v) ?? v : v));
    return {
      workers: sorted([...this.workers.values()].map((worker) => ({
        name: worker.name,
        deployed: this.deployed(worker.name).map(({ percentage, version: { modules, metadata: { bindings, annotations, ...metadata }, secrets, assets } }) => ({
          percentage, modules: Object.fromEntries([...modules].map(([part, bytes]) => [part, sha256(bytes)])),
          assets: assets && { ...metadata.assets, files: [...assets] },
          bindings: named(sorted(bindings)), secrets: [...secrets.keys()],
          compatibility: [metadata.compatibility_date, metadata.compatibility_flags ?? []], message: annotations?.["workers/message"],
        })),
        workersDev: worker.workersDev, previews: worker.previews, crons: worker.crons, migrationTag: worker.migrationTag ?? null,
        classes: [...worker.classes], observed: worker.settings.observability?.enabled ?? false,
      }))),
      kv: sorted([...this.kv.values()].map(({ title, entries }) => ({ title, entries: [...entries] }))),
      d1: sorted([...this.d1.values()].map(({ name, db }) => ({ name,
        tables: db.prepare("SELECT name, sql FROM sqlite_master ORDER BY name").all().map((row) => ({ ...row })),
        migrations: db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'd1_migrations'").get()
          ? db.prepare("SELECT name FROM d1_migrations ORDER BY id").all().map((row) => row.name) : [] }))),
      r2: sorted([...this.r2.keys()]),
      queues: sorted([...this.queues.values()].map(({ queue_name: name, consumers }) => ({ name, consumers: consumers.map(({ consumer_id: _, ...c }) => c) }))),
      domains: sorted([...this.domains.values()].map(({ hostname, service }) => ({ hostname, service }))),
      routes: sorted([...this.zones.values()].flatMap(({ routes }) => [...routes.values()])),
    };
  }
}

const empty = (name: string): Worker => ({ name, tag: randomUUID().replaceAll("-", ""), versions: [], deployments: [], workersDev: false, previews: false,
  crons: [], classes: new Set(), settings: {}, from: "wrangler" });

export const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
/** As much of one as wrangler reads: when it ends. */
const jwt = () => ["{}", JSON.stringify({ exp: Math.floor(Date.now() / 1000) + 3600, jti: randomUUID() }), ""]
  .map((part) => Buffer.from(part).toString("base64url")).join(".");
const pathsOf = ({ manifest }: AssetsSession) => new Map(sorted(Object.entries(manifest)).map(([path, { hash }]) => [path, hash]));
const sorted = <T>(all: T[]): T[] => all.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

function page(all: object[], query: URLSearchParams) {
  const size = Number(query.get("per_page") ?? 20), number = Number(query.get("page") ?? 1);
  return { result: all.slice((number - 1) * size, number * size), result_info: { page: number, per_page: size, count: all.length, total_count: all.length, total_pages: Math.max(1, Math.ceil(all.length / size)) } };
}

const shown = ({ id, number, metadata, created }: Version) => ({ id, number, annotations: metadata.annotations ?? {},
  metadata: { created_on: created, author_email: "ci@example.com", source: "wrangler" }, resources: { bindings: metadata.bindings, script: {}, script_runtime: {} } });

/** Cloudflare starts a Worker before it takes it: a module that is not there is refused. */
function exportsOf(modules: Map<string, Buffer>, main: string): string[] {
  const { metafile } = buildSync({ stdin: { contents: modules.get(main)!.toString(), loader: "js" }, outfile: "out.js", bundle: true, external: ["*"],
    format: "esm", write: false, metafile: true, logLevel: "silent" });
  const [output] = Object.values(metafile.outputs);
  for (const { path } of output.imports)
    if (path.startsWith(".") && !modules.has(path.slice(2))) refuse(400, 10021, `Uncaught Error: No such module "${path.slice(2)}".`);
  return output.exports;
}
