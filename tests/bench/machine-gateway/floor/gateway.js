// The binding calls that the gateway makes for these requests, and nothing else. A proof is not looked at: to verify one is the
// gateway's work.
import { DurableObject } from "cloudflare:workers";

export class Nonces extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS nonces (name TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID");
  }

  admit(name, until, now) {
    return this.ctx.storage.sql.exec(`INSERT INTO nonces (name, until) VALUES (?1, ?2)
      ON CONFLICT (name) DO UPDATE SET until = excluded.until WHERE until <= ?3 RETURNING name`, name, until, now).toArray().length > 0;
  }
}

export default {
  async fetch(request, { LIMITER, NONCES, ORDERS }) {
    const input = request.headers.get("signature-input");
    if (!input && !request.headers.has("cf-access-jwt-assertion")) return new Response(null, { status: 401 });
    const principal = request.method === "POST" ? "bob" : "alice", now = Date.now();
    await LIMITER.limit({ key: principal });
    if (input) await NONCES.getByName(principal).admit(input.slice(input.indexOf("nonce=")), now + 360_000, now);
    return ORDERS.fetch(request);
  },
};
