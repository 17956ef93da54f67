// One record for each decision, what the anonymous cost, the rate limit, and what nobody can say from outside.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fingerprint } from "../../../tests/harness/certificates.ts";
import { startPattern } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { ACME, base64, ED25519, HMAC, JWT, jwt, LOCAL_ID, LOCAL_TOKEN, policy, READERS, signed } from "./callers.ts";
import { ask, type Asked, askOverTls, counted, decision, type Got, LOCAL_AUDIENCE, ORDER, signedFor, startControlled, told } from "./gate.ts";
import { identity } from "./inside.ts";
import { ALICE, AUDIENCE, BOB, startWith, Team } from "./team.ts";

const post = (stack: Stack, more: object = {}) => signedFor(stack, { method: "POST", body: ORDER, ...more });

// All at once, each before a gateway of its own, since most of it is waiting: for slow bodies, for what hangs, for the limit's end.
describe("decisions", { concurrency: true }, () => {
  describe("the record of a decision", { concurrency: 1 }, () => {
    let team: Team, stack: Stack;
    before(async () => {
      team = await Team.start();
      stack = await startWith(team, { vars: { PRINCIPALS: JSON.stringify(policy([ALICE])) }, faults: true });
    });
    after(async () => { await stack?.close(); await team?.down(); });
    const bearer = (how: object = {}) => ({ authorization: `Bearer ${jwt({ audience: AUDIENCE, ...how })}` });
    const assertion = async (common_name: string) => ({ "cf-access-jwt-assertion": await team.token({ claims: { common_name } }) });
    const READ = { scope: "orders:read", outcome: "allowed" }, WRITE = { scope: "orders:write", outcome: "allowed" };
    const signer = { proof: "http-signature", principal: ACME, credential: HMAC.keyid }, reader = { ...signer, principal: "reader", credential: READERS.keyid };

    const DECIDED: [string, () => Asked | Promise<Asked>, number, Record<string, string>][] = [
      ["a read by an Access token", async () => ({ headers: await assertion(ALICE) }), 200, { proof: "access", principal: "alice", credential: ALICE, ...READ }],
      ["a read by HMAC", () => signedFor(stack), 200, { ...signer, ...READ }],
      ["a write by HMAC", () => post(stack), 201, { ...signer, ...WRITE }],
      ["a write by Ed25519", () => post(stack, { by: ED25519 }), 201, { ...signer, credential: ED25519.keyid, ...WRITE }],
      ["a read by a JWT", () => ({ headers: bearer() }), 200, { proof: "jwt", principal: ACME, credential: JWT.kid, ...READ }],
      ["a path that is none", () => signedFor(stack, { path: "/v1/nowhere" }), 404, { ...signer, outcome: "allowed", reason: "no such route" }],
      ["a method that is none", () => signedFor(stack, { method: "DELETE" }), 405, { ...signer, outcome: "allowed", reason: "no such route" }],
      ["a write that orders refuses", () => post(stack, { body: "{}" }), 422, { ...signer, ...WRITE }],
      ["a report", () => post(stack, { path: "/v1/reports", body: "{}" }), 201, { ...signer, scope: "reports:write", outcome: "allowed" }],
      ["a report that is not there", () => signedFor(stack, { path: "/v1/reports/00000000-0000-0000-0000-000000000000" }), 404,
        { ...signer, scope: "reports:read", outcome: "allowed" }],
      ["nobody", () => ({}), 401, { outcome: "refused", reason: "anonymous" }],
      ["an Access token of a machine that is not listed", async () => ({ headers: await assertion(BOB) }), 401,
        { proof: "access", outcome: "refused", reason: "the credential is of no principal" }],
      ["garbage for a token", () => ({ headers: { authorization: "Bearer garbage" } }), 401,
        { proof: "jwt", outcome: "refused", reason: "the token is malformed" }],
      ["a wrong signature", () => post(stack, { by: { ...HMAC, secret: READERS.secret } }), 401,
        { proof: "http-signature", outcome: "refused", reason: "the signature is wrong" }],
      ["another body than the one that was signed", () => ({ ...post(stack), body: "{}" }), 401,
        { ...signer, scope: "orders:write", outcome: "refused", reason: "a digest is not the content's" }],
      ["a scope that is not granted", () => post(stack, { by: READERS }), 403,
        { ...reader, scope: "orders:write", outcome: "refused", reason: "the scope is not granted" }],
      ["a body that is too long", () => post(stack, { body: ORDER.padEnd((16 << 10) + 1) }), 413,
        { ...signer, scope: "orders:write", outcome: "refused", reason: "the body is too long" }],
      ["a path that is too long", () => ({ path: `/${"x".repeat(3000)}` }), 414, { outcome: "refused", reason: "the head is too large" }],
      ["too many headers", () => ({ headers: Object.fromEntries(Array.from({ length: 70 }, (_, i) => [`x-${i}`, "1"])) }), 431,
        { outcome: "refused", reason: "the head is too large" }],
    ];
    for (const [what, request, status, expected] of DECIDED) test(`of ${what} is one line with who, by what, which scope, what came of it and why`, async () => {
      const got = await ask(stack, await request()), { level, event, method, route, ms, request_id, trace_id, status: logged,
        ...record } = await decision(stack, got);
      assert.deepEqual([got.status, logged, event, level, request_id], [status, status, "request", "info", got.headers["x-request-id"]], got.text);
      assert.deepEqual(record, expected);
    });
    test("of a body that does not come within ten seconds is a refusal, too", async () => {
      const { headers, ...asked } = post(stack), got = await ask(stack, { ...asked, headers: { ...headers, "content-length": String(ORDER.length + 1) } });
      assert.deepEqual([got.status, await told(stack, got)], [408, "408 the body is too slow"]);
    });
    test("of a copy says that it is one, and of an object that fails that nothing was decided", async () => {
      const asked = post(stack);
      await ask(stack, asked);
      const { reason } = await decision(stack, await ask(stack, asked));
      assert.equal(reason, "replay");
      await (await stack.rpc("faults")).arm("nonces", "fail");
      const { level, outcome, reason: why, cause } = await decision(stack, await ask(stack, post(stack)));
      assert.deepEqual([level, outcome, why], ["error", "failed", "a service does not answer"]);
      assert.match(String(cause), /provoked at nonces/);
    });
    test("holds no secret, no token, no signature and no body, nor does any other line", () => {
      assert.ok(stack.logs.length > DECIDED.length, "there is a log");
      const secrets = [HMAC, READERS, JWT].flatMap(({ secret }) => [base64(secret!), secret!.toString("base64url")]);
      const told = /eyJ|garbage|sig1|sha-256=|nonce=|"sku"|A-1|x-69/;
      assert.deepEqual(stack.logs.filter((line) => told.test(line) || secrets.some((secret) => line.includes(secret))), []);
    });
  });

  test("a flood of GET /v1/orders without a proof asks neither KV nor the keys nor an object, and slows nobody's limit", async () => {
    const team = await Team.start(), stack = await startControlled(team.vars);
    try {
      await (await stack.env("gateway")).POLICY.put("principals", JSON.stringify(policy([ALICE])));
      const flood = async () => counted(await Promise.all(Array.from({ length: 500 }, async (_, i) => (await ask(stack, {
        path: i % 3 ? "/v1/orders" : `/${i}`, method: i % 2 ? "GET" : "POST",
        headers: i % 5 ? {} : { authorization: "Basic YTpi", cookie: "CF_Authorization=x", "x-machine-identity": identity(ACME) } })).status)));
      assert.equal(await flood(), "500 x 401");
      assert.deepEqual([stack.logs.filter((line) => !line.includes('"reason":"anonymous"')), team.asked], [[], 0], "nothing but the refusals");
      // The same eyes see what costs.
      assert.equal(await told(stack, ask(stack, { headers: { "cf-access-jwt-assertion": await team.token() } })), "200 allowed");
      assert.equal(await told(stack, ask(stack, post(stack))), "201 allowed");
      assert.deepEqual([counted(stack.logs.filter((line) => line.startsWith("asked "))), team.asked], ["2 x asked LIMITER, 1 x asked NONCES, 1 x asked POLICY", 1]);
    } finally {
      await stack.close();
      await team.down();
    }
  });

  describe("what a request asks for", { concurrency: 1 }, () => {
    let team: Team, stack: Stack, seen = 0;
    before(async () => {
      team = await Team.start();
      stack = await startControlled(team.vars);
      const machine = { id: "machine", scopes: ["orders:read", "orders:write"], credentials: [{ type: "client_certificate", fingerprint_sha256: FINGERPRINT }] };
      await (await stack.env("gateway")).POLICY.put("principals", JSON.stringify(policy([ALICE], machine)));
      assert.equal(await told(stack, ask(stack, { headers: { "cf-access-jwt-assertion": await team.token() } })), "200 allowed"); // policy and keys are there
    });
    after(async () => { await stack?.close(); await team?.down(); });
    const FINGERPRINT = "ab".repeat(32), GOOD = { certPresented: "1", certVerified: "SUCCESS", certRevoked: "0", certFingerprintSHA256: FINGERPRINT };
    /** The status, when what was asked for is in the log. */
    const statusOf = async (got: Got) => { await decision(stack, got); return got.status; };
    /** What was asked since the last time. */
    const asked = () => { const lines = stack.logs.slice(seen); seen = stack.logs.length; return counted(lines.filter((line) => line.startsWith("asked "))); };
    const bearer = () => ({ authorization: `Bearer ${jwt({ audience: AUDIENCE })}` });
    const by = async (cf: object, asked: Asked) => {
      const { status, headers } = await stack.fetch("gateway", "/v1/orders",
        { ...asked, cf, headers: { "content-type": "application/json", ...asked.headers } } as RequestInit);
      return { status, headers: Object.fromEntries(headers) };
    };
    const ASKS: [string, (asked: Asked) => Promise<Pick<Got, "status" | "headers">>, string, string][] = [
      ["an Access token", async (asked) => by({}, { ...asked, headers: { "cf-access-jwt-assertion": await team.token() } }), "", ""],
      ["a client certificate", (asked) => by({ tlsClientAuth: GOOD }, asked), "", ""],
      ["a signature", (asked) => ask(stack, signedFor(stack, asked)), ", 1 x asked NONCES", ", 1 x asked NONCES"],
      ["a JWT of its own", (asked) => ask(stack, { ...asked, headers: bearer() }), "", ", 1 x asked NONCES"],
    ];
    const often = (reading: string, writing: string) => (reading ? "once" : writing ? "once to write" : "never");
    for (const [proof, send, reading, writing] of ASKS)
      test(`GET and POST /v1/orders with ${proof} ask the limiter once, and the object ${often(reading, writing)}`, async () => {
        for (const [request, status, more] of [[{}, 200, reading], [{ method: "POST", body: ORDER }, 201, writing]] as const) {
          asked();
          const got = await send(request);
          await decision(stack, got); // the line of the log after those that count
          assert.equal(got.status, status);
          assert.equal(asked(), `1 x asked LIMITER${more}`);
        }
      });
    test("a flood of GET /v1/orders with proofs that do not hold asks neither limiter nor object, nor KV and the keys again", async () => {
      const keys = team.asked, wrong = [
        () => signedFor(stack, { by: { ...HMAC, secret: READERS.secret } }), () => signedFor(stack, { by: { ...HMAC, keyid: "nobodys" } }),
        () => signedFor(stack, { by: { ...ED25519, secret: READERS.secret } }),
        () => ({ headers: { authorization: `Bearer ${jwt({ audience: AUDIENCE, secret: HMAC.secret })}` } }),
        () => ({ headers: { authorization: "Bearer garbage" } }),
        async () => ({ headers: { "cf-access-jwt-assertion": await team.token({ claims: { common_name: BOB } }) } }),
        () => ({ headers: { "cf-access-jwt-assertion": "garbage" } }),
      ];
      asked();
      assert.equal(counted(await Promise.all(Array.from({ length: 210 }, async (_, i) => statusOf(await ask(stack, await wrong[i % wrong.length]()))))),
        "210 x 401");
      assert.deepEqual([asked(), team.asked], ["", keys]);
    });
    test("POST /v1/orders is 503 when limiter or object fails, and after five seconds when it does not answer, and no order is stored", async () => {
      const { DB } = await stack.env("orders"), stored = () => DB.prepare("SELECT count(*) AS n FROM orders").first("n"), already = await stored();
      const whenIt = async (fault: string) => {
        const { headers, ...asked } = signedFor(stack, { method: "POST", body: ORDER }), from = performance.now();
        const got = await ask(stack, { ...asked, headers: { ...headers, "x-fault": fault } }), { outcome } = await decision(stack, got);
        return [got.status, JSON.parse(got.text).code, outcome, Math.floor((performance.now() - from) / 1000)];
      };
      for (const name of ["LIMITER", "NONCES"]) assert.deepEqual(await whenIt(`${name} fail`), [503, "unavailable", "failed", 0], name);
      const first = whenIt("LIMITER hang");
      await sleep(300); // until it hangs: what the next one says holds for all
      for (const got of await Promise.all([first, whenIt("NONCES hang")])) assert.deepEqual(got, [503, "unavailable", "failed", 5]);
      assert.equal(await stored(), already);
    });
  });

  test("POST /v1/orders of a principal over its limit is 429 with Retry-After, another one's is served, and after that time the same request is", async () => {
    const stack = await startPattern("machine-gateway", { vars: { PRINCIPALS: JSON.stringify(policy()) }, rateLimits: { LIMITER: 5 } });
    try {
      await sleep(10_000 - (Date.now() % 10_000) > 3000 ? 0 : 3100); // the simulator counts by the clock's tens of seconds: not over their edge
      for (let i = 0; i < 5; i++) assert.equal((await ask(stack, post(stack))).status, 201);
      const asked = post(stack), refused = await ask(stack, asked);
      assert.deepEqual([refused.status, JSON.parse(refused.text).code, refused.headers["retry-after"]], [429, "too-many-requests", "10"]);
      const { principal, outcome, reason } = await decision(stack, refused);
      assert.deepEqual([principal, outcome, reason], [ACME, "refused", "the rate limit is reached"]);
      assert.equal((await ask(stack, post(stack, { by: ED25519 }))).status, 429, "by whichever credential");
      assert.equal(await told(stack, ask(stack, signedFor(stack, { by: READERS }))), "200 allowed");
      assert.equal(await told(stack, ask(stack, {})), "401 anonymous");
      await sleep(1000 * Number(refused.headers["retry-after"]));
      assert.deepEqual([await told(stack, ask(stack, asked)), await told(stack, ask(stack, asked))], ["201 allowed", "401 replay"]); // its nonce was unspent
    } finally {
      await stack.close();
    }
  });

  describe("from outside, over each address,", { concurrency: 1 }, () => {
    const INTERNAL = ["machine-gateway-orders", "machine-gateway-reports", "machine-gateway-nightly"], VICTIM = "victim";
    let stack: Stack;
    before(async () => {
      stack = await startPattern("machine-gateway");
      const machine = { id: "local", scopes: ["orders:read", "orders:write"],
        credentials: [{ type: "access_service_token", client_id: LOCAL_ID },
        { type: "client_certificate", fingerprint_sha256: fingerprint(stack.identity("client").cert) }] };
      await (await stack.env("gateway")).POLICY.put("principals", JSON.stringify(policy([], machine)));
    });
    after(() => stack?.close());

    /** A request at this address, with a good proof for it or none. */
    async function at(address: string, known: boolean, { method = "GET", path = "/v1/orders", headers = {}, body }: Asked = {}): Promise<Got> {
      if (address === "mtls") return askOverTls(stack, known ? "client" : undefined, { method, path, headers, body });
      const proof: Record<string, string> = !known ? {} : address === "access" ? LOCAL_TOKEN : signed({ method, url: new URL(path, stack.urls.get(address)), body });
      return ask(stack, { method, path, body, headers: { ...proof, ...headers } }, address);
    }
    const ADDRESSES = ["gateway", "access", "mtls"], anonymous = (address: string) => (address === "access" ? 403 : 401);

    test("the addresses are the gateway's, Access's and the TLS one's: no internal Worker has one", () => {
      assert.deepEqual([...stack.urls.keys()].sort(), [...ADDRESSES].sort());
    });
    for (const address of ADDRESSES) {
      test(`${address}: a good proof gets in and none does not`, async () => {
        assert.deepEqual([(await at(address, true)).status, (await at(address, false)).status], [200, anonymous(address)]);
      });
      test(`${address}: POST /v1/orders with an envelope of one's own is one's own order all the same`, async () => {
        const headers = { "x-machine-identity": identity(VICTIM), "X-Machine-Identity-Principal": VICTIM };
        const got = await at(address, true, { method: "POST", body: ORDER, headers });
        assert.equal(got.status, 201, got.text);
        const { results } = await (await stack.env("orders")).DB.prepare("SELECT * FROM orders WHERE id = ?").bind(JSON.parse(got.text).id).all();
        const [order] = results;
        assert.equal(results.length, 1);
        assert.ok(!Object.values(order).includes(VICTIM) && Object.values(order).includes(address === "gateway" ? ACME : "local"), JSON.stringify(order));
      });
      for (const [what, headers] of [["an envelope", { "x-machine-identity": identity(ACME) }], ...INTERNAL.flatMap((worker) => [
        [`the harness's word for ${worker}`, { "MF-Route-Override": worker, "x-machine-identity": identity(ACME) }],
        [`the name ${worker} as host`, { host: worker, "x-machine-identity": identity(ACME) }],
      ])] as [string, Record<string, string>][])
        test(`${address}: GET and POST /v1/orders with ${what} and no proof are ${anonymous(address)}, and no internal Worker hears of it`, async () => {
          const written = stack.logs.length;
          for (const asked of [{ headers }, { headers, method: "POST", body: ORDER }])
            assert.equal((await at(address, false, asked)).status, anonymous(address));
          const lines = stack.logs.slice(written).filter((line) => line.includes('"event"') && !line.includes('"reason":"anonymous"'));
          assert.deepEqual(lines, []);
        });
      test(`${address}: OPTIONS, GET and POST /v1/orders of a browser's page get no Access-Control header, with a proof or without`, async () => {
        for (const known of [true, false]) for (const method of ["OPTIONS", "GET", "POST"]) {
          const headers = { origin: "https://app.example.com", "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,signature" };
          const got = await at(address, known, { method, headers, ...(method === "POST" && { body: ORDER }) });
          assert.deepEqual(Object.keys(got.headers).filter((name) => /^access-control|^cross-origin|^timing-allow/.test(name)), [], `${method} ${got.status}`);
          assert.equal(got.status, known ? { OPTIONS: 405, GET: 200, POST: 201 }[method] : anonymous(address));
        }
      });
    }
    test("a JWT with the audience of another application is not for this one", async () => {
      for (const [audience, expected] of [[LOCAL_AUDIENCE, "200 allowed"], [AUDIENCE, "401 the token is for another audience"]])
        assert.equal(await told(stack, ask(stack, { headers: { authorization: `Bearer ${jwt({ audience })}` } })), expected);
    });
  });
});
