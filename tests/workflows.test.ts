// What GitHub would say of .github/, before a push: its own checker for the form, zizmor for what an attacker would look for.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, test } from "node:test";
import { TextDocument } from "vscode-languageserver-textdocument";
import { parse } from "yaml";

const ROOT = resolve(import.meta.dirname, ".."), folder = join(ROOT, ".github/workflows");
const workflows = readdirSync(folder).map((name) => join(folder, name));
const temporary = mkdtempSync(join(tmpdir(), "workflows-"));
after(() => rmSync(temporary, { recursive: true }));

// The package imports its schema in a bundler's way, without saying that it is JSON.
registerHooks({ load: (url, context, next) => next(url, url.endsWith(".json") ? { ...context, importAttributes: { type: "json" } } : context) });
const { validate } = await import("@actions/languageservice");
let documents = 0; // each has a name of its own: the checker remembers what it has read under one
const complaints = async (text: string) =>
  (await validate(TextDocument.create(`file:///${documents++}.yml`, "yaml", 1, text))).map(({ range, message }) => `${range.start.line + 1}: ${message}`);

test("GitHub's checker accepts every workflow", async () => {
  for (const file of workflows) assert.deepEqual(await complaints(readFileSync(file, "utf8")), [], file);
});

test("GitHub's checker finds a step that waits for an unknown job, and a key that there is not", async () => {
  const found = await complaints(readFileSync(join(folder, "deploy.yml"), "utf8").replace("needs: changed", "needs: chnged").replace("cancel-in-progress:", "cancel:"));
  assert.match(found.join("\n"), /unknown job 'chnged'/);
  assert.match(found.join("\n"), /Unexpected value 'cancel'/);
});

test("every script that a workflow runs is there", () => {
  const scripts = workflows.flatMap((file) => readFileSync(file, "utf8").match(/\.\/scripts\/\w+/g) ?? []);
  assert.ok(scripts.length >= 3);
  for (const script of scripts) assert.ok(existsSync(join(ROOT, script)), script);
});

/** The text of the step that finds out what a push deploys, run as GitHub runs it, beside a `gh` and a `cargo` of our own. */
function changed(gh: string, cargo: string, env: Record<string, string> = {}) {
  const { steps } = parse(readFileSync(join(folder, "deploy.yml"), "utf8")).jobs.changed, output = join(temporary, "output");
  const bin = mkdtempSync(join(temporary, "bin-"));
  for (const [name, script] of Object.entries({ gh, cargo })) writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  writeFileSync(output, "");
  const { status } = spawnSync("bash", ["-e", "-c", steps.find((step: { id?: string }) => step.id === "changed").run], { stdio: "ignore",
    env: { PATH: `${bin}:${process.env.PATH}`, GITHUB_OUTPUT: output, GITHUB_REPOSITORY: "us/it", QUERY: "", ASKED: "", DEPLOYED: "a b", ...env } });
  return status ? `failed: ${readFileSync(output, "utf8")}` : readFileSync(output, "utf8");
}

test("a push deploys what changed since the last deployment, of the patterns that the variable names", () => {
  assert.equal(changed("echo abc", 'echo "$*"'), "patterns=xtask changed abc a b\n");
  assert.equal(changed("exit 1", "exit 1", { ASKED: "c d" }), "patterns=c d\n");
});

test("where nobody can tell what changed, the workflow fails and does not deploy nothing in silence", () => {
  assert.equal(changed("exit 1", "echo a"), "failed: ");
  assert.equal(changed("echo abc", "exit 1"), "failed: ");
});

// zizmor is a program of PyPI's, so this needs a Python; GitHub's runners and most laptops have one.
const pip = spawnSync("python3", ["-m", "pip", "--version"]).status === 0;
test("zizmor finds no weakness in workflows and Dependabot's configuration", { skip: !pip && "python3 -m pip is not here" }, () => {
  const target = join(process.env.EDGE_TOOLS ?? join(ROOT, ".tools"), "zizmor-1.32.0"), zizmor = join(target, "bin/zizmor");
  if (!existsSync(zizmor)) execFileSync("python3", ["-m", "pip", "install", "--quiet", "--target", target, "zizmor==1.32.0"], { stdio: ["ignore", "inherit", "ignore"] });
  const run = (...paths: string[]) => spawnSync(zizmor, ["--offline", "--persona", "regular", ...paths], { encoding: "utf8" });
  const ours = run(join(ROOT, ".github"));
  assert.equal(ours.status, 0, ours.stdout + ours.stderr);

  const careless = join(temporary, "careless.yml");
  writeFileSync(careless, readFileSync(join(folder, "ci.yml"), "utf8").replace("permissions:\n      contents: read", "permissions: write-all")
    .replace("run: ./scripts/test", "run: ./scripts/test ${{ github.head_ref }}"));
  const found = run(careless);
  assert.notEqual(found.status, 0);
  assert.match(found.stdout, /excessive-permissions/);
  assert.match(found.stdout, /template-injection/);
});
