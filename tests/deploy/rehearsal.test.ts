// ./scripts/deploy with the real wrangler, against a mock of Cloudflare's API: what it does, what it refuses, and that an
// interrupted deployment is finished by the same command. sweep.ts interrupts at every call; here it is a sample.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { sha256, TOKEN, type Mode } from "./cloudflare.ts";
import { BOTH, Checkout, deploy, FIXTURE, run, World } from "./rehearsal.ts";

const ROOT = resolve(import.meta.dirname, "../..");
before(() => { execFileSync("cargo", ["build", "--quiet", "--locked", "--package", "xtask"], { cwd: ROOT, stdio: "inherit" }); });

async function within(slug: string, story: (world: World) => Promise<void>) {
  const world = await World.start(slug);
  try { await story(world); } finally { await world.end(); }
}

// Two at a time: most of it is wrangler starting.
describe("rehearsal", { concurrency: 2 }, () => {
  describe("an account, from the first deployment to the teardown", { concurrency: 1 }, () => {
    let shop: World;
    before(async () => { shop = await World.start("shop"); shop.cloudflare.workers.clear(); });
    after(() => shop.end());

    test("a missing secret stops it before anything is changed, and the command that it names sets it, though the Worker is not there yet", async () => {
      const { status, out } = await shop.deploy();
      assert.equal(status, 1);
      assert.deepEqual(shop.cloudflare.calls.filter(({ method }) => method !== "GET"), []);
      const [command] = /npx wrangler secret put .*/.exec(out)!;
      const set = await run("sh", ["-c", `echo never-to-be-seen | ${command.replace("npx ", "")}`], shop.checkout.root, shop.cloudflare.env);
      assert.equal(set.status, 0, set.out);
      assert.equal([...shop.cloudflare.deployed("shop")[0].version.secrets].join(), "API_KEY,never-to-be-seen");
    });

    test("everything that the Workers need is created, and what was written by hand into the environment's file stays", async () => {
      const out = await shop.succeeds();
      assert.ok(!out.includes("never-to-be-seen") && !out.includes(TOKEN), out);
      const { workers, d1, domains, routes, queues } = shop.cloudflare.state;
      assert.deepEqual(workers.map(({ name, crons, classes, migrationTag }) => [name, crons, classes, migrationTag]), [["shop", [], [], null], ["shop-worker", ["*/5 * * * *"], ["Room"], "v1"]]);
      assert.deepEqual(workers[0].deployed[0].secrets, ["API_KEY"]);
      assert.deepEqual(workers[0].deployed[0].bindings.find(({ name }: any) => name === "GREETING"), { name: "GREETING", type: "plain_text", text: "good day" });
      const { files, ...config } = workers[0].deployed[0].assets as any;
      assert.deepEqual(config, { not_found_handling: "404-page", run_worker_first: ["/orders/*"], _headers: shop.checkout.file("patterns/shop/api/page/_headers") });
      assert.deepEqual(files.map(([path]: any) => path), ["/404.html", "/app.js", "/favicon.svg", "/index.html"]);
      for (const [path, hash] of files) {
        const { bytes, type } = shop.cloudflare.assets.get(hash)!;
        assert.equal(bytes.toString(), shop.checkout.file(`patterns/shop/api/page${path}`));
        assert.match(type, /^(image\/svg\+xml|text\/(html|javascript); charset=utf-8)$/);
      }
      assert.match(out, / static assets: 4 files, 1 KB gzip\n/);
      assert.deepEqual(d1[0].migrations, ["0001_orders.sql", "0002_notes.sql"]);
      assert.deepEqual(queues.map(({ name, consumers }) => [name, consumers.map((c) => [c.script, c.dead_letter_queue])]),
        [["shop-jobs", [["shop-worker", "shop-jobs-dead"]]], ["shop-jobs-dead", []]]);
      assert.deepEqual(domains, [{ hostname: "shop.example.com", service: "shop" }]);
      assert.deepEqual(routes, ["*.example.com/shop/*", "example.com/shop/*"].map((pattern) => ({ pattern, script: "shop" })));
      assert.match(out, /\*\.example\.com\/shop\/\* \(not asked\)/);
      assert.deepEqual(shop.cloudflare.visits, ["shop.example.com/ 200", "example.com/shop/ 200"]);
      const file = shop.checkout.file("environments/production.toml")!;
      assert.match(file, /# Ours\.\n\[workers\.shop\] # the front\n/);
      assert.match(file, /^account_id = "0123456789abcdef0123456789abcdef"$/m);
      shop.remembers();
    });

    test("the same again changes nothing but versions, and finds by name what the file has forgotten", async () => {
      const { state, kv } = shop.cloudflare, [id] = kv.keys();
      const versions = shop.cloudflare.workers.get("shop")!.versions.length;
      shop.checkout.write("environments/production.toml", shop.checkout.file("environments/production.toml")!.replace(id, "0".repeat(32)));
      const out = await shop.succeeds();
      assert.match(out, /Worker +shop +unchanged, deployed again,/);
      assert.deepEqual(shop.cloudflare.state, state);
      assert.equal(shop.cloudflare.workers.get("shop")!.versions.length, versions + 1);
      shop.remembers();
    });

    test("a Worker whose page changed is changed, and only what is new of it is uploaded", async () => {
      const index = "patterns/shop/api/page/index.html", page = shop.checkout.file(index)!, { calls } = shop.cloudflare, { length } = calls;
      const served = () => new Map(shop.cloudflare.deployed("shop")[0].version.assets), before = served();
      shop.checkout.write(index, page.replace("Shop", "A shop"));
      assert.match(await shop.succeeds(), /Worker +shop +changed,/);
      assert.equal(calls.slice(length).filter(({ path }) => path === "/workers/assets/upload").length, 1);
      assert.deepEqual([...served()].filter(([path, hash]) => before.get(path) !== hash).map(([path]) => path), ["/index.html"]);
      shop.checkout.write(index, page);
      await shop.succeeds();
      assert.deepEqual(served(), before);
    });

    test("a gradual deployment gives the new version its share and the old one the rest; without the option it is finished", async () => {
      const source = shop.checkout.file("patterns/shop/api/src/index.js")!;
      shop.checkout.write("patterns/shop/api/src/index.js", `${source}// changed\n`);
      const shares = () => shop.cloudflare.deployed("shop").map(({ percentage, version }) => [percentage, version.modules.get("index.js")!.toString().endsWith("// changed\n")]);
      const [untouched] = shop.cloudflare.deployed("shop-worker");
      await shop.succeeds("--gradual", "10");
      assert.deepEqual(shares(), [[10, true], [90, false]]);
      const { length } = shop.cloudflare.workers.get("shop")!.versions;
      await shop.succeeds("--gradual", "50");
      assert.deepEqual(shares(), [[50, true], [50, false]]);
      assert.equal(shop.cloudflare.workers.get("shop")!.versions.length, length, "uploaded twice");
      assert.deepEqual(shop.cloudflare.deployed("shop-worker"), [untouched]);
      await shop.succeeds();
      assert.deepEqual(shares(), [[100, true]]);

      const [{ version }] = shop.cloudflare.deployed("shop"), { annotations } = version.metadata;
      version.metadata.annotations = {};
      const { status, out } = await shop.deploy("--gradual", "10");
      version.metadata.annotations = annotations;
      assert.equal(status, 1);
      assert.match(out, /what answers for shop was not deployed from here/);
    });

    test("another environment has everything of its own, and none of production's addresses", async () => {
      const before = shop.cloudflare.state;
      shop.cloudflare.secret("shop-staging", "API_KEY");
      await shop.succeeds("--env", "staging");
      const all = shop.cloudflare.state, is = (staging: boolean) => (it: any) => (it.name ?? it.title ?? it).includes("staging") === staging;
      for (const kind of ["workers", "kv", "d1", "r2", "queues"] as const) {
        assert.deepEqual((all[kind] as any[]).filter(is(false)), before[kind], kind);
        assert.equal((all[kind] as any[]).filter(is(true)).length, before[kind].length, kind);
      }
      assert.deepEqual([all.domains, all.routes], [before.domains, before.routes]);
      assert.doesNotMatch(JSON.stringify(all.workers.filter(is(true))), /"shop-(?!staging|worker-staging|files-staging|jobs-staging|jobs-dead-staging)/);
      assert.equal(shop.cloudflare.visits.at(-1), "shop-staging.acme.workers.dev/ 200");
      shop.remembers("staging");

      await shop.succeeds("--env", "staging", "--teardown", "--yes");
      assert.deepEqual(shop.cloudflare.state, before);
      shop.remembers();
    });

    test("a public Worker may refuse strangers or have nothing there, but must not fail; a 404 of Cloudflare's own is awaited, and told", async () => {
      const { answers, visits } = shop.cloudflare, { length } = visits;
      answers.set("shop", 404);
      const own = await shop.succeeds("--gradual", "50"); // deploys nothing: all is unchanged
      assert.match(own, /Worker +shop +unchanged, \d/);
      assert.deepEqual(visits.slice(length), ["shop.example.com/ 404", "example.com/shop/ 404"]);
      assert.doesNotMatch(own, /warning/);
      shop.cloudflare.spreading = 2;
      assert.match(await shop.succeeds("--gradual", "50", "--wait", "0"), /404\n +warning: it has no x-request-id/);
      answers.set("shop", 503);
      const { status, out } = await shop.deploy("--gradual", "50", "--wait", "1");
      answers.clear();
      assert.equal(status, 1);
      assert.match(out, /Not done: ask https:\/\/shop\.example\.com\/.* 503/);
    });

    test("what is somebody else's is not taken: a domain of another Worker, an environment of another account", async () => {
      const before = shop.cloudflare.state, domain = [...shop.cloudflare.domains.values()][0];
      domain.service = "blog";
      const taken = await shop.deploy();
      domain.service = "shop";
      assert.equal(taken.status, 1);
      assert.match(taken.out, /shop\.example\.com leads to the Worker blog/);
      const other = await deploy(shop.checkout, ["shop"], { ...shop.cloudflare.env, CLOUDFLARE_ACCOUNT_ID: "f".repeat(32) });
      assert.equal(other.status, 1);
      assert.match(other.out, /an environment is in one account/);
      const stranger = await deploy(shop.checkout, ["shop"], { ...shop.cloudflare.env, CLOUDFLARE_API_TOKEN: "wrong" });
      assert.equal(stranger.status, 1);
      assert.match(stranger.out, /nothing was changed: GET .*: 401 Authentication error/);
      assert.deepEqual(shop.cloudflare.state, before);
    });

    test("a teardown asks, keeps a bucket that is not empty, and run again ends with nothing left", async () => {
      const { r2, kv, d1 } = shop.cloudflare, file = "environments/production.toml", [database] = d1.keys();
      shop.checkout.write(file, shop.checkout.file(file)!.replace(database, "f".repeat(database.length)));
      kv.clear(); // by an interrupted teardown, say
      const before = shop.cloudflare.state, written = shop.checkout.file(file);
      const unchanged = () => assert.deepEqual([shop.cloudflare.state, shop.checkout.file(file)], [before, written]);
      const planned = await shop.succeeds("--teardown", "--dry-run");
      assert.match(planned, /D1 database shop and what is in it \(found by name, not recorded in environments\/production\.toml\)\n/);
      assert.match(planned, /R2 bucket shop-files and what is in it \(found by name\)\n/);
      assert.match(planned, /the id of KV namespace shop-PLANS, which is gone, from environments\/production\.toml\n/);
      unchanged();
      const asked = await shop.deploy("--teardown");
      assert.equal(asked.status, 1);
      assert.match(asked.out, /D1 database shop and what is in it[^]*without a terminal to ask on, say --yes/);
      unchanged();
      shop.cloudflare.missing = "/storage/kv/namespaces";
      const lost = await shop.deploy("--teardown", "--yes");
      shop.cloudflare.missing = undefined;
      assert.equal(lost.status, 1);
      assert.match(lost.out, /nothing was changed: GET \/storage\/kv\/namespaces\S*: 404/);
      unchanged();

      r2.get("shop-files")!.objects.set("a.txt", "precious");
      const kept = await shop.deploy("--teardown", "--yes");
      assert.equal(kept.status, 1);
      assert.match(kept.out, /The bucket you tried to delete is not empty[^]*/);
      assert.deepEqual(r2.get("shop-files")!.objects.get("a.txt"), "precious");
      r2.get("shop-files")!.objects.clear();
      await shop.succeeds("--teardown", "--yes");
      assert.deepEqual(Object.values(shop.cloudflare.state).flat(), []);
      shop.remembers();
      assert.match(await shop.succeeds("--teardown", "--yes"), /nothing of production is in account/);
    });
  });

  // Of each deployment one call that changes something and one that reads, others in each run.
  test("an interrupted deployment, run again, ends as if nothing had happened", { concurrency: 1 }, async (t) => {
    let seed = Number(process.env.EDGE_SEED ?? randomInt(1, 2147483647));
    t.diagnostic(`EDGE_SEED=${seed} takes this sample again`);
    const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
    const samples: { slug: string; at: number; mode: Mode; call: string; state: unknown }[] = [];
    for (const slug of ["machine-gateway", "shop"]) await within(slug, async (world) => {
      const { calls, state } = await world.reference();
      const numbered = calls.map(({ method, path }, at) => ({ at, call: `${method} ${path.replace(/[0-9a-f-]{32,}/, "…")}`, changes: method !== "GET" }));
      for (const some of [true, false]) {
        const pool = numbered.filter(({ changes }) => changes === some), { at, call } = pool[random(pool.length)];
        samples.push({ slug, at, call, mode: BOTH[random(2)], state });
      }
    });
    await Promise.all(samples.map(({ slug, at, mode, call, state }) => t.test(`${slug}, ${mode} ${call}`, () => within(slug, async (world) => {
      await world.interrupted(at, mode);
      assert.deepEqual(world.cloudflare.state, state);
      world.remembers();
    }))));
  });

  test("a dry run without an account prints the plan, and says what it does not know", async () => {
    const checkout = new Checkout();
    try {
      const { status, out } = await deploy(checkout, ["machine-gateway", "--dry-run"], { HOME: checkout.root }); // where nobody has logged in
      assert.equal(status, 0, out);
      assert.match(out, /no account, so nothing was looked up/);
      for (const what of ["D1 database +machine-gateway-orders", "R2 bucket +machine-gateway-reports", "KV namespace +machine-gateway-POLICY"])
        assert.match(out, new RegExp(`${what} +create, if it is not there`));
      assert.match(out, /apply 0001_orders\.sql/);
      const at = ["-orders", "-reports", " "].map((which) => out.indexOf(`Worker         machine-gateway${which}`));
      assert.deepEqual([at, Math.min(...at) >= 0], [at.toSorted((a, b) => a - b), true], out);
      assert.ok(at[0] < out.indexOf("Worker         machine-gateway-nightly"), out);
      assert.equal(checkout.file("environments/production.toml"), undefined);
      const refused = await deploy(checkout, ["machine-gateway"], { HOME: checkout.root });
      assert.equal(refused.status, 1);
      assert.match(refused.out, /no account: set CLOUDFLARE_API_TOKEN/);
    } finally {
      checkout.remove();
    }
  });

  test("tiny-api: what is uploaded is what was built, byte for byte, and bound to what was created", () => within("tiny-api", async (world) => {
    const { cloudflare, checkout } = world;
    const planned = await world.succeeds("--dry-run");
    assert.match(planned, /KV namespace +tiny-api-PLANS +create\n/);
    assert.deepEqual(cloudflare.calls.filter(({ method }) => method !== "GET"), []);
    assert.equal(checkout.file("environments/production.toml"), undefined);

    cloudflare.spreading = 1;
    const out = await world.succeeds();
    const build = join(checkout.root, "patterns/tiny-api/build"), [{ version, percentage }] = cloudflare.deployed("tiny-api");
    assert.equal(percentage, 100);
    assert.deepEqual([...version.modules.keys()].sort(), readdirSync(build).sort());
    for (const [name, bytes] of version.modules) assert.ok(bytes.equals(readFileSync(join(build, name))), name);
    assert.ok(out.includes(sha256(version.modules.get("index_bg.wasm")!)));
    assert.deepEqual(cloudflare.visits, ["tiny-api.acme.workers.dev/ 404", "tiny-api.acme.workers.dev/ 200"]);
    assert.doesNotMatch(out, /warning/);
    world.remembers();
    assert.ok(!out.includes(TOKEN));
  }));

  test("machine-gateway: the gateway is bound to what was created, and the internal Workers have no route, no domain and no address", () => within("machine-gateway", async (world) => {
    const { cloudflare, checkout } = world;
    await world.succeeds();
    const { workers, domains, routes } = cloudflare.state;
    assert.deepEqual(workers.map(({ name, workersDev, previews }) => ({ name, workersDev, previews })),
      ["", "-nightly", "-orders", "-reports"].map((which) => ({ name: `machine-gateway${which}`, workersDev: false, previews: false })));
    assert.deepEqual(workers.map(({ crons }) => crons), [[], ["0 3 * * *"], [], []]);
    assert.deepEqual(domains, [{ hostname: "api.example.com", service: "machine-gateway" }]);
    assert.deepEqual(routes, []);
    const [{ classes, migrationTag, deployed: [{ bindings }] }] = workers;
    assert.deepEqual([classes, migrationTag], [["Nonces"], "v1"]);
    assert.deepEqual(bindings.filter(({ type }: any) => type !== "plain_text"), [
      { name: "LIMITER", type: "ratelimit", namespace_id: "1001", simple: { limit: 1000, period: 10 } },
      { name: "NONCES", type: "durable_object_namespace", class_name: "Nonces" },
      { name: "ORDERS", type: "service", service: "machine-gateway-orders" },
      { name: "POLICY", type: "kv_namespace", namespace_id: "KV machine-gateway-POLICY" },
      { name: "REPORTS", type: "service", service: "machine-gateway-reports", entrypoint: "Reports" }]);

    checkout.write("environments/production.toml", '[workers.machine-gateway-orders]\nroutes = ["orders.example.com/*"]\n');
    const { status, out } = await deploy(checkout, ["machine-gateway"], cloudflare.env);
    assert.equal(status, 1);
    assert.match(out, /machine-gateway-orders is internal, it gets no route/);
  }));

  test("machine-gateway: without an address it is refused before anything is changed, with the lines to write", () => within("machine-gateway", async (world) => {
    const { cloudflare, checkout } = world, staging = ["--env", "staging"];
    const { status, out } = await world.deploy(...staging);
    assert.equal(status, 1);
    const [, lines] = /without any address in staging; nothing was changed\. Write into environments\/staging\.toml, .*:\n\n([^]*)/.exec(out)!;
    assert.deepEqual(cloudflare.calls.filter(({ method }) => method !== "GET"), []);
    assert.equal(checkout.file("environments/staging.toml"), undefined);
    checkout.write("environments/staging.toml", lines.replace("api.", "staging."));
    await world.succeeds(...staging);
    world.remembers("staging");
  }));

  test("Workers that bind to each other in a circle are refused, with the reason", async () => {
    const checkout = new Checkout(FIXTURE);
    try {
      const file = "patterns/shop/worker/wrangler.toml";
      checkout.write(file, `services = [{ binding = "BACK", service = "shop" }]\n${checkout.file(file)}`);
      const { status, out } = await deploy(checkout, ["shop", "--dry-run"], { HOME: checkout.root });
      assert.equal(status, 1);
      assert.match(out, /shop binds to shop-worker, shop-worker binds to shop: none of them can be the first/);
    } finally {
      checkout.remove();
    }
  });

  test("an id in a wrangler.toml is refused, with the place where it belongs, and so are names that nothing has or nothing can have", async () => {
    const checkout = new Checkout(FIXTURE);
    try {
      const file = "patterns/shop/api/wrangler.toml", id = "0123456789abcdef0123456789abcdef";
      checkout.write(file, checkout.file(file)!.replace("0".repeat(32), id));
      const { status, out } = await deploy(checkout, ["shop", "--dry-run"], { HOME: checkout.root });
      assert.equal(status, 1);
      const [, lines] = /api\/wrangler\.toml: put zeros for the id there, and write into environments\/production\.toml:\n\n([^]*)/.exec(out)!;
      checkout.write(file, checkout.file(file)!.replace(id, "0".repeat(32)));
      checkout.write("environments/production.toml", lines);
      const taken = await deploy(checkout, ["shop", "--dry-run"], { HOME: checkout.root });
      assert.equal(taken.status, 0, taken.out);
      for (const [wrong, why] of [
        ["[workers.shpo]", /environments\/staging\.toml: no Worker is named shpo/],
        ['[workers.shop]\nvars = { GRETING = "hi" }', /shop has no variable GRETING in the \[vars\] of its wrangler\.toml; there are: GREETING, LIMITS/],
        [`[kv_namespaces]\nPLANS = "${id}"`, /no Worker has PLANS, which is in \[kv_namespaces\]; there are: shop-staging-PLANS/],
        [`[d1_databases]\nshop = "${id}"`, /no Worker has shop, which is in \[d1_databases\]; there are: shop-staging\n/],
      ] as const) {
        checkout.write("environments/staging.toml", `${wrong}\n`);
        const { status, out } = await deploy(checkout, ["shop", "--dry-run", "--env", "staging"], { HOME: checkout.root });
        assert.equal(status, 1, wrong);
        assert.match(out, why);
      }
      checkout.write("environments/staging.toml", '[workers.shop]\nroutes = ["https://example.com/a*", "https://*.example.com/*", "example.com"]\n');
      const asked = await deploy(checkout, ["shop", "--dry-run", "--env", "staging"], { HOME: checkout.root });
      assert.match(asked.out, / https:\/\/example\.com\/a https:\/\/example\.com\/ https:\/\/\*\.example\.com\/\* \(not asked\)\n/);
      const named = await deploy(checkout, ["shop", "--dry-run", "--env", "../secret"], { HOME: checkout.root });
      assert.equal(named.status, 1);
      assert.match(named.out, /no name for an environment/);
    } finally {
      checkout.remove();
    }
  });

  test("a database that has another name is taken by the id in the environment's file", () => within("tiny-api", async (world) => {
    const { cloudflare, checkout } = world;
    const made = await run("wrangler", ["d1", "create", "old-name"], checkout.root, cloudflare.env);
    assert.equal(made.status, 0, made.out);
    const [id] = cloudflare.d1.keys();
    checkout.write("environments/production.toml", `[d1_databases]\ntiny-api = "${id}"\n`);
    await world.succeeds();
    assert.deepEqual(cloudflare.state.d1.map(({ name, migrations }) => [name, migrations]), [["old-name", ["0001_signups.sql"]]]);
    assert.equal(cloudflare.deployed("tiny-api")[0].version.metadata.bindings.find(({ type }: any) => type === "d1").id, id);
  }));

  test("without the tests' shortcut every Worker is built first, and one that is not is not deployed", async () => {
    const checkout = new Checkout(FIXTURE);
    try {
      const { out } = await deploy(checkout, ["shop", "--dry-run"], { HOME: checkout.root, EDGE_BUILT: "" });
      assert.equal(checkout.file("patterns/shop/built"), "", out);
      checkout.write("patterns/shop/api/wrangler.toml", checkout.file("patterns/shop/api/wrangler.toml")!.replace("touch ../built", "echo broken; false"));
      const failed = await deploy(checkout, ["shop", "--dry-run"], { HOME: checkout.root, EDGE_BUILT: "" });
      assert.equal(failed.status, 1);
      assert.match(failed.out, /broken\n[^]*shop is not built/);
    } finally {
      checkout.remove();
    }
  });
});
