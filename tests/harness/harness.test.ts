// What the harness promises, tried on the small pattern in fixture/: when wrangler is upgraded, this says what broke.
//   node --test tests/harness/harness.test.ts
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http, { type OutgoingHttpHeaders } from "node:http";
import https from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fingerprint } from "./certificates.ts";
import { readPattern, runTry, startPattern, tryCommands } from "./pattern.ts";
import { freePorts } from "./ports.ts";
import type { Stack } from "./stack.ts";

delete process.env.EDGE_BUILT; // the fixture is not among what ./scripts/test has built

/** A checkout in small, of the test's own, since some tests change its sources. */
const copies: string[] = [];
function checkout() {
  const root = mkdtempSync(join(tmpdir(), "harness-"));
  copies.push(root);
  cpSync(join(import.meta.dirname, "fixture"), root, { recursive: true });
  const shop = join(root, "patterns/shop");
  const edit = (file: string, from: string | RegExp, to: string) =>
    writeFileSync(join(shop, file), readFileSync(join(shop, file), "utf8").replace(from, to));
  return { root, shop, edit };
}
after(() => { for (const root of copies) rmSync(root, { recursive: true }); });

const isWorkerd = (pid: number) => existsSync(`/proc/${pid}`) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("workerd");
const alive = (pid: number) => existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
/** Every process below this one. */
function descendants(pid: number): number[] {
  const parentOf = (entry: string) => {
    try { return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${entry}/status`, "utf8"))?.[1]); } catch { return -1; } // ended meanwhile
  };
  const children = readdirSync("/proc").filter((entry) => /^\d+$/.test(entry) && parentOf(entry) === pid).map(Number);
  return [...children, ...children.flatMap(descendants)];
}
async function eventually(what: () => boolean | Promise<boolean>, message: () => string, ms = 10_000) {
  for (const end = Date.now() + ms; !(await what()); await sleep(20)) if (Date.now() > end) assert.fail(message());
}

describe("a running pattern", () => {
  const { shop } = checkout();
  let stack: Stack;
  const text = async (path: string, init = {}, worker = "api") => (await stack.fetch(worker, path, init)).text();
  const json = async (path: string, init = {}, worker = "api") => JSON.parse(await text(path, init, worker));
  before(async () => { stack = await startPattern(shop, { faults: true, inspect: true, vars: { LIMITS: { items: 9 } }, rateLimits: { OFTEN: 1 } }); });
  after(() => stack?.close());

  test("each public Worker has an address of its own, internal ones have none", async () => {
    assert.deepEqual([...stack.urls.keys()], ["api", "door", "tls"]);
    assert.equal(await (await fetch(new URL("/hello", stack.urls.get("api")))).text(), "version one");
    assert.equal(await (await fetch(new URL("/hello", stack.urls.get("door")))).text(), "version one");
    assert.equal(await text("/", {}, "stock"), "internal");
  });
  test("a rate limit allows what the test says, not what the production file does", async () => {
    assert.deepEqual(await json("/often"), [true, false]);
  });
  test("the production file's bindings work", async () => {
    assert.deepEqual(await json("/stock"), [{ sku: "tea", reserved: 2 }, "booked 7"]);
    assert.deepEqual(await json("/out-of-stock"), ["RangeError", "out of stock"]);
  });
  test("stand-ins answer under the names of what they stand in for", async () => {
    assert.deepEqual(await json("/ai"), { model: "@cf/any", response: "HI" });
  });
  test("variables come from wrangler.toml, .dev.vars.example, pattern.toml and the test", async () => {
    const DOOR_URL = stack.urls.get("door")!.origin;
    assert.deepEqual(await json("/vars"), { GREETING: "hello", SECRET: "from-the-example", DOOR_URL, LIMITS: { items: 9 } });
  });
  test("databases are migrated and namespaces seeded", async () => {
    assert.equal(await json("/orders"), 1);
    assert.deepEqual(await json("/plans"), ["10 requests", { value: "1000", metadata: { since: 2026 }, cacheStatus: null }]);
  });
  test("one value is seeded with the fingerprints of this run's certificates, and again when the stack starts over", async () => {
    const known = async () => (await stack.env("api")).MACHINES.get("known"), { MACHINES } = await stack.env("api");
    assert.equal(await known(), `client ${fingerprint(stack.identity("client").cert)}\n`);
    await MACHINES.put("known", "changed");
    await stack.reload();
    assert.equal(await known(), `client ${fingerprint(stack.identity("client").cert)}\n`);
  });
  test("a fault is armed through a binding that production does not have", async () => {
    await (await stack.rpc("faults")).arm("fault", "fail", 2);
    assert.deepEqual([await json("/fault"), await json("/fault"), await json("/fault")], ["fail", "fail", null]);
    await (await stack.rpc("faults")).arm("door", "fail"); // a stand-in's
    assert.deepEqual([await text("/hello", {}, "door"), await text("/hello", {}, "door")], ["provoked", "version one"]);
  });
  test("a request says what the edge saw, and a test may say what that is", async () => {
    const plain = await json("/edge");
    assert.deepEqual([plain.cf.country, plain.cf.colo], ["GB", "LHR"]);
    assert.deepEqual([plain.headers["cf-connecting-ip"], plain.headers["cf-ipcountry"]], ["127.0.0.1", "GB"]);
    assert.match(plain.headers["cf-ray"], /^[0-9a-f]{16}-LHR$/);
    const told = await json("/edge", { cf: { country: "FR", tlsClientAuth: { certVerified: "SUCCESS" } }, ip: "203.0.113.9" });
    assert.deepEqual([told.cf.country, told.cf.colo, told.cf.tlsClientAuth], ["FR", "LHR", { certVerified: "SUCCESS" }]);
    assert.equal(told.headers["cf-connecting-ip"], "203.0.113.9");
    assert.equal((await json("/edge", { cf: { country: "FR" } }, "door")).cf.country, "FR", "passed on with the request");
  });
  test("a client is not believed what only the edge can know", async () => {
    const headers = { "MF-CF-Blob": '{"country":"XX"}', "MF-Edge-Key": "guessed", "MF-Route-Override": "shop-stock",
      "MF-Original-URL": "http://else/", "CF-Connecting-IP": "203.0.113.9", "CF-Ray": "made-up", "CF-IPCountry": "XX", "CF-Worker": "else",
      "True-Client-IP": "203.0.113.9", "X-Forwarded-For": "203.0.113.9" };
    const url = new URL("/edge?q=a%20b", stack.urls.get("api")), seen: any = await (await fetch(url, { headers })).json();
    assert.equal(seen.url, url.href);
    assert.equal(seen.cf.country, "GB");
    // (MF-Access-Blob is the edge's own, for a Worker with [access.dev].)
    assert.deepEqual(Object.keys(seen.headers).filter((h) => /^mf-(?!access)|^cf-worker|^true-/.test(h)), []);
    const ours = ["cf-connecting-ip", "cf-ipcountry", "x-forwarded-for"].map((h) => seen.headers[h]);
    assert.deepEqual(ours, ["127.0.0.1", "GB", "203.0.113.9, 127.0.0.1"]);
    assert.notEqual(seen.headers["cf-ray"], "made-up");
    assert.equal((await fetch(new URL("/hello", url), { headers: { "MF-CF-Blob": "not JSON" } })).status, 200);
  });
  test("ctx.access is who [access.dev] in wrangler.toml says, whatever the client says", async () => {
    const init = { headers: { "MF-Access-Blob": '{"app_aud":"mine","jwt_claims":{"email":"eve@example.com"}}' } };
    assert.deepEqual(await json("/access", init), ["local", { email: "ann@example.com" }]);
  });
  test("bodies stream both ways, lengths are kept, and a redirect is the client's to follow", async () => {
    const { readable, writable } = new TransformStream(), writer = writable.getWriter();
    const answer = stack.fetch("api", "/echo", { method: "POST", body: readable, duplex: "half" });
    for (const chunk of ["one", "two"]) {
      await Promise.all([writer.write(Buffer.from(chunk)), answer]);
      const reader = (await answer).body!.getReader();
      assert.equal(Buffer.from((await reader.read()).value!).toString(), chunk);
      reader.releaseLock();
    }
    await writer.close();
    assert.equal((await json("/edge", { method: "POST", body: "12345" })).headers["content-length"], "5");
    assert.equal((await stack.fetch("api", "/away")).status, 302);
  });
  test("a cron handler fires, and its outcome is known", async () => {
    assert.equal((await stack.scheduled("stock", "*/5 * * * *")).outcome, "ok");
    assert.equal((await stack.scheduled("stock", "bad")).outcome, "exception");
    await stack.logged("cron */5 * * * *");
    const url = new URL("/cdn-cgi/handler/scheduled?cron=x", stack.urls.get("api")); // as in wrangler dev; this Worker has no handler
    assert.equal((await fetch(url)).status, 500);
  });
  test("a batch is handed to the consumer, past the broker", async () => {
    const { outcome, explicitAcks, retryMessages } = await stack.queue("stock", "shop-jobs", [{ id: 1 }, { id: 2, fail: true }], 3);
    assert.deepEqual([outcome, explicitAcks, retryMessages.map((m: any) => m.msgId)], ["ok", ["m0"], ["m1"]]);
    await stack.logged("job 2 attempt 3");
  });
  test("a message that was sent reaches the consumer through the broker", async () => {
    await text("/send");
    await stack.logged("job sent attempt 1");
  });
  test("hibernating sockets outlive an eviction; nothing outlives an abort but storage", async () => {
    const socket = new WebSocket(new URL("/room", stack.urls.get("api")).href.replace("http", "ws")), heard: string[] = [];
    socket.onmessage = ({ data }) => heard.push(data);
    const closed = new Promise<number>((done) => (socket.onclose = ({ code }) => done(code)));
    await new Promise((done) => (socket.onopen = done));
    const say = async (word: string) => {
      socket.send(word);
      await eventually(() => heard.at(-1)?.endsWith(word) ?? false, () => `no answer to ${word}`);
    };
    await say("one");
    await stack.evict("api", "Room", { name: "one" });
    await say("two");
    assert.notEqual(heard[0].slice(0, 36), heard[1].slice(0, 36), "another instance answered");
    await stack.abortObjects();
    assert.equal(await closed, 1006);
    assert.deepEqual(await stack.sql("api", "Room", { name: "one" }, "SELECT text FROM said"), [{ text: "one" }, { text: "two" }]);
  });
  test("an uncaught error is a 500, and the log says why", async () => {
    assert.equal((await stack.fetch("api", "/throw")).status, 500);
    await stack.logged(/thrown on purpose/);
  });
  test("the README's curls get the statuses that it promises, on the addresses of this run", async () => {
    const urls = [...stack.urls.values()];
    assert.deepEqual(tryCommands(shop, urls, stack.certificates), [
      { comment: "200: says hello", command: `curl -i ${urls[0].origin}/hello`, expect: 200 },
      { comment: "404: through the door, which is the second address", expect: 404,
        command: `curl -X POST ${urls[1].origin}/nothing -H 'content-type: application/json' -d '{"a": 1}'` },
    ]);
    await runTry(shop, stack);
  });
  test("CPU time can be read", async () => {
    const used = stack.cpuMicros();
    for (let i = 0; i < 20; i++) await text("/hello");
    assert.ok(stack.cpuMicros() > used);
  });
  test("reset empties everything, on the same ports", async () => {
    const { port } = stack.urls.get("api")!;
    await text("/order");
    await stack.reset();
    assert.deepEqual([await json("/orders"), (await json("/plans"))[0], stack.urls.get("api")!.port], [1, "10 requests", port]);
    assert.equal(await (await fetch(new URL("/hello", stack.urls.get("door")))).text(), "version one");
  });
});

describe("a Worker with static assets", () => {
  const site = join(checkout().root, "patterns/site");
  let stack: Stack;
  const worker = (pathname: string) => ({ pathname, country: "GB", ip: "127.0.0.1" });
  before(async () => { stack = await startPattern(site); });
  after(() => stack?.close());

  test("a file is served with the headers that the page asks for, and the Worker is not asked", async () => {
    for (const [method, body] of [["GET", "<h1>page one</h1>\n"], ["HEAD", ""]]) {
      const page = await stack.fetch("site", "/", { method });
      assert.equal(page.status, 200);
      assert.equal(page.headers.get("content-type"), "text/html; charset=utf-8");
      assert.equal(page.headers.get("content-security-policy"), "default-src 'self'");
      assert.equal(await page.text(), body);
    }
    const etag = (await stack.fetch("site", "/")).headers.get("etag")!;
    assert.equal((await stack.fetch("site", "/", { headers: { "if-none-match": etag } })).status, 304);
    assert.equal((await stack.fetch("site", "/", { method: "POST", body: "x" })).status, 405);
  });
  test("what is no file goes to the Worker, which sees what the edge saw", async () => {
    assert.deepEqual(await (await stack.fetch("site", "/rooms/one")).json(), worker("/rooms/one"));
    assert.equal(((await (await stack.fetch("site", "/rooms/one", { cf: { country: "FR" }, ip: "203.0.113.9" })).json()) as any).country, "FR");
    assert.equal((await stack.fetch("site", "/_headers")).status, 404);
  });
  test("what run_worker_first lists goes to the Worker though it is a file, and the Worker may still serve it", async () => {
    assert.deepEqual(await (await stack.fetch("site", "/api/note.txt")).json(), worker("/api/note.txt"));
    assert.equal(await (await stack.fetch("site", "/api/note.txt?file")).text(), "the file\n");
  });
  test("a socket is opened to the Worker", async () => {
    const socket = new WebSocket(new URL("/rooms/one", stack.urls.get("site")).href.replace("http", "ws"));
    const heard = new Promise((done, fail) => { socket.onmessage = ({ data }) => done(data); socket.onerror = fail; });
    await new Promise((done) => (socket.onopen = done));
    socket.send("hello");
    assert.equal(await heard, "the Worker heard hello");
    socket.close();
  });
  test("without edge.js the files come first as well", async (t) => {
    const bare = await startPattern(site, { edge: false });
    t.after(() => bare.close());
    assert.equal(await (await fetch(bare.urls.get("site")!)).text(), "<h1>page one</h1>\n");
  });
  test("a page that is not built is named before anything starts", async () => {
    const other = join(checkout().root, "patterns/site");
    writeFileSync(join(other, "build.sh"), "mkdir -p build; cp src/index.js build/");
    await assert.rejects(startPattern(other), /site: .*build-page is missing: build it first/);
  });
});

describe("starting, changing and ending", () => {
  test("stacks that start at the same time get ports of their own, and closing leaves no process", async (t) => {
    const { shop } = checkout();
    const stacks = await Promise.all([1, 2, 3].map(() => startPattern(shop))), pids = stacks.map((s) => s.pid);
    t.after(() => Promise.all(stacks.map((s) => s.close()))); // or else a failure would hang
    assert.equal(new Set(stacks.flatMap((s) => [...s.urls.values()].map(String))).size, 9);
    await Promise.all(stacks.map((s) => s.close()));
    assert.deepEqual(pids.filter(alive), []);
  });
  test("a reload takes up the new build and migrations, on the same port and storage", async (t) => {
    const { shop, edit } = checkout();
    const stack = await startPattern(shop);
    t.after(() => stack.close());
    const get = async (path: string) => (await fetch(new URL(path, stack.urls.get("api")))).text();
    await get("/order");
    edit("api/build/index.js", "version one", "version two");
    writeFileSync(join(shop, "api/migrations/0002_more.sql"), "INSERT INTO orders DEFAULT VALUES;");
    await stack.reload();
    assert.deepEqual([await get("/hello"), await get("/orders")], ["version two", "3"]);
    await stack.reload();
    assert.equal(await get("/orders"), "3", "a migration is applied once");
  });
  test("what does not start leaves the old one running", async (t) => {
    const { shop, edit } = checkout();
    const stack = await startPattern(shop);
    t.after(() => stack.close());
    edit("api/build/index.js", /^/, "throw new Error('at the start');");
    await assert.rejects(stack.reload(), /a Worker does not start:[^]*shop-api: Uncaught Error: at the start/);
    assert.equal(await (await fetch(new URL("/hello", stack.urls.get("api")))).text(), "version one");
    writeFileSync(join(shop, "api/migrations/0002_wrong.sql"), "INSERT INTO nowhere DEFAULT VALUES;");
    edit("api/build/index.js", /^throw.*?;/, "");
    await assert.rejects(stack.reload(), /no such table: nowhere/);
  });
  test("a missing stand-in or Worker is named before anything starts", async () => {
    const { shop, edit } = checkout();
    edit("pattern.toml", 'before = "api"', 'before = "stock"');
    await assert.rejects(startPattern(shop), /tls is before stock, which is not a public Worker/);
    edit("pattern.toml", 'before = "stock"', 'before = "api"');
    edit("pattern.toml", 'bind = { AI = "model" }', "");
    await assert.rejects(startPattern(shop), /shop-api: binding AI \(ai\) is not emulated locally/);
    edit("pattern.toml", 'ORIGIN = "api"', 'ORIGIN = "else"');
    edit("api/wrangler.toml", /^ai = .*$/m, "");
    await assert.rejects(startPattern(shop), /binding ORIGIN names else, which is not in the stack/);
    edit("pattern.toml", /\[\[workers\]\]\nname = "stock"/, "");
    edit("pattern.toml", 'ORIGIN = "else"', 'ORIGIN = "api"');
    await assert.rejects(startPattern(shop), /shop-api: binding STOCK needs the Worker shop-stock/);
    edit("pattern.toml", "{url:door}", "{url:model}");
    await assert.rejects(startPattern(shop), /\{url:model\}: model is not a public Worker/);
  });
  test("what is wrong in pattern.toml is named with its file and key", () => {
    const { shop, edit } = checkout();
    edit("pattern.toml", 'name = "stock"', 'name = "stock"\nroute = "/"');
    assert.throws(() => readPattern(shop), /pattern\.toml: unknown key workers\.route; known are: name, public, vars, bind/);
    edit("pattern.toml", 'route = "/"', "public = 1");
    assert.throws(() => readPattern(shop), /pattern\.toml: workers\.public is number, not boolean/);
    edit("pattern.toml", /"stock"\npublic = 1/, '"stok"');
    assert.throws(() => readPattern(shop), /there is no .*stok\/wrangler\.toml/);
  });
  test("a port that is taken is named, with the Worker that was to have it", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    await assert.rejects(startPattern(checkout().shop, { port: port - 1 }), new RegExp(`port ${port}, for door, is in use`));
    server.close();
  });
});

describe("dev", () => {
  /** Starts it on this checkout; `ended` is its exit status. */
  async function dev(root: string, args: string[]) {
    const [port] = await freePorts(1);
    const child = spawn(process.execPath, [join(import.meta.dirname, "dev.ts"), "--port", String(port), ...args],
      { env: { ...process.env, EDGE_ROOT: root } });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
    const ended = once(child, "close").then(([code, signal]) => code ?? signal);
    after(() => child.kill("SIGKILL"));
    return {
      child, ended, port, output: () => output,
      get: async (path: string, i = 0) => (await fetch(`http://127.0.0.1:${port + i}${path}`)).text(),
      printed: (what: string) =>
        eventually(() => output.includes(what.replace("PORT", String(port))), () => `dev did not print ${what}, but:\n${output}`, 30_000),
      /** Ends it, and says with which status and what it left behind. */
      end: async (signal: NodeJS.Signals) => {
        const below = descendants(child.pid!);
        child.kill(signal);
        const status = await ended;
        await sleep(100); // the kernel reaps what lost its parent
        return { status, left: below.filter(alive) };
      },
    };
  }
  const nothing = { status: 0, left: [] };
  /** What it printed about the mTLS edge. */
  const printedTls = (output: string) => {
    const line = (what: string) => new RegExp(`^${what} (.+)$`, "m").exec(output)![1], url = new URL("/edge", line("ready shop/tls"));
    const [ca, cert, key] = ["ca", "certificate", "key"].map((what) => line(`mtls ${what}`));
    /** request.cf.tlsClientAuth, asked with exactly that. */
    const seen = () => new Promise<any>((done, fail) => execFile("curl",
      ["-sS", "--cacert", ca, "--cert", cert, "--key", key, url.href], (e, out) => (e ? fail(e) : done(JSON.parse(out).cf.tlsClientAuth))));
    return { url, ca, seen, fingerprint: line("mtls fingerprint") };
  };

  test("prints addresses and curls, keeps storage and takes variables; SIGTERM ends it with 0", async () => {
    const { root } = checkout();
    const first = await dev(root, ["shop", "--var", "GREETING=hey"]);
    await first.printed("ready shop http://127.0.0.1:PORT\n");
    await first.printed("# 200: says hello\ncurl -i http://127.0.0.1:PORT/hello\n");
    assert.match(first.output(), /^ready shop\/door http:/m);
    await first.printed("mtls fingerprint ");
    const tls = printedTls(first.output());
    assert.equal(Number(tls.url.port), first.port + 2);
    assert.ok(tls.ca.startsWith(`${root}/.edge/mtls/`), tls.ca);
    assert.equal((await tls.seen()).certFingerprintSHA256, tls.fingerprint);
    assert.equal(JSON.parse(await first.get("/vars", 1)).GREETING, "hey");
    await first.get("/order");
    assert.deepEqual(await first.end("SIGTERM"), nothing);
    const second = await dev(root, ["shop"]);
    await second.printed("mtls fingerprint ");
    assert.equal(await second.get("/orders"), "2");
    assert.equal(printedTls(second.output()).fingerprint, tls.fingerprint, "kept");
    assert.deepEqual(await second.end("SIGINT"), nothing);
    const fresh = await dev(root, ["shop", "--fresh"]);
    await fresh.printed("mtls fingerprint ");
    assert.equal(await fresh.get("/orders"), "1");
    assert.deepEqual(printedTls(fresh.output()).fingerprint, tls.fingerprint, "kept in any case");
    assert.deepEqual(await fresh.end("SIGINT"), nothing);
    assert.ok(existsSync(tls.ca));
  });
  test("over no address that it prints does a client reach an internal Worker, or say who he is", async () => {
    const running = await dev(checkout().root, ["shop", "--fresh"]);
    await running.printed("mtls fingerprint ");
    const urls = [...running.output().matchAll(/^ready \S+ (\S+)$/gm)].map(([, url]) => url), ca = readFileSync(printedTls(running.output()).ca);
    assert.deepEqual(urls.map((url) => url.split(":")[0]), ["http", "http", "https"]);
    const get = (url: string, headers: OutgoingHttpHeaders, path = "/edge") => new Promise<string>((done, fail) => {
      (url.startsWith("https:") ? https : http).get(url, { ca, path, headers, servername: "localhost", agent: false } as https.RequestOptions,
        (answer) => answer.setEncoding("utf8").toArray().then((chunks) => done(chunks.join("")), fail)).on("error", fail);
    });
    const blob = JSON.stringify({ country: "XX", tlsClientAuth: { certPresented: "1", certVerified: "SUCCESS" } });
    const FORGED = ["shop-stock", "local-control", "local-edge"].map((worker) => ({ "MF-Route-Override": worker, "MF-CF-Blob": blob,
      "MF-Original-URL": "http://else/edge", "MF-Original-Hostname": "else", "MF-Edge-Key": "", "MF-Edge-Scheme": "gopher", "MF-Service": worker,
      "MF-Custom-Service": worker, "MF-Op": "GET", "mf-disable-pretty-error": "1", "MF-Access-Blob": '{"app_aud":"mine"}', "MF-X": "1" }));
    for (const url of urls) {
      const plain = JSON.parse(await get(url, {}));
      for (const headers of FORGED) {
        const seen = JSON.parse(await get(url, headers)), { "cf-ray": ray, ...rest } = seen.headers, { "cf-ray": other, ...expected } = plain.headers;
        assert.deepEqual([seen.url, seen.cf, rest], [plain.url, plain.cf, expected], url);
        // Names in the request's target and Host are no better.
        const { hostname } = new URL(url);
        for (const [host, path] of [["shop-stock", "/"], [hostname, "http://shop-stock/"], ["local-control", "/core/x"], [hostname, "/cdn-cgi/mf/x"]])
          assert.equal(await get(url, { ...headers, host }, path), "nothing here", `${url} ${host} ${path}`);
      }
    }
    assert.deepEqual(await running.end("SIGTERM"), nothing);
  });
  test("without a name, runs all patterns, each with stand-ins and data of its own", async () => {
    const running = await dev(checkout().root, []);
    await running.printed("ready note http://127.0.0.1:PORT\n");
    await running.printed("ready shop/door ");
    assert.equal(await running.get("/"), '[{"model":"note","response":"NOTE"},null]');
    assert.equal(JSON.parse(await running.get("/plans", 1))[0], "10 requests");
    assert.equal(await running.get("/hello", 2), "version one");
    assert.deepEqual(await running.end("SIGTERM"), nothing);
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    test(`${signal} in the middle of a build ends it with 0, and the build`, async () => {
      const { root, shop } = checkout();
      writeFileSync(join(shop, "api/slow"), "");
      const running = await dev(root, ["shop"]);
      await eventually(() => descendants(running.child.pid!).length >= 2, () => "no build runs"); // sh, sleep
      assert.deepEqual(await running.end(signal), nothing);
    });
    test(`${signal} in the middle of the start ends it with 0`, async () => {
      const running = await dev(checkout().root, ["shop"]);
      await eventually(() => descendants(running.child.pid!).some(isWorkerd), () => "workerd does not start");
      assert.deepEqual(await running.end(signal), nothing);
      assert.doesNotMatch(running.output(), /ready/);
    });
  }
  test("kill -9 leaves no workerd", async () => {
    const running = await dev(checkout().root, ["shop"]);
    await running.printed("ready shop ");
    assert.deepEqual(await running.end("SIGKILL"), { status: "SIGKILL", left: [] });
  });
  test("a change is rebuilt and reloaded; one that fails is shown, and what ran before keeps running", async () => {
    const { root, shop, edit } = checkout();
    const running = await dev(root, ["shop"]);
    await running.printed("ready shop ");
    const serves = (path: string, what: string) =>
      eventually(async () => (await running.get(path).catch(() => "")).includes(what), running.output, 30_000); // refused while it restarts
    await running.get("/order");

    edit("api/src/index.js", "version one", "version two");
    await serves("/hello", "version two");
    appendFileSync(join(shop, "api/src/index.js"), "this does not compile");
    await running.printed("SyntaxError");
    await running.printed("the build failed");
    assert.equal(await running.get("/hello"), "version two");
    edit("api/src/index.js", "this does not compile", "");
    edit("api/src/index.js", "version two", "version three");
    await serves("/hello", "version three");

    writeFileSync(join(shop, "api/.dev.vars"), "SECRET=my-own");
    await serves("/vars", "my-own");
    edit("stock/index.js", "reserved: count", "reserved: 0");
    await serves("/stock", '[{"sku":"tea","reserved":0},"booked 7"]');
    writeFileSync(join(shop, "api/migrations/0002_more.sql"), "INSERT INTO orders DEFAULT VALUES;");
    await serves("/orders", "3");
    edit("pattern.toml", "own tests", "tests");
    await running.printed("pattern.toml changed: restart to take it up");
    assert.deepEqual(await running.end("SIGTERM"), nothing);
  });
  test("a change of a page is reloaded", async () => {
    const { root } = checkout(), page = join(root, "patterns/site/page");
    const running = await dev(root, ["site"]);
    await running.printed("ready site ");
    assert.equal(await running.get("/"), "<h1>page one</h1>\n");
    writeFileSync(join(page, "index.html"), "page two");
    writeFileSync(join(page, "more.txt"), "more");
    for (const [path, what] of [["/", "page two"], ["/more.txt", "more"]])
      await eventually(async () => (await running.get(path).catch(() => "")) === what, running.output, 30_000);
    assert.deepEqual(await running.end("SIGTERM"), nothing);
  });
  test("what it does not know is refused with what there is, and status 2", async () => {
    const { root } = checkout();
    const wrong: [string[], RegExp][] = [[["shopp"], /there is no pattern shopp[^]*patterns: note, shop/],
      [["--prot", "1"], /Unknown option '--prot'[^]*--port N/], [["--var", "X"], /--var X: NAME=VALUE/], [["--port", "x"], /--port x is no port/]];
    for (const [args, says] of wrong) {
      const refused = await dev(root, args);
      assert.equal(await refused.ended, 2);
      assert.match(refused.output(), says);
    }
  });
});
