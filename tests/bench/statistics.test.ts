// Can the estimator tell? On made-up rounds whose truth is known; the same question about real Workers is ./scripts/bench proof.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { measurable } from "./pattern.ts";
import { type Ratio, ratioAboveFloor, within } from "./statistics.ts";

/** mulberry32, so that every run sees the same noise. */
function random(seed: number) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Experiments of ten rounds, as a busy machine gives them: in each round all are slower by a common factor, and each process
 *  is off by some microseconds of its own. */
function experiments(many: number, { ours, other, floor, own }: { ours: number; other: number; floor: number; own: number }): (Ratio | undefined)[] {
  const uniform = random(1), normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return Array.from({ length: many }, () => {
    const rounds = Array.from({ length: 10 }, () => { const busy = 1 + 0.5 * uniform(); return [ours, other, floor].map((cost) => busy * (cost + own * normal())); });
    return ratioAboveFloor(rounds.map((r) => r[0]), rounds.map((r) => r[1]), rounds.map((r) => r[2]));
  });
}
const share = (all: (Ratio | undefined)[], is: (r: Ratio) => boolean) => all.filter((r) => r && is(r)).length / all.length;

test("the interval holds the true ratio 95 times in 100, also where the floor is most of the cost", () => {
  const all = experiments(4000, { ours: 560, other: 500, floor: 400, own: 12 });
  const held = share(all, (r) => r.low <= 1.6 && 1.6 <= r.high);
  assert.ok(held > 0.935 && held < 0.965, `${held}`);
});

test("a Worker that is 20% slower above the floor is told from one that is not", () => {
  const slower = experiments(1000, { ours: 520, other: 500, floor: 400, own: 6 }), same = experiments(1000, { ours: 500, other: 500, floor: 400, own: 6 });
  assert.ok(share(slower, (r) => r.low > 1) > 0.95);
  assert.ok(share(same, (r) => r.low <= 1 && 1 <= r.high) > 0.93);
});

test("the interval of a mean holds the true one 95 times in 100", () => {
  const uniform = random(1), normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const all = Array.from({ length: 4000 }, () => within(Array.from({ length: 10 }, () => 300 + 80 * normal())));
  const held = all.filter(({ mean, by }) => Math.abs(mean - 300) <= by).length / all.length;
  assert.ok(held > 0.935 && held < 0.965, `${held}`);
});

test("no ratio is told where the twin cannot be told from the floor", () => {
  assert.ok(share(experiments(1000, { ours: 450, other: 400, floor: 400, own: 12 }), () => true) < 0.05);
  assert.equal(ratioAboveFloor([5, 6, 5, 6], [3, 2, 3, 2], [4, 4, 4, 4]), undefined); // below it
});

test("what slows all of them down in a round cancels out", () => {
  const [one] = experiments(1, { ours: 560, other: 500, floor: 400, own: 0 });
  assert.ok(one && Math.abs(one.ratio - 1.6) < 1e-9 && one.high - one.low < 1e-6, JSON.stringify(one));
});

test("a twin's Worker is one file of at most 150 lines", () => {
  for (const slug of measurable()) {
    const folder = join(import.meta.dirname, slug), alone = join(folder, "twin.ts");
    const files = existsSync(alone) ? [alone] : readdirSync(join(folder, "twin")).map((file) => join(folder, "twin", file));
    for (const file of files) {
      const lines = readFileSync(file, "utf8").trimEnd().split("\n").length;
      assert.ok(lines <= 150, `${file}: ${lines}`);
    }
  }
});
