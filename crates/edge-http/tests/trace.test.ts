// How a request is named, what the log says about it, and what an answer does not.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Stack } from "../../../tests/harness/stack.ts";
import { problem, startProbe } from "./probe.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c", TRACEPARENT = `00-${TRACE}-b7ad6b7169203331-01`;
let stack: Stack;
const get = (path: string, headers: Record<string, string> = {}) => stack.fetch("probe", path, { headers });
/** The route's own view: the traceparent that came, the one it would send, the request's id. */
const seen = async (answer: Response): Promise<[string, string, string]> => (await answer.json()) as any;
const idOf = (answer: Response) => answer.headers.get("x-request-id")!;

/** All JSON lines about a request, once they are there and no more come. */
async function lines(id: string): Promise<any[]> {
  await stack.logged(`"request_id":"${id}"`);
  await sleep(100);
  return stack.logs.filter((line) => line.includes(id)).map((line) => JSON.parse(line));
}

before(async () => { stack = await startProbe(); });
after(() => stack?.close());

describe("the name of a request", () => {
  test("is the edge's, in the answer as well", async () => {
    const answer = await get("/seen");
    assert.match(idOf(answer), /^[0-9a-f]{16}-LHR$/);
    assert.equal((await seen(answer))[2], idOf(answer));
  });
  test("is made where the edge gave none, or nothing that is an id", async () => {
    for (const headers of [{}, { "cf-ray": '"},{"' }]) {
      const answer = await (await stack.rpc("probe")).fetch("http://probe/seen", { headers }), [, traceparent, id] = await seen(answer);
      assert.match(id, /^[0-9a-f]{32}$/);
      assert.equal(traceparent.split("-")[1], id, "the trace's own id");
      assert.equal(idOf(answer), id);
    }
  });
  test("goes along to another Worker, in the same trace and under a new parent", async () => {
    const answer = await get("/through", { "x-path": "/seen", traceparent: TRACEPARENT });
    const [came, sent, id] = await seen(answer.clone());
    assert.match(came, new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
    assert.match(sent, new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
    assert.equal(new Set([TRACEPARENT, came, sent]).size, 3, "each hop is a parent of its own");
    assert.equal(id, idOf(answer));
    const both = await lines(id);
    assert.deepEqual(both.map((line) => [line.route, line.trace_id]).sort(), [["/seen", TRACE], ["/through", TRACE]]);
  });
  test("begins a new trace where the one that came is malformed", async () => {
    for (const malformed of ["00-0-0-01", TRACEPARENT.toUpperCase(), `00-${"0".repeat(32)}-b7ad6b7169203331-01`]) {
      const [, sent] = await seen(await get("/seen", { traceparent: malformed }));
      assert.match(sent, /^00-(?!0{32})[0-9a-f]{32}-[0-9a-f]{16}-01$/);
      assert.notEqual(sent.split("-")[1], TRACE);
    }
  });
});

describe("the log", () => {
  test("has one JSON line a request", async () => {
    const { ms, trace_id, ...line } = (await lines(idOf(await get("/slow/50?secret=1"))).then(([line, ...more]) => { assert.deepEqual(more, []); return line; }));
    assert.deepEqual([line.level, line.event, line.method, line.route, line.status], ["info", "request", "GET", "/slow/{ms}", 200]);
    assert.deepEqual(Object.keys(line).sort(), ["event", "level", "method", "request_id", "route", "status"]);
    assert.ok(ms >= 50 && ms < 1000 && /^[0-9a-f]{32}$/.test(trace_id), `${ms} ${trace_id}`);
  });
  test("names no path that nobody serves", async () => {
    const [line, ...more] = await lines(idOf(await get("/nowhere/4929-1234-5678")));
    assert.deepEqual([line.status, line.route, more], [404, undefined, []]);
    assert.ok(!JSON.stringify(line).includes("4929"));
  });
  test("has the cause of a failure, and the answer has not", async () => {
    const own = await get("/fail/err"), others = await get("/room/trace/fail/err");
    for (const [answer, status] of [[own, 500], [others, 503]] as const) {
      assert.ok(!JSON.stringify(await problem(answer, status)).includes("ordinary"));
      const [line, ...more] = await lines(idOf(answer));
      assert.deepEqual([line.level, line.status, more], ["error", status, []]);
      assert.match(line.cause, /ordinary error/);
    }
  });
  test("has a panic's message and place, and the answer has not", async () => {
    const answer = await get("/fail/panic"), body = JSON.stringify(await problem(answer, 500, "internal"));
    assert.ok(!body.includes("purpose") && !body.includes(".rs"), body);
    await stack.logged(/failure\.rs:\d+:\d+:?\s+on purpose/);
    const [line, ...more] = await lines(idOf(answer));
    assert.deepEqual([line.level, line.route, line.status, more], ["error", "/fail/{kind}", 500, []]);
  });
  test("has one line for each request that a trap ended, and each is answered in the standard form", async () => {
    const beside = get("/slow/5000");
    for (const answer of await Promise.all([get("/fail/unreachable"), beside])) {
      await problem(answer.clone(), 500, "internal");
      const [line, ...more] = await lines(idOf(answer));
      assert.deepEqual([line.level, line.event, line.method, line.status, more], ["error", "request", "GET", 500, []]);
      assert.match(line.cause, /^RESTARTED: wasm trapped/);
      assert.ok(!(await answer.text()).includes("RESTARTED"));
    }
    const inside = await (await stack.rpc("probe")).fetch("http://probe/fail/unreachable");
    assert.match(idOf(inside), /^[0-9a-f]{32}$/, "a made one, where the edge gave none");
  });
  test("tells an object that was restarted from one that does not answer", async () => {
    await problem(get("/room/trace/fail/panic"), 503, "restarted");
    await problem(get("/room/trace/fail/err"), 503, "unavailable");
  });
});
