// What crosses between JavaScript and wasm, there and back: heads, bodies, streams, sockets, and answers that stay outside.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Stack } from "../../../tests/harness/stack.ts";
import { eventually, problem, startProbe } from "./probe.ts";

const MB = 1 << 20;
let stack: Stack;
const get = (path: string, init: RequestInit & { duplex?: "half" } = {}) => stack.fetch("probe", path, init);
const text = async (path: string, init?: RequestInit) => (await get(path, init)).text();
const post = (path: string, body: RequestInit["body"], headers = {}) => get(path, { method: "POST", body, headers, duplex: "half" });
const json = (path: string, body: RequestInit["body"], type = "application/json") => post(path, body, { "content-type": type });
const memory = async () => Number(await text("/memory"));

/** A body of unknown length, sent in chunks; `sent` counts what the other side has taken. */
function chunked(bytes: number, filler = "x", chunk = 64 << 10) {
  const upload = { sent: 0, body: new ReadableStream({
    pull(controller) {
      const size = Math.min(chunk, bytes - upload.sent);
      upload.sent += size;
      if (size) controller.enqueue(Buffer.alloc(size, filler));
      else controller.close();
    },
  }, { highWaterMark: 0 }) };
  return upload;
}

before(async () => { stack = await startProbe(); });
after(() => stack?.close());

describe("heads", () => {
  test("two dozen headers cross, with their values", async () => {
    const given = Array.from({ length: 24 }, (_, i) => [`x-header-${i}`, `value ${i}`] as [string, string]);
    const seen = (await text("/headers", { headers: given })).split("\n");
    for (const [name, value] of given) assert.ok(seen.includes(`${name}: ${value}`), name);
  });
  test("a header value that is not ASCII comes back as it went", async () => {
    const value = "Grüße, 世界";
    const answer = await get("/headers", { headers: { "x-given": Buffer.from(value).toString("latin1") } });
    assert.equal(Buffer.from(answer.headers.get("x-given")!, "latin1").toString(), value);
  });
  test("path and query arrive as the client wrote them", async () => {
    const answer = await get("/fail/f%C3%BCnf%2Fsechs?a=%20&b");
    assert.deepEqual([answer.status, await answer.text()], [200, "fine"]);
  });
  test("a HEAD request is told the length, and gets no body", async () => {
    const answer = await get("/", { method: "HEAD" });
    assert.deepEqual([answer.status, answer.headers.get("content-length"), await answer.text()], [200, "13", ""]);
    const stream = await get("/stream/100", { method: "HEAD" });
    assert.deepEqual([stream.status, stream.headers.get("content-length"), await stream.text()], [200, null, ""]);
  });
  test("several cookies stay several", async () => {
    assert.deepEqual((await get("/cookies")).headers.getSetCookie(), ["a=1; Path=/", "b=2; HttpOnly"]);
  });
  test("statuses without a body have none", async () => {
    for (const [path, status] of [["/empty", 204], ["/status/204", 204], ["/status/205", 205], ["/status/304", 304]] as const) {
      const answer = await get(path);
      assert.deepEqual([answer.status, await answer.text()], [status, ""], path);
    }
  });
  test("a status that no Worker may answer with is a mistake of ours", async () => {
    for (const status of [100, 199, 600, 999]) await problem(get(`/status/${status}`), 500, "internal");
    await stack.logged("status 999 is no answer");
  });
});

describe("bodies of requests", () => {
  const greeting = (size: number) => JSON.stringify({ name: "x".repeat(size) });

  test("a JSON body arrives, read whole or streamed", async () => {
    assert.deepEqual(await (await json("/greet", '{"name":"you"}')).json(), { name: "Hello, you!" });
    assert.equal((await json("/greet", greeting(90_000))).status, 200, "too long to be read in one crossing");
    const { body } = chunked(2000, " ");
    const head = new TextEncoder().encode('{"name":"you"}');
    const stream = new ReadableStream({ async start(c) { c.enqueue(head); for await (const chunk of body as any) c.enqueue(chunk); c.close(); } });
    assert.equal((await json("/greet", stream)).status, 200, "of unknown length");
  });
  test("a body over the limit is refused, whether or not its length is declared", async () => {
    await problem(json("/greet", greeting(100_000)), 413, "payload-too-large");
    await problem(json("/greet", chunked(200_000).body), 413);
    await problem(post("/bytes", Buffer.alloc(3 * MB)), 413); // axum's own limit, 2 MB, where the Worker says none
    assert.equal(await (await post("/bytes", Buffer.alloc(MB))).text(), String(MB));
  });
  test("a length that lies does not get past a limit", async (t) => {
    for (const [declared, actual] of [[5, 3 * MB], [70_000, 3 * MB]]) {
      const answer = await stack.fetch("caller", `/lie/${declared}/${actual}`), got = await answer.text();
      t.diagnostic(`${actual} bytes declared as ${declared}: ${answer.status} ${got}`);
      assert.ok(answer.status >= 400 && answer.status < 500 || got === String(declared), `${answer.status} ${got}`);
    }
  });
  test("what a handler cannot use is refused in the standard form", async () => {
    await problem(json("/greet", "{"), 400, "bad-request");
    await problem(json("/greet", '{"name":5}'), 422, "unprocessable-entity");
    await problem(json("/greet", "{}", "text/plain"), 415, "unsupported-media-type");
    await problem(get("/slow/soon"), 400, "bad-request");
  });
  test("so is what the router refuses, with the headers that belong to it", async () => {
    await problem(get("/nowhere"), 404, "not-found");
    const answer = await get("/greet");
    assert.equal(answer.headers.get("allow"), "POST");
    await problem(answer, 405, "method-not-allowed");
  });
  test("what cannot be an HTTP request for axum is refused, not a failure of ours", async () => {
    // workerd's own door is narrower; another Worker can send this.
    await problem(stack.fetch("caller", "/long/66000"), 414, "uri-too-long");
    await problem(stack.fetch("caller", "/many/30000"), 431, "too-many-headers");
    await stack.logged('"status":414');
    await problem(get('/|^`[]{}\\"<>'), 404, "not-found");
  });
});

