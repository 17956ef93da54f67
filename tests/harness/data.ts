// What local storage starts with.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** Applies the migrations that a D1 database has not had, keeping wrangler's own table, so that `wrangler d1 migrations` agrees. */
export async function migrate(db: any, base: string, { migrations_dir = "migrations", migrations_table: table = "d1_migrations" }: any,
  splitSql: (sql: string) => string[]) {
  const dir = resolve(base, migrations_dir);
  if (!existsSync(dir)) return;
  await db.prepare(`CREATE TABLE IF NOT EXISTS "${table}" (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE,
    applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)`).run();
  const done = new Set((await db.prepare(`SELECT name FROM "${table}"`).all()).results.map((r: any) => r.name));
  for (const file of readdirSync(dir).filter((f) => f.endsWith(".sql") && !done.has(f)).sort()) {
    const statements = splitSql(readFileSync(join(dir, file), "utf8")).map((s) => db.prepare(s));
    await db.batch([...statements, db.prepare(`INSERT INTO "${table}" (name) VALUES (?)`).bind(file)]); // all or nothing
  }
}

/** A file in the format of `wrangler kv bulk put`; or, with `key`, the text of that one value. */
export interface Seed { file: string; key?: string }

/** Writes it to a KV namespace: many values when there are none, since people add theirs; the one value always, since it goes
 *  with the checkout. `fill` puts into it what only this machine knows. */
export async function seed(kv: any, { file, key }: Seed, fill: (text: string) => Promise<string>) {
  const text = readFileSync(file, "utf8");
  if (key) return kv.put(key, await fill(text));
  if ((await kv.list({ limit: 1 })).keys.length) return;
  for (const { key, value, base64, expiration, expiration_ttl: expirationTtl, metadata } of JSON.parse(text))
    await kv.put(key, base64 ? Buffer.from(value, "base64") : value, { expiration, expirationTtl, metadata });
}
