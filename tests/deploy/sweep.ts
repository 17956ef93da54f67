// node tests/deploy/sweep.ts [SLUG...]: a first deployment, a later one and a teardown, each interrupted at every call that it
// makes, before and after the effect of the call, and run again. Takes long; ./scripts/test runs a part of it.
import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { slugs as patterns } from "../harness/pattern.ts";
import { BOTH, World } from "./rehearsal.ts";

const wanted = process.argv.slice(2), slugs = wanted.length ? wanted : [...patterns(), "shop"];
let failures = 0;

/** Two at a time, since most of the time is wrangler starting. */
async function all(what: string, cases: [string, () => Promise<void>][]) {
  const started = Date.now(), left = [...cases];
  let failed = 0;
  await Promise.all([1, 2].map(async () => {
    for (let next = left.shift(); next; next = left.shift()) {
      try { await next[1](); } catch (e: any) { failed++; console.error(`${what}: ${next[0]}: ${e.message}`); }
      if ((cases.length - left.length) % 10 === 0) console.log(`${what}: ${cases.length - left.length} of ${cases.length}`);
    }
  }));
  failures += failed;
  console.log(`${what}: ${cases.length} interruptions, ${failed} ended wrong, ${Math.round((Date.now() - started) / 1000)} s`);
}

const every = (calls: { method: string; path: string }[], one: (at: number, mode: "before" | "after") => Promise<void>) =>
  BOTH.flatMap((mode) => calls.map(({ method, path }, at): [string, () => Promise<void>] => [`${mode} ${at} ${method} ${path}`, () => one(at, mode)]));

async function within(slug: string, story: (world: World) => Promise<void>) {
  const world = await World.start(slug);
  try { await story(world); } finally { await world.end(); }
}

for (const slug of slugs) {
  let first!: Awaited<ReturnType<World["reference"]>>, again!: typeof first, gone!: typeof first;
  const change = ({ checkout }: World) => appendFileSync(checkout.main(slug).file, "\n// changed\n");
  await within(slug, async (world) => {
    first = await world.reference();
    change(world);
    again = await world.reference();
    gone = await world.reference("--teardown", "--yes");
  });
  await all(`${slug}, first deployment`, every(first.calls, (at, mode) => within(slug, async (world) => {
    await world.interrupted(at, mode);
    assert.deepEqual(world.cloudflare.state, first.state);
    world.remembers();
  })));
  await all(`${slug}, later deployment`, every(again.calls, (at, mode) => within(slug, async (world) => {
    await world.succeeds();
    change(world);
    await world.interrupted(at, mode);
    assert.deepEqual(world.cloudflare.state, again.state);
    world.remembers();
  })));
  await all(`${slug}, teardown`, every(gone.calls, (at, mode) => within(slug, async (world) => {
    await world.succeeds();
    await world.interrupted(at, mode, "--teardown", "--yes");
    assert.deepEqual(world.cloudflare.state, gone.state);
    world.remembers();
  })));
}
process.exitCode = failures ? 1 : 0;
