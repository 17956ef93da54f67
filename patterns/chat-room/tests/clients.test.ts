// The client of the README, as it stands there: an unmodified WebSocket library of another language.
import assert from "node:assert/strict";
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ROOT, startPattern } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { PATTERN, WORKER } from "./client.ts";

const readme = readFileSync(join(PATTERN, "README.md"), "utf8");
const [, section] = /^## A client of your own$(.*?)^## /ms.exec(readme)!;
const block = (language: string) => new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "ms").exec(section)![1];

let stack: Stack;
before(async () => { stack = await startPattern(PATTERN); });
after(() => stack?.close());

const pip = spawnSync("python3", ["-m", "pip", "--version"]).status === 0;
test("the README's client says and hears what the README shows", { skip: !pip && "python3 -m pip is not here" }, async () => {
  const [, pinned] = /`pip install (websockets==[\d.]+)`/.exec(section)!;
  const target = join(process.env.EDGE_TOOLS ?? join(ROOT, ".tools"), pinned.replace("==", "-"));
  if (!existsSync(target)) execFileSync("python3", ["-m", "pip", "install", "--quiet", "--target", target, pinned], { stdio: ["ignore", "inherit", "ignore"] });

  const program = block("python").replace("127.0.0.1:8787", stack.urls.get(WORKER)!.host);
  assert.notEqual(program, block("python"));
  const out = await new Promise<string>((done, fail) => {
    const env = { ...process.env, PYTHONPATH: target, PYTHONIOENCODING: "utf-8" };
    const child = execFile("python3", { timeout: 30_000, env }, (e, out, err) => (e ? fail(new Error(err || out, { cause: e })) : done(out)));
    child.stdin!.end(program);
  });

  // An id, an epoch or a time is another each time; what the README writes as … is not empty and without a quote.
  const heard = out.trimEnd().split("\n"), shown = block("text").trimEnd().split("\n");
  for (const [i, line] of shown.entries())
    assert.match(heard[i] ?? "", new RegExp(`^${line.split("…").map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")).join('[^"]+')}$`), out);
  assert.equal(heard.length, shown.length, out);
});
