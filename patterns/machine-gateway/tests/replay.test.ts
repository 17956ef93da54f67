// What is good once is let in once: copies at the same time over two gateways, and whatever happens to the object that remembers.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { FAULTS, readPattern, specsOf, startWorkers } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { ED25519, jwt, policy } from "./callers.ts";
import { ask, type Asked, counted, decision, type Got, LOCAL_AUDIENCE, send, signedFor, startControlled, told } from "./gate.ts";

const GATEWAYS = ["gateway", "second"];
let stack: Stack, folder: string;
before(async () => {
  const [gateway, ...others] = specsOf(readPattern("machine-gateway"));
  // A second Worker of the same build, an isolate of its own, which asks the first one's objects, as another location's would.
  folder = mkdtempSync(join(tmpdir(), "second-"));
  const toml = readFileSync(gateway.config, "utf8").replace(/^\[build\]\ncommand = .*\n/m, "").replace(/^\[\[migrations\]\]\n.*\n.*\n/m, "")
    .replace('class_name = "Nonces"', 'class_name = "Nonces"\nscript_name = "machine-gateway"');
  assert.ok(toml.includes("script_name") && !toml.includes("[build]") && !toml.includes("[[migrations]]"), toml);
  writeFileSync(join(folder, "wrangler.toml"), toml);
  const both = { public: true, vars: { ...gateway.vars, PRINCIPALS: JSON.stringify(policy()) }, bind: { FAULTS: FAULTS.id }, rateLimits: { LIMITER: 100_000 } };
  const second = { id: "second", name: "machine-gateway-second", config: join(folder, "wrangler.toml"), main: join(dirname(gateway.config), "build/index.js") };
  stack = await startWorkers([{ ...gateway, ...both }, ...others, { ...second, ...both }, FAULTS]);
});
after(async () => { await stack?.close(); rmSync(folder, { recursive: true }); });
afterEach(async () => { await (await stack.rpc("faults")).disarm(); });

/** The `i`-th copy of one request: every other one to the other gateway, under the authority that was signed. */
const copy = ({ path = "/v1/orders", method, headers, body }: Asked, i: number) => send(stack.urls.get(GATEWAYS[i % 2])!, { method, path,
  headers: { "content-type": "application/json", ...headers, host: stack.urls.get("gateway")!.host }, chunks: [body!] });
const copies = (asked: Asked, count: number) => Promise.all(Array.from({ length: count }, (_, i) => copy(asked, i)));
const stored = async (sku: string) => (await (await stack.env("orders")).DB.prepare("SELECT count(*) AS n FROM orders WHERE sku = ?").bind(sku).first()).n;
/** An order that no other test places, so that its copies can be counted. */
const order = () => { const sku = randomBytes(6).toString("hex"); return { sku, body: JSON.stringify({ sku, quantity: 1 }) }; };
const PROOFS: [string, (body: string) => Asked][] = [
  ["signed with HMAC", (body) => signedFor(stack, { method: "POST", body })],
  ["signed with Ed25519", (body) => signedFor(stack, { method: "POST", body, by: ED25519 })],
  ["with one JWT", (body) => ({ method: "POST", body, headers: { authorization: `Bearer ${jwt({ audience: LOCAL_AUDIENCE })}` } })],
];
const statuses = (all: Got[]) => counted(all.map(({ status }) => status));

for (const [proof, request] of PROOFS)
  test(`of 200 copies of one POST /v1/orders ${proof}, at once over two gateways, one is 201 and 199 are 401, logged as replays`, async (t) => {
    const { sku, body } = order(), written = stack.logs.length, answers = await copies(request(body), 200);
    assert.equal(statuses(answers), "1 x 201, 199 x 401");
    assert.equal(counted(await Promise.all(answers.map((answer) => told(stack, answer)))), "1 x 201 allowed, 199 x 401 replay");
    assert.equal(await stored(sku), 1);
    t.diagnostic(`${stack.logs.length - written} lines of log`);
  });

test("GET /v1/orders, signed, is let in once too", async () => {
  const asked = { ...signedFor(stack), body: "" };
  assert.equal(statuses(await copies(asked, 20)), "1 x 200, 19 x 401");
});

test("twenty requests at once, ten copies each, are let in once each", async () => {
  const { sku, body } = order(), requests = Array.from({ length: 20 }, (_, i) => PROOFS[i % 3][1](body));
  assert.equal(statuses((await Promise.all(requests.map((asked) => copies(asked, 10)))).flat()), "20 x 201, 180 x 401");
  assert.equal(await stored(sku), 20);
});

