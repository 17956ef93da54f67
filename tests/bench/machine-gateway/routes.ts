import type { Stack } from "../../harness/stack.ts";
import { ALICE, BOB, Team } from "../../../patterns/machine-gateway/tests/team.ts";
import { FROM_EDGE, type Measured } from "../pattern.ts";

const LISTED = 20;

export async function measured(): Promise<Measured> {
  const team = await Team.start(), hours = Math.floor(Date.now() / 1000) + 12 * 3600;
  // A machine's client keeps its token: each of the two sends the same one all the time.
  const tokenOf = (caller: string) => team.token({ claims: { common_name: caller, exp: hours } });
  const headers = { ...FROM_EDGE, "user-agent": "machine/1.0", accept: "application/json" };
  const list = async (caller: string) => ({ method: "GET", path: "/v1/orders", headers: { ...headers, "cf-access-jwt-assertion": await tokenOf(caller) } });
  // BOB places orders and ALICE lists hers, so that a list is as long at the end as at the beginning.
  const place = { method: "POST", path: "/v1/orders", body: JSON.stringify({ sku: "A-1", quantity: 2, note: "today" }),
    headers: { ...headers, "cf-access-jwt-assertion": await tokenOf(BOB), "content-type": "application/json" } };
  const alices = await list(ALICE);
  const tampered = { ...alices, headers: { ...alices.headers, "cf-access-jwt-assertion": alices.headers["cf-access-jwt-assertion"].replace(/....$/, "AAAA") } };
  return {
    routes: [
      { name: `GET /v1/orders, ${LISTED} of them`, ...alices, refused: tampered },
      { name: "POST /v1/orders", ...place, status: 201, refused: { ...place, body: JSON.stringify({ sku: "A-1", quantity: 0 }) } },
      { name: "GET /v1/orders, 401: no token", method: "GET", path: "/v1/orders", headers, status: 401 },
    ],
    vars: team.vars,
    close: () => team.down(),
    async fill(stack: Stack) {
      const { DB } = await stack.env("orders");
      const insert = DB.prepare("INSERT INTO orders (id, caller, sku, quantity, note, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
      await DB.batch(Array.from({ length: LISTED }, (_, i) => insert.bind(`00000000-0000-4000-8000-0000000000${i + 10}`, ALICE, `SKU-${i + 1}`, i + 1,
        "leave it at the back door, please", `2026-11-${i + 10}T12:00:00.000Z`)));
    },
  };
}
