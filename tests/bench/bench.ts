// ./scripts/bench [SLUG...]: patterns beside their TypeScript twins.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "smol-toml";
import { build } from "../harness/build.ts";
import { readPattern } from "../harness/pattern.ts";
import { circumstances, latency, measure, optionsOf, publish, refuse, sizeAndStart, table } from "./measure.ts";
import { CANDIDATES, compare, measurable, measuredOf, start } from "./pattern.ts";
import { median, ratioAboveFloor, written } from "./statistics.ts";

const { rounds, slice, command, positionals } = optionsOf("bench");
const slugs = positionals.length ? positionals : measurable();
for (const slug of slugs) if (!measurable().includes(slug)) refuse(`no twin of ${slug}; there are: ${measurable().join(", ")}`);
for (const slug of slugs) for (const { folder } of readPattern(slug).workers) await build(join(folder, "wrangler.toml"));

for (const slug of slugs) {
  const { title, workers } = readPattern(slug), sizes: string[][] = [];
  for (const { name, folder } of workers) {
    const config: any = parse(readFileSync(join(folder, "wrangler.toml"), "utf8")), twin = CANDIDATES[1].main(slug, name);
    if (twin) sizes.push([name, ...await sizeAndStart({ ...config, main: join(folder, config.main) }), ...await sizeAndStart({ ...config, main: twin })]);
  }

  const measured = await measuredOf(slug), { routes } = measured;
  const { cpu, took } = await measure({ what: slug, routes, rounds, slice, compare: (running) => compare(routes, running),
    candidates: CANDIDATES.map(({ name, main }) => ({ name, start: () => start(slug, main, measured) })) });
  await measured.close?.();

  const names = CANDIDATES.map(({ name }) => name);
  publish(`CPU time of workerd a request (median), and (Rust − floor) / (twin − floor) with its 95% interval (Fieller's, over ${rounds} rounds):

${table(["", ...names, "ratio above the floor"], routes.map(({ name }, r) => {
    const [rust, twin, floor] = cpu.map((of) => of[r].map(median));
    return [name, ...cpu.map((of) => `${median(of[r].flat()).toFixed(0)} µs`), written(ratioAboveFloor(rust, twin, floor))];
  }))}

Latency in milliseconds at eight connections on this machine, median / 99th percentile (the load runs on the same cores):

${table(["", ...names], routes.map(({ name }, r) => [name, ...took.map((of) => latency(of[r]))]))}

What is deployed, gzip -9, and the time from spawning workerd with that Worker alone to its first answer (median of 9):

${table(["", "Rust, size", "start-up", "twin, size", "start-up"], sizes)}

${circumstances(command(slug))}`, { section: slug, title, rounds });
}
