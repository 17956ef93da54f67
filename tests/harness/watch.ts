// Rebuilds and reloads the Workers of a stack when a source changes.
import { readdirSync, watch as watchFolder, type FSWatcher } from "node:fs";
import { basename, join, sep } from "node:path";
import { build } from "./build.ts";
import type { Stack } from "./stack.ts";

/** A folder, and the Worker configurations that a change in it concerns. */
export interface Watched { folder: string; configs: string[] }

/** What builds leave behind, and what no Worker is made of. */
const NOT_SOURCES = /^(\.(?!dev\.vars).*|build(-\w+)?(\.new)?|infra|node_modules|target|tests)$/;
const NOT_SOURCE = /(~|\.sw.|\.md)$/;

/** A build that fails, or does not start, leaves the running one alone. `signal` ends a build under way and the watching. */
export function watch(stack: Stack, watched: Watched[], report: (line: string) => void, signal: AbortSignal) {
  // The innermost folder decides: a Worker's own before its pattern's.
  const byDepth = watched.toSorted((a, b) => b.folder.length - a.folder.length);
  let queued = new Set<string>(), unbuilt: string[] = [], running = false, timer: NodeJS.Timeout | undefined, watchers: FSWatcher[] = [];

  const work = async () => {
    if (running) return;
    for (running = true; queued.size && !signal.aborted; ) {
      unbuilt = [...new Set([...unbuilt, ...queued])]; // with those that an earlier failure left out
      queued = new Set();
      const started = Date.now();
      arm(); // again, for folders that are new
      try {
        for (const config of unbuilt) await build(config, signal);
        await stack.reload();
        unbuilt = [];
        report(`reloaded in ${((Date.now() - started) / 1000).toFixed(1)} s`);
      } catch (e: any) {
        if (!signal.aborted) report(`not reloaded, what ran before keeps running: ${e.message}`);
      }
    }
    running = false;
  };
  const changed = (path: string) => {
    if (NOT_SOURCE.test(path)) return;
    if (basename(path) === "pattern.toml") return report(`${path} changed: restart to take it up`);
    for (const config of byDepth.find(({ folder }) => path.startsWith(folder + sep))?.configs ?? []) queued.add(config);
    clearTimeout(timer);
    timer = setTimeout(work, 100); // an editor's save is several events
  };
  // Folder by folder: Node 22's recursive watching on Linux loses a file that an editor replaces by renaming.
  const on = (folder: string, seen: Set<string>) => {
    if (seen.has(folder)) return;
    seen.add(folder);
    let entries;
    try {
      watchers.push(watchFolder(folder, (_, file) => { if (file && !NOT_SOURCES.test(file)) changed(join(folder, file)); }));
      entries = readdirSync(folder, { withFileTypes: true });
    } catch { return; } // removed meanwhile
    for (const entry of entries) if (entry.isDirectory() && !NOT_SOURCES.test(entry.name)) on(join(folder, entry.name), seen);
  };
  const arm = () => {
    const old = watchers, seen = new Set<string>();
    watchers = [];
    for (const { folder } of watched) on(folder, seen);
    for (const w of old) w.close();
  };
  arm();
  signal.addEventListener("abort", () => { for (const w of watchers) w.close(); });
}
