// The statements that the Worker inside runs for these requests, and nothing else.
import { WorkerEntrypoint } from "cloudflare:workers";

export class Maintenance extends WorkerEntrypoint {} // of `nightly`, which is not called here

const COLUMNS = "id, sku, quantity, note, created_at";

export default {
  async fetch({ method, url }, { DB }) {
    if (method === "POST") {
      const order = await DB.prepare(`INSERT INTO orders (id, caller, sku, quantity, note) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING ${COLUMNS}`)
        .bind(crypto.randomUUID(), "bob", "A-1", 2, "today").first();
      return new Response(JSON.stringify(order), { status: 201 });
    }
    if (url.endsWith("/v1/orders")) {
      const { results } = await DB.prepare(`SELECT ${COLUMNS} FROM orders WHERE caller = ?1 ORDER BY created_at DESC, id LIMIT ?2`).bind("alice", 101).all();
      return new Response(JSON.stringify({ orders: results, next_cursor: null }));
    }
    return new Response(JSON.stringify(await DB.prepare(`SELECT ${COLUMNS} FROM orders WHERE id = ?1 AND caller = ?2`).bind(url.slice(-36), "alice").first()));
  },
};
