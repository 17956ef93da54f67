// The build tools, for tests that build in a workspace of their own.
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join, relative } from "node:path";

const root = join(import.meta.dirname, "..");

/** What EDGE_TOOLS is to be there, so that what was built for the checkout need not be built again. To cargo, the standard library that
 *  it builds along is another one under another path from the workspace, and with it every crate for wasm: so where the tools lie
 *  in the checkout, they lie in the other workspace, too. */
export function toolsFor(workspace: string): string {
  const ours = process.env.EDGE_TOOLS ?? join(root, ".tools"), below = relative(root, ours), theirs = join(workspace, below);
  if (below.startsWith("..")) return ours;
  rmSync(theirs, { recursive: true, force: true });
  execFileSync("cp", ["-al", ours, theirs]); // links: no copy of 800 MB
  return theirs;
}
