// The short form of soak.ts. A failure is found again by its seed: SOAK_SEED=… node --test …/soak.test.ts
import assert from "node:assert/strict";
import { test } from "node:test";
import { soak } from "./soak.ts";

const seed = Number(process.env.SOAK_SEED ?? Math.floor(Math.random() * 2 ** 32));
test(`60 people in 6 rooms lose nothing that was acknowledged, whatever fails meanwhile (seed ${seed})`, async (t) => {
  const { counts, violations } = await soak({ seed, sockets: 60, rooms: 6, messages: 1200, kill: 5,
    faults: { evictions: 3, aborts: 1, panics: 1, traps: 1, failures: 1 } });
  for (const [name, count] of Object.entries(counts)) t.diagnostic(`${name}: ${count}`);
  assert.deepEqual(violations, []);
});
