// A pattern leaves: as a project of its own, made by ./scripts/new, and as a folder beside it, copied by hand as its README
// says. Each project then passes the whole of its own ./scripts/test, and what was copied by hand a part of it.
//
// What is made is put over what an earlier run made, in target/copies, and only what differs is written: cargo and
// scripts/build then have as little to do as after any other change. Crates that are the checkout's, byte for byte, are not
// built again: see `tellApart`. A copy is all that its tests depend on, so one that has not changed since it passed is not
// tested again; on CI, where nothing is left of an earlier run, all are.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { hash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { after, describe, test } from "node:test";
import { toolsFor } from "./tools.ts";

const root = join(import.meta.dirname, ".."), target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
const made = mkdtempSync(join(tmpdir(), "copy-"));
after(() => rmSync(made, { recursive: true }));

/** Folders of what is built, downloaded or git's own, in a checkout and in a copy. (In a worktree, .git is a file.) */
const NOT_SOURCES = /^(\.edge|\.git|\.tools|\.wrangler|build|build-abort|build-page|node_modules|target)$/;
const files = (folder: string, below = ""): string[] => readdirSync(join(folder, below), { withFileTypes: true })
  .filter((entry) => !(entry.isDirectory() && NOT_SOURCES.test(entry.name)) && ![".git", ".dev.vars"].includes(entry.name))
  .flatMap((entry) => (entry.isDirectory() ? files(folder, join(below, entry.name)) : [join(below, entry.name)])).sort();
