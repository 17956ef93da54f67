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

/** Writes a file for `wrangler kv bulk put` to a KV namespace, unless there is something in it. */
export async function seedEmpty(kv: any, file: string) {
  if ((await kv.list({ limit: 1 })).keys.length) return;
  for (const { key, value, base64, expiration, expiration_ttl: expirationTtl, metadata } of JSON.parse(readFileSync(file, "utf8")))
    await kv.put(key, base64 ? Buffer.from(value, "base64") : value, { expiration, expirationTtl, metadata });
}
