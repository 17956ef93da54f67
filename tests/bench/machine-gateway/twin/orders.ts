// The Worker inside, which holds the orders, in TypeScript with Hono. It believes what the gateway says of the caller.
import { WorkerEntrypoint } from "cloudflare:workers";
import { validator } from "hono/validator";
import { api, type Identity, outcomeUnknown, Problem } from "./api.ts";

interface NewOrder { sku: string; quantity: number; note?: string }
interface Row { id: string; sku: string; quantity: number; note: string | null; created_at: string }

const COLUMNS = "id, sku, quantity, note, created_at";
const toOrder = ({ note, ...order }: Row) => (note === null ? order : { ...order, note });

/** Where a page begins: behind this order. */
const cursorBehind = ({ created_at, id }: Row) => Buffer.from(created_at + id).toString("base64url");
function read(cursor: string): string[] {
  const behind = /^(\d{4}-\d\d-\d\dT[\d:.]{12}Z)([\da-f-]{36})$/.exec(Buffer.from(cursor, "base64url").toString());
  if (!behind) throw new Problem(400, "bad-request", "a cursor is the next_cursor of an earlier page");
  return behind.slice(1);
}

const newOrder = validator("json", (value: Partial<NewOrder> | null, c): NewOrder => {
  if (!c.req.header("content-type")?.startsWith("application/json")) throw new Problem(415, "unsupported-media-type", "send JSON");
  const { sku, quantity, note, ...unknown } = value ?? {}, wrong = (why: string) => new Problem(422, "unprocessable-entity", why);
  if (typeof sku !== "string" || !/^[\w.-]{1,64}$/.test(sku)) throw wrong("a sku is 1 to 64 of A-Z, a-z, 0-9, -, _ and .");
  if (!Number.isInteger(quantity) || quantity! < 1 || quantity! > 10_000) throw wrong("a quantity is 1 to 10000");
  if (note != null && (typeof note !== "string" || !/^\P{Cc}{1,500}$/u.test(note))) throw wrong("a note is 1 to 500 characters, none of them control characters");
  for (const member in unknown) throw wrong(`unknown member ${member}`);
  return { sku, quantity: quantity!, note: note ?? undefined };
});

const orders = api<{ DB: D1Database }, string>();
orders.use(async (c, next) => {
  const { v, principal, credential, proof }: Identity = JSON.parse(c.req.header("x-machine-identity") ?? "{}");
  if (v !== 1) throw new Problem(501, "not-understood", "the request does not say who calls, in a way that is understood here");
  Object.assign(c.get("notes"), { principal, credential, proof });
  c.set("caller", principal);
  await next();
});
orders.post("/v1/orders", newOrder, async (c) => {
  const { sku, quantity, note } = c.req.valid("json");
  const row = await c.env.DB.prepare(`INSERT INTO orders (id, caller, sku, quantity, note) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING ${COLUMNS}`)
    .bind(crypto.randomUUID(), c.get("caller"), sku, quantity, note ?? null).first<Row>().catch((e) => { throw outcomeUnknown(e); });
  return c.json(toOrder(row!), 201, { location: `/v1/orders/${row!.id}` });
});
orders.get("/v1/orders/:id", async (c) => {
  const id = c.req.param("id");
  if (!/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/.test(id)) throw new Problem(400, "bad-request", "an order's id is a UUID in lower case");
  const row = await c.env.DB.prepare(`SELECT ${COLUMNS} FROM orders WHERE id = ?1 AND caller = ?2`).bind(id, c.get("caller")).first<Row>();
  if (!row) throw new Problem(404, "no-such-order", "there is no such order");
  return c.json(toOrder(row));
});
orders.get("/v1/orders", async (c) => {
  const limit = Number(c.req.query("limit") ?? 100), cursor = c.req.query("cursor");
  if (!Number.isInteger(limit) || limit < 1 || limit > 100) throw new Problem(400, "bad-request", "a limit is 1 to 100");
  const behind = cursor === undefined ? [] : read(cursor), where = behind.length ? "AND created_at <= ?3 AND (created_at < ?3 OR id > ?4)" : "";
  const { results } = await c.env.DB.prepare(`SELECT ${COLUMNS} FROM orders WHERE caller = ?1 ${where} ORDER BY created_at DESC, id LIMIT ?2`)
    .bind(c.get("caller"), limit + 1, ...behind).all<Row>();
  const page = results.slice(0, limit), next_cursor = results.length > limit ? cursorBehind(page.at(-1)!) : null;
  return c.json({ orders: page.map(toOrder), next_cursor });
});

export class Maintenance extends WorkerEntrypoint {} // of `nightly`, which is not called here

export default orders;
