// What a call from wasm for each socket costs. All ways are ways of one process, so that nothing else differs.
import { join } from "node:path";
import { build } from "../../harness/build.ts";
import { Stack } from "../../harness/stack.ts";
import { measure, type Running, table } from "../measure.ts";
import { median, within } from "../statistics.ts";
import { Crowd } from "./crowd.ts";

/** By what a message says: see glue/src/lib.rs. */
const WAYS = [
  { text: "one call", name: "one call for all, the loop in JavaScript" },
  { text: "one string", name: "a call for each, with a string that JavaScript has already" },
  { text: "a string each", name: "a call for each, with a copy of the text (`send_with_str`)" },
];

export async function glue(rounds: number, slice: number, hearers: number): Promise<string> {
  const config = join(import.meta.dirname, "glue/wrangler.toml");
  await build(config);
  let shared: Running;
  const candidates = WAYS.map(({ name, text }, i) => ({ name, start: async () => {
    if (i === 0) {
      const stack = await Stack.start({ edge: false, workers: [{ id: "glue", config, public: true }] });
      shared = { stack, port: Number(stack.urls.get("glue")!.port) };
    }
    return { ...shared, text };
  } }));
  const { cpu } = await measure({ what: "a call for each socket", candidates, rounds, slice,
    routes: [{ name: "", hearers, open: ({ port, text }) => Crowd.gather(port, [text.replaceAll(" ", "-")], hearers, text) }] });

  const rows = cpu.map(([of], c) => {
    const { mean, by } = within(of.map((slices, n) => ((median(slices) - median(cpu[0][0][n])) / hearers) * 1000));
    return [WAYS[c].name, `${median(of.flat()).toFixed(0)} µs`, c ? `${mean.toFixed(0)} ns ± ${by.toFixed(0)}` : ""];
  });
  return `What it costs to tell ${hearers} sockets from wasm, with nothing checked or stored: CPU time a message (median), and how much more for each socket (mean over ${rounds} rounds, with its 95% interval):

${table(["", "CPU", "more a socket"], rows)}`;
}
