// The binding calls that machine-gateway's two Workers make for these requests, and nothing else. A token is not looked at: to
// verify one is the gateway's work.
import { WorkerEntrypoint } from "cloudflare:workers";

const COLUMNS = "id, sku, quantity, note, created_at";

export class Orders extends WorkerEntrypoint {
  async place() {
    const order = await this.env.DB.prepare(`INSERT INTO orders (id, caller, sku, quantity, note) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING ${COLUMNS}`)
      .bind(crypto.randomUUID(), "bob.access", "A-1", 2, "today").first();
    return JSON.stringify(order);
  }

  async latest() {
    const { results } = await this.env.DB.prepare(`SELECT ${COLUMNS} FROM orders WHERE caller = ?1 ORDER BY created_at DESC, id LIMIT ?2`)
      .bind("alice.access", 100).all();
    return JSON.stringify({ orders: results });
  }
}

export default {
  async fetch(request, { ORDERS }) {
    if (!request.headers.has("cf-access-jwt-assertion")) return new Response(null, { status: 401 });
    return request.method === "POST" ? new Response(await ORDERS.place(), { status: 201 }) : new Response(await ORDERS.latest());
  },
};
