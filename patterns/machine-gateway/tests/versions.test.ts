// The gateway and reports before an orders Worker that is one step behind (previous/orders), as during a deployment.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { readPattern, specsOf, startWorkers } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { problem } from "./gate.ts";
import { identity } from "./inside.ts";
import { ALICE, BOB, Team, varsOf } from "./team.ts";

const PREVIOUS = { id: "previous", config: join(import.meta.dirname, "previous/orders/wrangler.toml") };
let team: Team, stack: Stack;
before(async () => {
  team = await Team.start();
  const [gateway, , reports] = specsOf(readPattern("machine-gateway"));
  stack = await startWorkers([{ ...gateway, vars: varsOf(team), bind: { ORDERS: "previous" } }, { ...reports, bind: { ORDERS: "previous" } }, PREVIOUS]);
});
after(async () => { await stack?.close(); await team?.down(); });

const call = async (path: string, init: RequestInit = {}, as = ALICE) => stack.fetch("gateway", path,
  { ...init, headers: { "Cf-Access-Jwt-Assertion": await team.token({ claims: { common_name: as } }), "content-type": "application/json" } });
const post = (path: string, body: object) => call(path, { method: "POST", body: JSON.stringify(body) });

test("orders are placed, found and listed, by their caller only", async () => {
  const placed = await post("/v1/orders", { sku: "A-1", quantity: 2, note: "today" }), order: any = await placed.json();
  assert.deepEqual([placed.status, placed.headers.get("location"), order.note], [201, `/v1/orders/${order.id}`, "today"]);
  for (const [path, expected] of [[`/v1/orders/${order.id}`, order], ["/v1/orders?limit=10", { orders: [order] }]] as const) {
    const answer = await call(path);
    assert.deepEqual([answer.status, await answer.json()], [200, expected]);
  }
  assert.equal(await problem(call(`/v1/orders/${order.id}`, {}, BOB)), "404 no-such-order");
  assert.equal(await problem(post("/v1/orders", { sku: "A-1", quantity: 0 })), "422 unprocessable-entity");
});

test("a report is made of the list that it gives", async () => {
  await post("/v1/orders", { sku: "B-2", quantity: 3 });
  const made = await post("/v1/reports", {}), { orders, pieces, truncated }: any = await made.json();
  assert.deepEqual([made.status, orders, pieces, truncated], [201, 2, 5, false]);
});

test("it understands what the gateway says, and would not if that said more", async () => {
  const ask = async (who: string) => (await (await stack.env("gateway")).ORDERS.fetch("http://orders/v1/orders", { headers: { "x-machine-identity": who } })).status;
  assert.deepEqual([await ask(identity("acme")), await ask(identity("acme", { scopes: [] })), await ask(identity("acme", { v: 2 }))], [200, 501, 501]);
});
