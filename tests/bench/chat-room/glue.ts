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
  { text: "one string", name: "a call for each, with one string of JavaScript" },
  { text: "a string each", name: "a call for each, with a string each (`send_with_str`)" },
];
/** How many each message tells there. */
const TOLD = 200 * 20;

/** As a part of the report. `rooms` are as many as it takes that nobody has to wait. */
export async function glue(rounds: number, slice: number, rooms: string[], temporary?: string): Promise<string> {
  const config = join(import.meta.dirname, "glue/wrangler.toml");
  await build(config);
  let shared: Running;
  const candidates = WAYS.map(({ name, text }, i) => ({ name, start: async () => {
    if (i === 0) {
      const stack = await Stack.start({ edge: false, temporary, workers: [{ id: "glue", config, public: true }] });
      shared = { stack, port: Number(stack.urls.get("glue")!.port) };
    }
    return { ...shared, text };
  } }));
  const { cpu } = await measure({ what: "a call for each socket", candidates, rounds, slice,
    routes: [{ name: "", hearers: 1, open: ({ port, text }) => Crowd.gather(port, rooms, 1, text) }] });

  const rows = cpu.map(([of], c) => {
    const { mean, by } = within(of.map((slices, n) => ((median(slices) - median(cpu[0][0][n])) / TOLD) * 1000));
    return [WAYS[c].name, c ? `${mean.toFixed(0)} ns ± ${by.toFixed(0)}` : "0"];
  });
  return `What a call from wasm for each socket would cost besides, for the text of such an event (mean over ${rounds} rounds, with its 95% interval; nothing is sent, which costs what the table above says):

${table(["", "CPU time a socket"], rows)}`;
}
