// tiny-api leaves edge-http's way in and out behind by changing two lines, and everything that it promises still holds.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { toolsFor } from "./tools.ts";

const root = join(import.meta.dirname, ".."), target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
// One folder deeper than in the checkout: cargo tells packages apart by their path in the workspace, and with the same one it
// would take what it built here for the checkout's own.
const copy = join(target, "no-lock-in"), deeper = join(copy, "copy"), worker = join(deeper, "patterns/tiny-api");

const CHANGES = [
  ["use edge_http::{App, Request, Response};", "use {axum::response::Response, edge_http::App, worker::HttpRequest as Request};"],
  ["APP.serve(req, env, ctx).await", "APP.serve_http(req, env, ctx).await"],
];

test("tiny-api over worker's own http types and worker-build's own entry passes its own tests", () => {
  // A checkout with this one pattern in it, so that the workspace's own stays as it is.
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(deeper, { recursive: true });
  const take = (path: string, to: string) =>
    cpSync(join(root, path), join(to, path), { recursive: true, filter: (from) => !/\/(probe|build|build-abort)$/.test(from) });
  for (const path of [".cargo", "Cargo.toml", "Cargo.lock"]) take(path, copy);
  for (const path of ["crates/edge-http", "patterns/tiny-api"]) take(path, deeper);
  edit(join(copy, "Cargo.toml"), [
    [/members = \[.*?\]/s, 'members = ["copy/crates/edge-http", "copy/patterns/tiny-api"]'],
    ['path = "crates/edge-http"', 'path = "copy/crates/edge-http"'],
  ]);
  edit(join(worker, "src/lib.rs"), CHANGES);

  // What its wrangler.toml calls `main` is now what worker-build made.
  execFileSync(join(root, "scripts/build"), ["--wasm", worker, join(worker, "build")], { stdio: "inherit", env: { ...process.env, EDGE_TOOLS: toolsFor(copy) } });
  // Not a test of this process's own, whose report it would disturb.
  const { NODE_TEST_CONTEXT: _, ...outside } = process.env;
  execFileSync("node", ["--test", join(root, "patterns/tiny-api/tests/api.test.ts")], {
    stdio: "inherit", env: { ...outside, EDGE_BUILT: "1", TINY_API: worker },
  });
});

function edit(file: string, changes: (string | RegExp)[][]) {
  let text = readFileSync(file, "utf8");
  for (const [from, to] of changes) {
    const changed = text.replace(from, to as string);
    assert.notEqual(changed, text, `${file} has no ${from}`);
    text = changed;
  }
  writeFileSync(file, text);
}
