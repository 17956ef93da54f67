// ./scripts/bench [SLUG...]: patterns beside their TypeScript twins.
import { parseArgs } from "node:util";
import { build } from "../harness/build.ts";
import { circumstances, ENOUGH, latency, measure, publish, type Route, type Running, sizeAndStart, table } from "./measure.ts";
import { compare, deployed, floorOf, measurable, type Measured, measuredOf, ours, start, twinOf } from "./pattern.ts";
import { readPattern } from "../harness/pattern.ts";
import { mean, median, ratioAboveFloor, written } from "./statistics.ts";

const { values: options, positionals } = parseArgs({ allowPositionals: true, options: {
  rounds: { type: "string", default: String(ENOUGH) },
  seconds: { type: "string", default: "0.5" },
} });
const rounds = Number(options.rounds), slice = Number(options.seconds) * 1000;
const chosen = positionals.length ? positionals : measurable();
for (const slug of chosen) if (!measurable().includes(slug)) throw new Error(`no twin of ${slug}; there are: ${measurable().join(", ")}`);

for (const slug of chosen) {
  for (const { spec } of deployed(slug)) await build(spec.config);
  const sizes: string[][] = [];
  for (const { name, config, spec } of deployed(slug)) {
    const twin = { ...config, main: twinOf(slug)(spec) };
    sizes.push([name, ...await sizeAndStart(config), ...await sizeAndStart(twin)]);
  }

  let measured: Measured;
  const candidates = [["Rust", ours], ["twin", twinOf(slug)], ["floor", floorOf(slug)]] as const;
  measured = await measuredOf(slug);
  const { cpu, took } = await measure({ what: slug, routes: measured.routes, rounds, slice,
    compare: (running: Running[]) => compare(measured.routes, running),
    candidates: candidates.map(([name, main]) => ({ name, start: () => start(slug, main, measured) })) });
  await measured.close?.();

  const rows = measured.routes.map(({ name }: Route, r: number) => {
    const [rust, twin, floor] = cpu.map((of) => of[r].map((slices) => mean(slices)));
    return [name, ...cpu.map((of) => `${median(of[r].flat()).toFixed(0)} µs`), written(ratioAboveFloor(rust, twin, floor))];
  });
  publish(`CPU time of workerd a request (median of slices), and the ratio (Rust - floor) / (twin - floor) with its 95% interval (Fieller's, over ${rounds} rounds):

${table(["", "Rust", "twin", "floor", "ratio above the floor"], rows)}

Latency in milliseconds at eight connections on this machine, median / 99th percentile (the load runs on the same cores):

${table(["", "Rust", "twin", "floor"], measured.routes.map(({ name }: Route, r: number) => [name, ...took.map((of) => latency(of[r]))]))}

What is deployed of each Worker, gzip -9, and the time from spawning workerd with it alone to its first answer (median of 9):

${table(["", "Rust: size", "start-up", "twin: size", "start-up"], sizes)}

${circumstances(`./scripts/bench ${slug} --rounds ${rounds} --seconds ${options.seconds}`)}`, { section: slug, title: readPattern(slug).title, rounds });
}