/** What is the project's, without an editor's folder or a note that happens to lie there; all of it in a checkout without git. */
const committed = () => (existsSync(join(root, ".git"))
  ? execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" }).trim().split("\n") : files(root));
const read = (...path: string[]) => readFileSync(join(...path), "utf8");
const edit = (file: string, from: string | RegExp, to: string) => {
  const text = read(file), changed = text.replace(from, to);
  assert.notEqual(changed, text, `${file} has no ${from}`);
  writeFileSync(file, changed);
};

const scriptsNew = (...args: string[]) => spawnSync(join(root, "scripts/new"), args, { cwd: made, encoding: "utf8" });
/** From this folder, whichever it is. */
const newFrom = (from: string, ...args: string[]) =>
  spawnSync(join(target, "debug/xtask"), ["new", "--root", from, ...args], { cwd: made, encoding: "utf8" });

const COPIES = [
  { slug: "tiny-api", name: "order-desk", args: [], standIns: ["faults", "workers.d.ts"], crates: ["edge-http", "xtask"],
    npm: ["node", "wrangler"] },
  { slug: "machine-gateway", name: "door-for-machines-that-order", args: ["--name", "door-for-machines-that-order"],
    standIns: ["access", "faults", "workers.d.ts"], crates: ["access-jwt", "edge-http", "http-signatures", "jws", "xtask"], npm: ["jose", "node", "wrangler"] },
  { slug: "chat-room", name: "parley", args: ["--name", "parley"], standIns: ["faults", "workers.d.ts"], crates: ["edge-http", "jws", "xtask"],
    npm: ["node", "wrangler"] },
];

for (const { slug, name, args, standIns, crates, npm } of COPIES) describe(`a project made from ${slug}`, () => {
  const dest = args.length ? `${name}-project` : name, project = join(made, dest);

  test("is made by one command, relative to where the caller is", () => {
    const { status, stderr, stdout } = scriptsNew(slug, dest, ...args);
    assert.equal(status, 0, stderr);
    assert.match(stdout, new RegExp(`cd ${dest}\n`));
  });
  test("has what it needs, and nothing of the other patterns", () => {
    const stays = [".ci", "CONTRIBUTING.md", "docs", "environments"], entries = new Set(committed().map((file) => file.split("/")[0]));
    assert.deepEqual(readdirSync(project).sort(), [...entries].filter((entry) => !stays.includes(entry)).sort());
    assert.deepEqual(readdirSync(join(project, "patterns")), [name]);
    assert.deepEqual(readdirSync(join(project, "crates")), crates);
    assert.deepEqual(readdirSync(join(project, "wrangler/local")), standIns);
    assert.deepEqual(readdirSync(join(project, "scripts")), ["build", "check", "deploy", "dev", "setup", "test"]);
    const packages = Object.keys(JSON.parse(read(project, "package.json")).devDependencies);
    assert.deepEqual(["hono", "jose", "node", "wrangler"].filter((name) => packages.includes(name)), npm);
  });
  test("has its new name everywhere, in every way of writing it", () => {
    const old = new RegExp(`${slug.replaceAll("-", "[-_ ]?")}|edge.patterns`, "i");
    for (const file of files(project)) {
      assert.doesNotMatch(file, old);
      if (file !== "LICENSE-MIT") for (const line of read(project, file).split("\n")) assert.doesNotMatch(line, old, file); // names the authors
    }
  });
  test("has no link that leads nowhere", () => {
    for (const file of files(project).filter((f) => f.endsWith(".md"))) for (const [link, to] of read(project, file).matchAll(/\]\(([^)]*)\)/g)) {
      if (/^https?:/.test(to)) continue;
      const [path, section] = to.split("#"), at = path ? join(project, dirname(file), path) : join(project, file);
      assert.ok(existsSync(at), `${file}: ${link}`);
      const sections = section ? [...read(at).matchAll(/^#+ (.*)$/gm)].map(([, title]) => title.toLowerCase().replaceAll(" ", "-")) : [];
      assert.ok(!section || sections.includes(section), `${file}: ${link}`);
    }
  });
  test("is whole in a new git repository, with its scripts executable", () => {
    const git = (...args: string[]) => execFileSync("git", args, { cwd: project, encoding: "utf8" });
    git("init", "--quiet");
    git("add", "--all");
    const modes = new Map(git("ls-files", "--stage").trim().split("\n").map((line) => [line.split("\t")[1], line.slice(0, 6)]));
    assert.deepEqual([...modes.keys()].sort(), files(project));
    for (const file of files(project).filter((f) => f.startsWith("scripts/")))
      assert.equal(modes.get(file), statSync(join(root, file)).mode & 0o100 ? "100755" : "100644", file);
  });
  test("passes its own ./scripts/test, the whole of it", () => runTests(project, name));
});

describe("a pattern copied by hand", () => {
  const workspace = join(made, "workspace");
  const section = (slug: string) => /^## Copy$(.*?)^## /ms.exec(read(root, "patterns", slug, "README.md"))![1];
  const blocks = (slug: string, language: string) =>
    [...section(slug).matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "gms"))].map(([, block]) => block);

  test("takes the command and four lines that tiny-api's README shows", () => {
    for (const file of files(root)) cpSync(join(root, file), join(workspace, file));
    for (const block of blocks("tiny-api", "sh")) execFileSync("sh", ["-ec", block], { cwd: workspace });
    let file = "", changed = 0;
    for (const line of blocks("tiny-api", "toml").join("").trim().split("\n")) {
      if (line.startsWith("#")) file = join(workspace, line.slice(2));
      else {
        edit(file, new RegExp(`^${line.split(" ")[0]} = .*$`, "m"), line);
        changed++;
      }
    }
    assert.equal(changed, 4);
  });
  test("takes the two commands that machine-gateway's README shows", () => {
    for (const block of blocks("machine-gateway", "sh")) execFileSync("sh", ["-ec", block], { cwd: workspace });
  });
  test("takes the commands that CONTRIBUTING begins a pattern with", () => {
    const commands = /^ +```sh\n(.*?)^ +```/ms.exec(read(root, "CONTRIBUTING.md"))![1].trim().split(/\n */);
    assert.equal(commands.pop(), "./scripts/test shortener");
    execFileSync("sh", ["-ec", commands.join("\n")], { cwd: workspace });
  });
  test("passes its own ./scripts/test, of machine-gateway's with the two files that reach every Worker and every address", () => {
    // What the first build of the copied folders adds to Cargo.lock; here, so that an unchanged one is not written again.
    execFileSync("cargo", ["update", "--workspace", "--offline", "--quiet"], { cwd: workspace });
    // All the others, under another name too, are the project's above.
    const tests = join(workspace, "patterns/my-gateway/tests"), kept = ["clients.test.ts", "design-rules.test.ts"];
    for (const file of readdirSync(tests)) if (file.endsWith(".test.ts") && !kept.includes(file)) rmSync(join(tests, file));
    runTests(workspace, "my-api", "my-gateway", "shortener");
  });
});

