// ./scripts/dev. Hears signals before anything slow is loaded: whenever they come, they end everything and are no failure.
import type { Stack } from "./stack.ts";

const ending = new AbortController();
let serving: Promise<Stack | undefined> | undefined;

process.on("SIGINT", end).on("SIGTERM", end);
async function end() {
  if (ending.signal.aborted) return; // a terminal's Ctrl-C may come twice: to the process group and through npm
  ending.abort(); // ends a build; a start that is under way is waited for
  await serving?.then((stack) => stack?.close()).catch(() => {});
  process.exit(0);
}

const { serve, Refused } = await import("./serve.ts");
serving = serve(process.argv.slice(2), ending.signal);
serving.catch((e) => {
  if (ending.signal.aborted) return; // a build that the signal ended
  console.error(`dev: ${e.message}`);
  process.exit(e instanceof Refused ? 2 : 1);
});
