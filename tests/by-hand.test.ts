// The README's "By hand": a Worker run as the ecosystem expects, by wrangler and without our scripts.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { freePorts } from "./harness/ports.ts";

const ROOT = resolve(import.meta.dirname, "..");

test("tiny-api runs by hand, with the commands that the README shows", { timeout: 120_000 }, async (t) => {
  const section = /^## By hand\n.*?^```sh\n(.*?)^```/ms.exec(readFileSync(join(ROOT, "README.md"), "utf8"))![1];
  const [cd, ...commands] = section.trim().split("\n"), serve = commands.pop()!, cwd = join(ROOT, cd.replace("cd ", ""));
  assert.equal(serve, "npx wrangler dev");
  assert.ok(commands.length);

  // A developer's own local data stays what it is.
  mkdirSync(join(ROOT, "target"), { recursive: true });
  const own = join(cwd, ".wrangler"), aside = join(mkdtempSync(join(ROOT, "target/by-hand-")), "wrangler");
  if (existsSync(own)) renameSync(own, aside);
  t.after(() => {
    rmSync(own, { recursive: true, force: true });
    if (existsSync(aside)) renameSync(aside, own);
    rmSync(resolve(aside, ".."), { recursive: true });
  });

  const env = { ...process.env, WRANGLER_SEND_METRICS: "false", CLOUDFLARE_CF_FETCH_ENABLED: "false" };
  for (const command of commands)
    await new Promise<void>((done, fail) => execFile("sh", ["-c", command], { cwd, env }, (error, out, err) => (error ? fail(new Error(`${command}\n${out}${err}`)) : done())));

  const [port] = await freePorts(1), child = spawn("sh", ["-c", `exec ${serve} --port ${port}`], { cwd, env, stdio: "ignore", detached: true });
  const ended = new Promise((done) => child.on("exit", done));
  try {
    const until = Date.now() + 60_000;
    let plan: Response | undefined;
    while (!(plan = await fetch(`http://127.0.0.1:${port}/plans/team`).catch(() => undefined))) {
      if (Date.now() > until || child.exitCode !== null) assert.fail("wrangler dev does not answer");
      await new Promise((done) => setTimeout(done, 100));
    }
    assert.equal(plan.status, 200, await plan.text());
    const signup = await fetch(`http://127.0.0.1:${port}/signups`, { method: "POST", headers: { "content-type": "application/json" }, body: '{"team":"acme","plan":"team"}' });
    assert.equal(signup.status, 201, await signup.text());
  } finally {
    process.kill(-child.pid!, "SIGTERM");
    await ended;
  }
});