describe("./scripts/new", () => {
  const nothing = join(made, "nothing");
  const refused = (says: RegExp, ...args: string[]) => {
    const before = readdirSync(made), { status, stderr } = scriptsNew(...args);
    assert.notEqual(status, 0);
    assert.match(stderr, says);
    assert.deepEqual(readdirSync(made), before, "leaves nothing behind");
  };
  test("refuses what it cannot make, and says why", () => {
    refused(/no pattern tiny; there are: .*tiny-api/, "tiny", "nothing");
    refused(/"Nothing" cannot name a Worker and a crate/, "tiny-api", "Nothing");
    refused(/match is a word that Rust keeps/, "tiny-api", "nothing", "--name", "match");
    refused(/serde is the name of a crate that the project needs/, "tiny-api", "nothing", "--name", "serde");
    refused(/there is no folder .*nowhere to put it in/, "tiny-api", "nowhere/nothing");
    refused(/lies in this checkout/, "tiny-api", join(root, "target/nothing"));
    refused(/exists already, and is not an empty folder/, "tiny-api", made, "--name", "nothing");
  });
  test("works from a checkout without git, into an empty folder, and takes no id and no build along", () => {
    const checkout = join(made, "checkout"), worker = join(checkout, "patterns/tiny-api");
    for (const file of files(root)) cpSync(join(root, file), join(checkout, file));
    edit(join(worker, "wrangler.toml"), /^id = .*$/m, 'id = "4f0c96b1d4d84a6fb2a3e7c05be1c0de"');
    mkdirSync(join(worker, "build"));
    writeFileSync(join(worker, "build/index.js"), "");
    writeFileSync(join(worker, ".dev.vars"), "SECRET=mine");
    mkdirSync(nothing);
    const { status, stderr } = newFrom(checkout, "tiny-api", "nothing", "--name", "order-desk");
    assert.equal(status, 0, stderr);
    assert.equal(scriptsNew("tiny-api", "something", "--name", "order-desk").status, 0);
    const everything = (folder: string) => readdirSync(join(made, folder), { recursive: true, encoding: "utf8" }).sort();
    assert.deepEqual(everything("nothing"), everything("something"));
    for (const file of files(nothing)) assert.equal(read(nothing, file), read(made, "something", file), file);
  });
  test("renames a pattern that is called like a common word, and leaves the word alone", () => {
    const checkout = join(made, "checkout"), flags = join(checkout, "patterns/flags"), project = join(made, "my-flags");
    const kept = ["pub fn flags(flags: u8) -> u8 {", "    flags"];
    for (const file of files(join(root, "patterns/tiny-api"))) {
      mkdirSync(dirname(join(flags, file)), { recursive: true });
      writeFileSync(join(flags, file), read(root, "patterns/tiny-api", file).replaceAll("tiny-api", "flags"));
    }
    edit(join(flags, "src/domain.rs"), "#[cfg(test)]", `${kept.join("\n")}\n}\n\n#[cfg(test)]`);
    const { status, stderr } = newFrom(checkout, "flags", "my-flags");
    assert.equal(status, 0, stderr);
    const copy = join(project, "patterns/my-flags"), lines = files(copy).flatMap((file) => read(copy, file).split("\n"));
    assert.deepEqual(lines.filter((line) => /(?<!my[- ])\bflags\b/i.test(line)), kept);
    // The lock file fits, and names no version that the checkout's does not.
    execFileSync("cargo", ["metadata", "--locked", "--offline", "--format-version", "1"], { cwd: project, stdio: "pipe" });
    const packages = (folder: string) => new Set(read(folder, "Cargo.lock").match(/^name = .*\nversion = .*$/gm));
    assert.deepEqual([...packages(project).difference(packages(checkout))], ['name = "my-flags"\nversion = "0.1.0"']);
    const checked = spawnSync(join(target, "debug/xtask"), ["check", "--rules", "--root", project], { encoding: "utf8" });
    assert.equal(checked.status, 0, checked.stderr);
  });
  test("that fails half-way leaves nothing behind", () => {
    const checkout = join(made, "checkout"), before = readdirSync(made);
    writeFileSync(join(checkout, "patterns/tiny-api/src/lib.rs"), "fn {");
    const { status, stderr } = newFrom(checkout, "tiny-api", "half");
    assert.equal(status, 1);
    assert.match(stderr, /cargo fmt fails in the new project:\n[^]*lib\.rs/);
    assert.deepEqual(readdirSync(made), before);
  });
});