describe("when the object that remembers", () => {
  for (const how of ["fail", "panic", "trap"]) for (const [proof, request] of PROOFS.slice(1))
    test(`${how}s, POST /v1/orders ${proof} is 503 and nothing is stored`, async () => {
      const { sku, body } = order(), asked = request(body);
      const arm = async () => (await stack.rpc("faults")).arm("nonces", how);
      await arm();
      const got = await copy(asked, 1), { outcome, principal } = await decision(stack, got);
      assert.deepEqual([got.status, JSON.parse(got.text).code, outcome, principal], [503, "unavailable", "failed", "acme"]);
      // The first gateway is of one isolate with the object here, and may end with it.
      await arm();
      assert.match(String((await copy(asked, 0)).status), /^50[03]$/);
      assert.equal(await stored(sku), 0);
      // The name was not stored: the next copy is the first.
      assert.equal(statuses([await copy(asked, 1), await copy(asked, 0)]), "1 x 201, 1 x 401");
    });

  test("fails while many copies come, the last of them are let in once: nobody gets past it", async () => {
    const { sku, body } = order();
    await (await stack.rpc("faults")).arm("nonces", "fail", 30);
    const answers = await copies(PROOFS[0][1](body), 40);
    assert.equal(statuses(answers), "1 x 201, 9 x 401, 30 x 503");
    assert.equal(await stored(sku), 1);
  });

  test("is ended in the middle of many copies, again and again, at most one is let in, and later ones are refused", async (t) => {
    const seen: number[] = [];
    for (let round = 0; round < 12; round++) {
      const { sku, body } = order(), asked = PROOFS[round % 3][1](body), running = copies(asked, 40);
      await sleep(round * 2);
      await stack.abortObjects(); // D1's too: the one that is let in may meet an orders Worker that does not know what became of it
      const answers = [...await running, ...await copies(asked, 6)], accepted = answers.filter(({ status }) => status === 201).length;
      seen.push(...answers.map(({ status }) => status));
      assert.ok(accepted <= 1 && await stored(sku) <= 1, `round ${round}: ${statuses(answers)}, ${await stored(sku)} stored`);
      assert.ok(answers.every(({ status }) => [201, 401, 503].includes(status)), statuses(answers));
      const allowed = (await Promise.all(answers.map((answer) => decision(stack, answer)))).filter(({ outcome }) => outcome === "allowed");
      assert.ok(allowed.length <= 1, JSON.stringify(allowed));
      assert.equal((await copy(asked, round)).status, 401, "it was stored, or the copies after the end would have been the first");
    }
    t.diagnostic(counted(seen));
    assert.ok(seen.includes(503) && seen.includes(201), "the ends came in the middle");
  });
});

describe("a nonce is remembered for as long as its request would be let in", () => {
  let stack: Stack;
  before(async () => { stack = await startControlled({ PRINCIPALS: JSON.stringify(policy()) }); });
  after(() => stack?.close());
  const at = (seconds: number) => Math.floor(Date.now() / 1000) + seconds,
    signed = (params = {}) => signedFor(stack, { method: "POST", body: order().body, params });
  const bearer = () => ({ authorization: `Bearer ${jwt({ audience: LOCAL_AUDIENCE, claims: { exp: at(200) } })}` });
  // What is accepted for five minutes, or until it expires; a JWT for a minute longer than it says.
  const KEPT: [string, () => Asked, number, string][] = [
    ["signed now", () => signed(), 300, "the signature was created too long ago"],
    ["signed by a clock that is 50 seconds ahead", () => signed({ created: at(50) }), 350, "the signature was created too long ago"],
    ["signed four minutes ago", () => signed({ created: at(-240) }), 60, "the signature was created too long ago"],
    ["whose signature expires in 20 seconds", () => signed({ expires: at(20) }), 20, "the signature has expired"],
    ["with a JWT that expires in 200 seconds", () => ({ method: "POST", body: order().body, headers: bearer() }), 260, "the token has expired"],
  ];
  for (const [what, request, seconds, reason] of KEPT)
    test(`a copy of POST /v1/orders ${what} is a replay until ${seconds} seconds later, and then too old`, async () => {
      const asked = request(), later = (clock: number) => told(stack, ask(stack, { ...asked, headers: { ...asked.headers, "x-clock": String(clock) } }));
      assert.equal(await later(0), "201 allowed");
      for (const clock of [1, seconds - 3]) assert.equal(await later(clock), "401 replay", `${clock} s`);
      assert.equal(await later(seconds + 2), `401 ${reason}`);
      assert.equal(await later(seconds - 3), "401 replay", "also at another gateway, whose clock is behind");
    });
});
