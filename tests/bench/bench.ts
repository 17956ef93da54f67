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

/** A small one with three figures. */
const micros = (value: number) => `${value < 100 ? value.toPrecision(3) : value.toFixed(0)} µs`;

for (const slug of slugs) {
  const { title, workers } = readPattern(slug), sizes: string[][] = [];
  for (const { name, folder } of workers) {
    const config: any = parse(readFileSync(join(folder, "wrangler.toml"), "utf8")), twin = CANDIDATES[1].main(slug, name);
    if (twin) sizes.push([name, ...await sizeAndStart({ ...config, main: join(folder, config.main) }), ...await sizeAndStart({ ...config, main: twin })]);
  }

  const measured = await measuredOf(slug), { sockets = [] } = measured, routes = [...measured.routes, ...sockets], unit = sockets.length ? "message" : "request";
  const { cpu, took, rate } = await measure({ what: slug, routes, rounds, slice, compare: (running) => compare(measured, running),
    candidates: CANDIDATES.map(({ name, main }) => ({ name, start: () => start(slug, main, measured) })) });
  const more = await measured.more?.(rounds, slice);
  await measured.close?.();

  const names = CANDIDATES.map(({ name }) => name);
  publish(`CPU time of workerd a ${unit} (median), and (Rust − floor) / (twin − floor) with its 95% interval (Fieller's, over ${rounds} rounds):

${table(["", ...names, "ratio above the floor"], routes.map(({ name }, r) => {
    const [rust, twin, floor] = cpu.map((of) => of[r].map(median));
    return [name, ...cpu.map((of) => micros(median(of[r].flat()))), written(ratioAboveFloor(rust, twin, floor))];
  }))}
${sockets.length ? `
Messages a second (median), with eight on their way, and the CPU time for each socket that hears one:

${table(["", ...names], sockets.map(({ name, hearers }, s) => {
    const r = measured.routes.length + s;
    return [name, ...cpu.map((of, c) => `${median(rate[c][r]).toFixed(0)}, ${micros(median(of[r].flat()) / hearers)}`)];
  }))}
` : ""}
Latency in milliseconds ${sockets.length ? "from sending to `ack`" : "at eight connections"} on this machine, median / 99th percentile (the load runs on the same cores):

${table(["", ...names], routes.map(({ name }, r) => [name, ...took.map((of) => latency(of[r]))]))}
${more ? `\n${more}\n` : ""}
What is deployed, gzip -9, and the time from spawning workerd with that Worker alone to its first answer (median of 9):

${table(["", "Rust, size", "start-up", "twin, size", "start-up"], sizes)}

${circumstances(command(slug))}`, { section: slug, title, rounds });
}
