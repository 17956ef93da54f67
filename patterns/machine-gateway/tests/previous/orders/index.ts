// An orders Worker that is one step behind today's, as one is for a moment during a deployment: it knows nothing of pages
// (`limit`, `cursor`, `next_cursor`), and refuses every member of an identity or of an order that it does not know. The gateway
// must go on working with it.
//
// It was written for this test, by the rules of version 1, and shares no code with the Worker that it stands beside. No such
// version was ever released: what really came before spoke RPC (an entrypoint `Orders`), which today's gateway does not.

interface Env { DB: D1Database }
interface Identity { principal: string }
interface Row { id: string; sku: string; quantity: number; note: string | null; created_at: string }

const COLUMNS = "id, sku, quantity, note, created_at";
const MEMBERS = ["credential", "principal", "proof", "request_id", "traceparent", "v"];
const PROOFS = ["access", "client-certificate", "http-signature", "jwt", "binding"];

const toOrder = ({ note, ...order }: Row) => (note === null ? order : { ...order, note });
const problem = (status: number, title: string, code: string, detail = code) =>
  Response.json({ type: "about:blank", title, status, detail, code }, { status, headers: { "content-type": "application/problem+json" } });

function understood(text: string | null): Identity | undefined {
  try {
    const identity = JSON.parse(text ?? "");
    const isKnown = Object.keys(identity).sort().join() === MEMBERS.join() && identity.v === 1 && PROOFS.includes(identity.proof);
    return isKnown && /^[A-Za-z\d][\w.-]{0,63}$/.test(identity.principal) ? identity : undefined;
  } catch {
    return undefined;
  }
}

async function place(request: Request, { principal }: Identity, { DB }: Env) {
  const { sku, quantity, note = null, ...unknown } = await request.json() as any;
  const isOrder = /^[\w.-]{1,64}$/.test(sku) && Number.isInteger(quantity) && quantity >= 1 && quantity <= 10_000;
  if (!isOrder || Object.keys(unknown).length) return problem(422, "Unprocessable Entity", "unprocessable-entity");
  const insert = DB.prepare(`INSERT INTO orders (id, caller, sku, quantity, note) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING ${COLUMNS}`);
  const order = toOrder((await insert.bind(crypto.randomUUID(), principal, sku, quantity, note).first<Row>())!);
  return Response.json(order, { status: 201, headers: { location: `/v1/orders/${order.id}` } });
}

async function latest({ principal }: Identity, { DB }: Env) {
  const { results } = await DB.prepare(`SELECT ${COLUMNS} FROM orders WHERE caller = ?1 ORDER BY created_at DESC, id LIMIT 100`).bind(principal).all<Row>();
  return Response.json({ orders: results.map(toOrder) });
}

async function find(id: string, { principal }: Identity, { DB }: Env) {
  const order = await DB.prepare(`SELECT ${COLUMNS} FROM orders WHERE id = ?1 AND caller = ?2`).bind(id, principal).first<Row>();
  return order ? Response.json(toOrder(order)) : problem(404, "Not Found", "no-such-order", "there is no such order");
}

export default {
  async fetch(request, env) {
    const identity = understood(request.headers.get("x-machine-identity"));
    if (!identity) return problem(501, "Not Implemented", "not-understood");
    const { pathname } = new URL(request.url), [, id] = /^\/v1\/orders\/([\da-f-]{36})$/.exec(pathname) ?? [];
    if (pathname === "/v1/orders" && request.method === "POST") return place(request, identity, env);
    if (pathname === "/v1/orders" && request.method === "GET") return latest(identity, env);
    if (id && request.method === "GET") return find(id, identity, env);
    return problem(404, "Not Found", "not-found");
  },
} satisfies ExportedHandler<Env>;