/** The folder's own ./scripts/test, with these arguments; the whole of it, when `slugs` are all its patterns. */
function runTests(folder: string, ...slugs: string[]) {
  const kept = join(target, "copies", basename(folder));
  const whole = readdirSync(join(folder, "patterns")).length === slugs.length;
  const passed = `${kept}.passed`;
  tellApart(folder);
  put(folder, kept);
  const sources = fingerprint(kept);
  if (!process.env.CI && existsSync(passed) && read(passed) === sources) return console.log(`${relative(root, kept)}: has not changed since it passed`);
  npmPackages(kept);
  const EDGE_TOOLS = toolsFor(kept);
  const { NODE_TEST_CONTEXT: _, EDGE_BUILT: __, EDGE_ROOT: ___, CI: ____, ...outside } = process.env;
  const started = Date.now();
  const { status, stdout, stderr } = spawnSync("./scripts/test", whole ? [] : slugs, {
    cwd: kept, encoding: "utf8", maxBuffer: 1 << 26, env: { ...outside, EDGE_TOOLS, CARGO_TARGET_DIR: target, STORM_REQUESTS: "1000" }, // the storm itself is the original's
  });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  assert.match(stdout, /== all passed/);
  writeFileSync(passed, sources);
  console.log(`${relative(root, kept)}: ${Math.round((Date.now() - started) / 1000)} s:${stdout.match(/(?<=== ).*/g)!.map((part) => ` ${part}`)}`);
}

/** Is this file of a copy the checkout's, byte for byte? */
const isOurs = (folder: string, file: string) => existsSync(join(root, file)) && readFileSync(join(root, file)).equals(readFileSync(join(folder, file)));

/** Cargo tells packages apart by name, version and path in the workspace, and takes two files of the same age for the same. So a
 *  package of which any file is not the checkout's gets a version of its own, and the others keep theirs (and their age, in
 *  `put`): what cargo made of those for the checkout, for whichever purpose, is good for the copies. */
function tellApart(folder: string) {
  const manifests = files(folder).filter((file) => basename(file) === "Cargo.toml" && file.includes("/") && existsSync(join(root, file)));
  for (const at of manifests.map(dirname)) {
    if (files(folder, at).every((file) => isOurs(folder, file))) continue;
    const version = `"0.1.0-${basename(folder)}"`, [, name] = /^name = "(.*)"/m.exec(read(folder, at, "Cargo.toml"))!;
    edit(join(folder, at, "Cargo.toml"), "version.workspace = true", `version = ${version}`);
    edit(join(folder, "Cargo.lock"), `name = "${name}"\nversion = "0.1.0"`, `name = "${name}"\nversion = ${version}`);
  }
}

/** Makes the sources in `to` those of `from`, and writes what differs. */
function put(from: string, to: string) {
  mkdirSync(to, { recursive: true });
  const now = files(from), gone = new Set(files(to)).difference(new Set(now));
  for (const file of gone) rmSync(join(to, file));
  for (const file of now) {
    const same = existsSync(join(to, file)) && readFileSync(join(to, file)).equals(readFileSync(join(from, file)));
    if (!same) cpSync(join(from, file), join(to, file));
    if (!isOurs(from, file)) continue;
    const { atime, mtime } = statSync(join(root, file));
    utimesSync(join(to, file), atime, mtime);
  }
}

/** The same of two folders only if all their sources are. */
const fingerprint = (folder: string) =>
  hash("sha256", JSON.stringify(files(folder).map((file) => [file, hash("sha256", readFileSync(join(folder, file)))])));

/** What `npm ci` would bring: a part of what the checkout has. */
function npmPackages(project: string) {
  const lock = read(project, "package-lock.json"), installed = join(project, "node_modules");
  const { packages } = JSON.parse(lock), { packages: ours } = JSON.parse(read(root, "package-lock.json"));
  for (const path of Object.keys(packages)) if (path) assert.deepEqual(packages[path], ours[path], path);
  if (existsSync(join(installed, ".edge-lock.json")) && read(installed, ".edge-lock.json") === lock) return;
  rmSync(installed, { recursive: true, force: true });
  execFileSync("cp", ["-al", join(root, "node_modules"), `${installed}.new`]); // links: no copy of 300 MB
  for (const path of Object.keys(ours)) if (!(path in packages)) rmSync(join(`${installed}.new`, relative("node_modules", path)), { recursive: true, force: true });
  rmSync(join(`${installed}.new`, ".edge-lock.json"));
  writeFileSync(join(`${installed}.new`, ".edge-lock.json"), lock);
  renameSync(`${installed}.new`, installed);
}