describe("streams", () => {
  test("a handler that takes the stream has no limit, and gets the body in pieces", async () => {
    assert.equal(await (await post("/count", Buffer.alloc(20 * MB))).text(), `${20 * MB} bytes in several`);
  });
  test("an upload is held back while the handler does not read", async (t) => {
    const upload = chunked(50 * MB), before = await memory();
    const answer = post("/sip", upload.body);
    await sleep(300);
    t.diagnostic(`${upload.sent} bytes of 50 MB were taken`);
    assert.ok(upload.sent < 20 * MB, `${upload.sent} bytes were taken`);
    assert.ok(Number(await (await answer).text()) > 0);
    assert.ok(await memory() - before < 2 * MB);
  });
  test("a handler is held back while the client does not read", async (t) => {
    const before = await memory(), reader = (await get("/flood")).body!.getReader();
    await reader.read();
    await sleep(300);
    const made = stack.logs.filter((line) => line.startsWith("flood ")).length;
    t.diagnostic(`${made} of 200 MB were made`);
    assert.ok(made > 0 && made < 40, `${made} of 200 MB were made`);
    await reader.cancel();
    await sleep(100);
    assert.ok(stack.logs.filter((line) => line.startsWith("flood ")).length < 60, "a client that left ends it");
    assert.ok(await memory() - before < 8 * MB);
  });
  test("pieces of an answer arrive as they are made", async () => {
    const from = performance.now(), arrivals: number[] = [];
    for await (const _ of (await get("/stream/100")).body!) arrivals.push(performance.now() - from);
    assert.ok(arrivals.length >= 12 && arrivals[0]! < 500 && arrivals.at(-1)! - arrivals[0]! > 1000, String(arrivals));
  });
});

describe("what stays in JavaScript", () => {
  const through = (path: string, headers: Record<string, string> = {}) => get("/through", { headers: { "x-path": path, ...headers } });

  test("an accepted WebSocket passes", async () => {
    const socket = new WebSocket(new URL("/socket", stack.urls.get("probe")).href.replace("http", "ws"));
    const [{ data }] = await once(socket, "message") as [MessageEvent];
    socket.close();
    assert.equal(data, "hello");
  });
  test("a binding's answer passes with its status and headers, and with those that the handler sets", async () => {
    const answer = await through("/cookies");
    assert.deepEqual([answer.status, answer.headers.get("x-through"), await answer.text()], [200, "yes", "two"]);
    assert.deepEqual(answer.headers.getSetCookie(), ["a=1; Path=/", "b=2; HttpOnly", "own=1"]);
    assert.ok(answer.headers.get("x-request-id"));
    assert.equal((await through("/empty")).status, 204);
    const refused = await through("/nowhere");
    assert.equal(refused.headers.get("x-through"), "yes");
    await problem(refused, 404, "not-found");
  });
  test("its body is streamed past wasm: 200 MB leave no trace in its memory", async () => {
    const before = await memory();
    let bytes = 0;
    for await (const chunk of (await through("/flood")).body!) bytes += chunk.length;
    assert.equal(bytes, 200 * MB);
    assert.ok(await memory() - before < 8 * MB);
  });
  test("it even outlives the wasm instance that passed it on", async () => {
    const answer = await through("/slow", { "x-service": "CALLER" });
    await get("/fail/unreachable");
    assert.equal((await answer.text()).split("\n").length, 11);
  });
  test("work goes on after the answer", async () => {
    assert.equal(await text("/note"), "");
    assert.equal(await text("/later"), "scheduled");
    assert.equal(await text("/note"), "");
    assert.equal(await eventually(() => text("/note")), "done");
  });
});

test("one router serves all requests of an instance, and a trap makes a new one", async () => {
  await get("/fail/unreachable");
  const answers = await Promise.all(Array.from({ length: 50 }, async () => (await get("/built")).json() as Promise<[number, number]>));
  assert.deepEqual(answers.sort((a, b) => a[1] - b[1]), Array.from({ length: 50 }, (_, i) => [1, i + 1]));
  await get("/fail/unreachable");
  assert.deepEqual(await (await get("/built")).json(), [1, 1]);
});
