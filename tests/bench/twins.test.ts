// A twin that drifted away from its pattern would be measured doing other work.
import { test } from "node:test";
import { compare, CANDIDATES, measurable, measuredOf, start } from "./pattern.ts";
import type { Running } from "./measure.ts";

for (const slug of measurable()) test(`the twin and the floor of ${slug} answer as it does`, async () => {
  const measured = await measuredOf(slug), running: Running[] = [];
  try {
    for (const { main } of CANDIDATES) running.push(await start(slug, main, measured));
    await compare(measured, running);
  } finally {
    await Promise.all(running.map(({ stack }) => stack.close()));
    await measured.close?.();
  }
});
