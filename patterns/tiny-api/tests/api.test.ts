// The whole Worker from outside, on the wasm that would be deployed.
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import { runTry, startPattern } from "../../../tests/harness/pattern.ts";

// The pattern is the folder that this test lies in, so that a copy tests itself; or the same one built in another way, for
// tests/no-lock-in.test.ts.
const pattern = process.env.TINY_API ?? join(import.meta.dirname, ".."), api = basename(pattern);
let stack: Awaited<ReturnType<typeof startPattern>>;
before(async () => { stack = await startPattern(pattern); });
after(() => stack.close());

const signUp = (body: unknown, headers: Record<string, string> = { "content-type": "application/json" }) =>
  stack.fetch(api, "/signups", { method: "POST", headers, body: typeof body === "string" ? body : JSON.stringify(body) });
const problem = async (response: Response) => {
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  const { status, code } = await response.json() as { status: number; code: string };
  assert.equal(status, response.status);
  return `${status} ${code}`;
};

test("GET /plans/{name} answers what KV holds", async () => {
  const response = await stack.fetch(api, "/plans/team");
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), { seats: 25, price_cents: 4900 });
  assert.match(response.headers.get("x-request-id") ?? "", /^[0-9a-zA-Z-]{16,}$/);
});

test("GET /plans/{name} is 404 for a plan that is not there, and 400 for a name that cannot be one", async () => {
  assert.equal(await problem(await stack.fetch(api, "/plans/gold")), "404 no-such-plan");
  assert.equal(await problem(await stack.fetch(api, `/plans/${"x".repeat(600)}`)), "400 bad-request");
});

test("POST /signups is 201, also when it is sent again after a time-out, and stored once", async () => {
  for (let i = 0; i < 2; i++) {
    const response = await signUp({ team: "acme", plan: "team" });
    assert.equal(response.status, 201);
    assert.deepEqual(await response.json(), { team: "acme", plan: "team" });
  }
  const { results } = await (await stack.env(api)).DB.prepare("SELECT team, plan FROM signups").all();
  assert.deepEqual(results, [{ team: "acme", plan: "team" }]);
});

test("POST /signups for another plan is 409, and of many at the same time one wins", async () => {
  const answers = await Promise.all(["free", "team", "free", "team"].map((plan) => signUp({ team: "race", plan })));
  const won = answers.filter((a) => a.status === 201).length, lost = answers.filter((a) => a.status === 409);
  assert.deepEqual([won, lost.length], [2, 2]);
  assert.equal(await problem(lost[0]), "409 other-plan");
});

test("POST /signups with anything else is refused, and says why", async () => {
  assert.equal(await problem(await signUp({ team: "acme", plan: "gold" })), "404 no-such-plan");
  assert.equal(await problem(await signUp({ team: "ACME", plan: "free" })), "422 unprocessable-entity");
  assert.equal(await problem(await signUp({ team: "acme", plan: "free", more: 1 })), "422 unprocessable-entity");
  assert.equal(await problem(await signUp(["acme", "free"])), "422 unprocessable-entity");
  assert.equal(await problem(await signUp("{")), "400 bad-request");
  assert.equal(await problem(await signUp({ team: "acme", plan: "free" }, {})), "415 unsupported-media-type");
  assert.equal(await problem(await signUp("x".repeat(3 << 20))), "413 payload-too-large");
  assert.equal(await problem(await stack.fetch(api, "/signups", { method: "DELETE" })), "405 method-not-allowed");
  assert.equal(await problem(await stack.fetch(api, "/")), "404 not-found");
});

test("every curl of the README gets the answer that it promises", () => runTry(pattern, stack));
