import { existsSync, readdirSync } from "node:fs";
import { dirname, extname, join, relative } from "node:path";
import { buildSync } from "esbuild";

const TYPES: Record<string, string> = { ".js": "ESModule", ".mjs": "ESModule", ".wasm": "CompiledWasm", ".txt": "Text", ".html": "Text",
  ".sql": "Text", ".bin": "Data" };

/** What is uploaded: a build folder as it stands, or, for TypeScript (stand-ins, twins), one bundle. */
export function modulesOf({ name, main, no_bundle: built }: { name: string; main?: string; no_bundle?: boolean }) {
  if (!main) return { modules: true, script: "export default {}" }; // assets only
  const modulesRoot = dirname(main);
  if (built && extname(main) !== ".ts") {
    if (!existsSync(main)) throw new Error(`${name}: ${relative(process.cwd(), main)} is missing: build it first`);
    const files = readdirSync(modulesRoot, { recursive: true, encoding: "utf8" }).map((file) => join(modulesRoot, file));
    files.sort((a, b) => Number(b === main) - Number(a === main)); // the first is the main module
    return { modulesRoot, modules: files.filter((f) => extname(f) in TYPES).map((path) => ({ type: TYPES[extname(path)], path })) };
  }
  const { outputFiles } = buildSync({ entryPoints: [main], bundle: true, format: "esm", target: "esnext", write: false,
    conditions: ["workerd", "worker"], external: ["cloudflare:*", "node:*"], logLevel: "silent" });
  return { modulesRoot, modules: [{ type: "ESModule", path: main.replace(/\.ts$/, ".js"), contents: outputFiles[0].text }] };
}
