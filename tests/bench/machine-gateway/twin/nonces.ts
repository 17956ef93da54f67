// What a principal has sent that is good once: the object of its name.
import { DurableObject } from "cloudflare:workers";

const MAX_ROWS = 100_000;

/** Names, until the time (ms) at which nobody would believe their proof any more. Each is looked for and stored in one statement,
 *  so of many copies of a request one is let in. */
export class Nonces extends DurableObject {
  #sql = this.ctx.storage.sql;
  #rows?: number; // counted when the object wakes, expired ones among them
  #alarm = false;

  async admit(name: string, until: number, now: number): Promise<boolean> {
    this.#rows ??= this.#count();
    if (this.#rows >= MAX_ROWS) throw new Error("too many names are remembered: wait until they expire");
    const stored = this.#sql.exec(`INSERT INTO nonces (name, until) VALUES (?1, ?2)
      ON CONFLICT (name) DO UPDATE SET until = excluded.until WHERE until <= ?3 RETURNING name`, name, until, now).toArray();
    if (!stored.length) return false;
    this.#rows++;
    if (!this.#alarm) await this.#wakeAt(until);
    return true;
  }

  async alarm() {
    this.#count();
    this.#sql.exec("DELETE FROM nonces WHERE until <= ?1", Date.now());
    this.#rows = undefined;
    const { next } = this.#sql.exec<{ next: number | null }>("SELECT min(until) AS next FROM nonces").one();
    this.#alarm = next !== null;
    await (next === null ? this.ctx.storage.deleteAll() : this.#wakeAt(next));
  }

  #wakeAt(ms: number) {
    this.#alarm = true;
    return this.ctx.storage.setAlarm(ms);
  }

  #count(): number {
    this.#sql.exec("CREATE TABLE IF NOT EXISTS nonces (name TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID");
    return this.#sql.exec<{ n: number }>("SELECT count(*) AS n FROM nonces").one().n;
  }
}
