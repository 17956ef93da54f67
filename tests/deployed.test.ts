// What `wrangler deploy` would upload is byte for byte what ran in every other test.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import { readPattern, ROOT, slugs } from "./harness/pattern.ts";

for (const slug of slugs()) for (const { folder } of readPattern(slug).workers) {
  test(`${relative(ROOT, folder)}: deployed is what was tested`, () => {
    const out = mkdtempSync(join(tmpdir(), "deploy-"));
    try {
      // From a folder that is not the Worker's: its build command must find its way from anywhere in the checkout.
      execFileSync("npx", ["wrangler", "deploy", "--dry-run", "--outdir", out, "-c", join(folder, "wrangler.toml")], {
        cwd: dirname(folder), stdio: "pipe", env: { ...process.env, WRANGLER_SEND_METRICS: "false" },
      });
      const modules = readdirSync(join(folder, "build")).filter((name) => /\.(js|wasm)$/.test(name));
      assert.ok(modules.includes("index.js"));
      const uploaded = readdirSync(out, { recursive: true, encoding: "utf8" }).filter((name) => name !== "README.md");
      assert.deepEqual(uploaded.sort(), modules.sort(), "nothing else, such as a page, is a module");
      for (const name of modules) assert.ok(readFileSync(join(out, name)).equals(readFileSync(join(folder, "build", name))), name);
    } finally {
      rmSync(out, { recursive: true });
    }
  });
}
