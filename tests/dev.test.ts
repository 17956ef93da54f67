// `./scripts/dev SLUG`, as every pattern's README has it under "Run": ready, answering, and ended by a signal with status 0.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { ROOT, readPattern, slugs } from "./harness/pattern.ts";
import { freePorts, inUse } from "./harness/ports.ts";

const statusOf = (url: string, ca?: string) => new Promise<number>((done, fail) => {
  const answer = ({ statusCode = 0 }) => done(statusCode);
  (url.startsWith("https:") ? https.get(url, { ca: ca && readFileSync(ca) }, answer) : http.get(url, answer)).on("error", fail);
});

for (const slug of slugs()) test(`./scripts/dev ${slug} runs it, and ends when it is told to`, { timeout: 120_000 }, async () => {
  const { folder, workers, standIns, mtls } = readPattern(slug);
  const command = /^## Run\n.*?^```sh\n(.*?)\n```/ms.exec(readFileSync(join(folder, "README.md"), "utf8"))![1];
  assert.equal(command, `./scripts/dev ${slug}`);

  // Other storage and ports than a developer's own run has, who may have one going.
  const open = [...[...workers, ...standIns].filter((part) => part.public), ...mtls];
  let [port] = await freePorts(1);
  while ((await inUse(open.map((_, i) => port + i))) >= 0) [port] = await freePorts(1);
  const dev = spawn("sh", ["-c", `exec ${command} --fresh --port ${port}`], { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((done) => dev.on("exit", done));
  try {
    const ready = new Map<string, string>();
    let ca: string | undefined;
    for await (const line of createInterface(dev.stdout)) {
      const [, name, url] = /^ready (\S+) (https?:\S+)$/.exec(line) ?? [];
      if (name) ready.set(name, url);
      ca ??= /^mtls ca (.+)$/.exec(line)?.[1];
      if (ready.size === open.length && (ca || !mtls.length)) break;
    }
    assert.deepEqual([...ready.keys()][0], slug);
    for (const [name, url] of ready) assert.ok((await statusOf(`${url}/nothing-of-this-name`, ca)) < 500, name);
  } finally {
    dev.kill("SIGTERM");
  }
  assert.equal(await ended, 0);
});
