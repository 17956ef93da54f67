// The policy document: from KV, where it changes while the gateway runs, or from the variable PRINCIPALS, which replaces it.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { readPattern, specsOf, startWorkers } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { ACME, base64, HMAC, JWT, policy, READERS, type Signer, signature } from "./callers.ts";
import { ask, decision, signedFor, startControlled, told } from "./gate.ts";

const NEWCOMER: Signer = { keyid: "newcomer", alg: "hmac-sha256", secret: randomBytes(32) };
const newcomer = (more: object = {}) => ({ id: "newcomer", scopes: ["orders:read"], credentials: [signature(NEWCOMER)], ...more });
const UNDECIDED = "503 a service does not answer", UNKNOWN = "401 the credential is of no principal";

describe("the document in KV", () => {
  let stack: Stack, kv: any, now = 0, fault = ""; // in seconds from the real time; what KV does
  before(async () => {
    stack = await startControlled({ NEWCOMERS_KEY: base64(NEWCOMER.secret!) });
    kv = (await stack.env("gateway")).POLICY;
    await kv.delete("principals");
  });
  after(() => stack?.close());

  const put = (document: object | string) => kv.put("principals", typeof document === "string" ? document : JSON.stringify(document));
  const asked = (by: Signer) => {
    const { headers, ...rest } = signedFor(stack, { by, params: { created: Math.floor(Date.now() / 1000) + now } });
    return { ...rest, headers: { ...headers, "x-clock": String(now), "x-fault": fault } };
  };
  const get = (by = HMAC) => told(stack, ask(stack, asked(by)));
  /** What `by` is answered once the document that is fetched behind an answer has come. */
  const soon = async (by: Signer, expected: string) => {
    for (const end = Date.now() + 3000; Date.now() < end; await sleep(20)) if (await get(by) === expected) return;
    assert.equal(await get(by), expected);
  };
  /** The snapshot that the gateway has is of this moment, and of this document. */
  const fetched = async (document: object) => {
    fault = "";
    now += 62;
    await put(document);
    assert.equal(await get(), "200 allowed");
  };

  test("GET /v1/orders is 503 while there is no document, with the cause in the log, and nobody is let in; the anonymous are still 401", async () => {
    const got = await ask(stack, asked(HMAC));
    assert.deepEqual([got.status, JSON.parse(got.text).code, got.headers["retry-after"]], [503, "unavailable", "1"]);
    assert.match(String((await decision(stack, got)).cause), /there is no principals in POLICY/);
    assert.equal(await get(), UNDECIDED);
    assert.equal(await told(stack, ask(stack, {})), "401 anonymous");
  });
  test("GET /v1/orders is 200 as soon as there is one", async () => {
    await put(policy());
    now += 2;
    assert.equal(await get(), "200 allowed");
  });
  test("a principal that is added gets in ten seconds later, and nobody waited for it", async () => {
    await fetched(policy());
    assert.equal(await get(NEWCOMER), UNKNOWN);
    await put(policy([], newcomer()));
    now += 9;
    assert.equal(await get(NEWCOMER), UNKNOWN, "the document is not asked for more often");
    now += 2;
    assert.equal(await get(), "200 allowed");
    await soon(NEWCOMER, "200 allowed");
  });
  test("a principal that is revoked is 401 at the first request after 60 seconds, when nobody called meanwhile", async () => {
    await fetched(policy([], newcomer()));
    assert.equal(await get(NEWCOMER), "200 allowed");
    await put(policy());
    now += 60;
    assert.equal(await get(NEWCOMER), UNKNOWN);
    assert.equal(await get(), "200 allowed");
  });
  test("a principal that is revoked is let in once more 58 seconds later, by the request that fetches the new document, and is 401 then", async () => {
    await fetched(policy([], newcomer()));
    await put(policy());
    now += 58;
    assert.equal(await get(NEWCOMER), "200 allowed", "the bound that is stated is the one that there is");
    await soon(NEWCOMER, UNKNOWN);
  });
  test("a scope that is taken away is 403 within the same bound", async () => {
    await fetched(policy([], newcomer()));
    await put(policy([], newcomer({ scopes: ["reports:read"] })));
    now += 60;
    assert.equal(await get(NEWCOMER), "403 the scope is not granted");
  });

  const WRONG: [string, string | (() => object), RegExp][] = [
    ["is no JSON", "half a {", /line 1 column 1/],
    ["is empty", "", /line 1 column 0|there is no principals/],
    ["is of a later version", () => ({ ...policy(), version: 2 }), /version 2 is not known/],
    ["has a member that is not known", () => ({ ...policy(), admins: ["acme"] }), /line 1 column/],
    ["names a secret that the Worker has not", () => policy([],
      newcomer({ credentials: [{ type: "http_signature", keyid: "n", alg: "hmac-sha256", secret_name: "FORGOTTEN" }] })),
      /principal newcomer: keyid n: the Worker has no secret of this secret_name/],
    ["lists one credential for two principals", () => policy([], newcomer({ credentials: [signature(HMAC)] })), /acme-hmac is another principal's too/],
  ];
  for (const [what, document, cause] of WRONG)
    test(`a document that ${what} leaves the last good one in force for its minute, and then GET /v1/orders is 503`, async () => {
      await fetched(policy());
      const written = stack.logs.length;
      await put(typeof document === "string" ? document : document());
      for (const seconds of [30, 28]) {
        now += seconds;
        assert.equal(await get(), "200 allowed");
      }
      now += 3;
      assert.equal(await get(), UNDECIDED);
      assert.ok(stack.logs.slice(written).some((line) => line.includes("the policy was not fetched") && cause.test(line)), stack.logs.slice(written).join("\n"));
    });
  test("KV that fails leaves the last document in force for its minute, then GET /v1/orders is 503, and 200 when KV is back", async () => {
    await fetched(policy());
    fault = "POLICY fail";
    for (const seconds of [30, 28]) {
      now += seconds;
      assert.equal(await get(), "200 allowed");
    }
    now += 3;
    assert.equal(await get(), UNDECIDED);
    assert.equal(await told(stack, ask(stack, { headers: { "x-clock": String(now), "x-fault": fault } })), "401 anonymous");
    fault = "";
    now += 2;
    assert.equal(await get(), "200 allowed");
  });
  test("KV that hangs keeps nobody waiting who is known from before", async () => {
    await fetched(policy());
    fault = "POLICY hang";
    now += 30;
    const from = performance.now();
    for (let i = 0; i < 5; i++) assert.equal(await get(), "200 allowed");
    assert.ok(performance.now() - from < 2000, `${performance.now() - from} ms`);
  });
  test("KV that hangs makes GET /v1/orders 503 after five seconds, when there is no document from before", async () => {
    fault = "POLICY hang";
    now += 62;
    const answered = await Promise.race([get(), sleep(8000, "nothing", { ref: false })]);
    assert.equal(answered, UNDECIDED);
  });
  test("within ten seconds nobody asks KV for the document, and then one of many does", async () => {
    await fetched(policy());
    const calls = () => stack.logs.filter((line) => line === "asked POLICY").length, before = calls();
    for (let i = 0; i < 20; i++) assert.equal(await get(), "200 allowed");
    assert.equal(calls(), before);
    now += 11;
    await Promise.all(Array.from({ length: 20 }, () => get()));
    await sleep(100); // it comes behind an answer
    assert.equal(calls(), before + 1);
  });
  test("a secret that the document names is found among the Worker's secrets", async () => {
    await fetched(policy([], newcomer({ credentials: [{ type: "http_signature", keyid: NEWCOMER.keyid, alg: "hmac-sha256", secret_name: "NEWCOMERS_KEY" }] })));
    assert.equal(await get(NEWCOMER), "200 allowed");
    assert.equal(await get({ ...NEWCOMER, secret: randomBytes(32) }), "401 the signature is wrong");
  });
  test("a scope and a kind of credential that only a later version knows grant nothing, and the log says so", async () => {
    await fetched(policy([], newcomer({ scopes: ["orders:read", "orders:delete"], credentials: [signature(NEWCOMER), { type: "passkey", id: "p" }] })));
    assert.equal(await get(NEWCOMER), "200 allowed");
    await stack.logged("not understood, grants nothing: principal newcomer: scope orders:delete");
    await stack.logged("not understood, grants nothing: principal newcomer: a credential of a type that is not known");
  });
  test("no secret is in the log", () => {
    for (const secret of [HMAC, READERS, NEWCOMER, JWT].map(({ secret }) => base64(secret!)))
      assert.deepEqual(stack.logs.filter((line) => line.includes(secret)), []);
  });
});

describe("the variable PRINCIPALS", () => {
  const SECRET = base64(randomBytes(40)), of = (credential: object, more: object = {}) =>
    JSON.stringify({ version: 1, principals: [{ id: "acme", scopes: [], credentials: [credential], ...more }] });
  const signer = (more: object) => ({ type: "http_signature", keyid: "k", alg: "hmac-sha256", ...more });
  const WRONG: [string, string, RegExp][] = [
    ["is no JSON", `{"version":1,"principals":[{"id":"acme","secret":"${SECRET}"`, /variable PRINCIPALS: line 1 column \d+/],
    ["is of another version", '{"version":2,"principals":[]}', /variable PRINCIPALS: version 2 is not known/],
    ["has a misspelt member", of(signer({ secret: SECRET }), { scope: ["orders:read"] }), /variable PRINCIPALS: line 1 column/],
    ["has a misspelt member of a credential", of(signer({ secret: SECRET, secrets: [SECRET] })), /variable PRINCIPALS: line 1 column/],
    ["has a secret that is not base64", of(signer({ secret: `${SECRET}!` })), /principal acme: keyid k: the secret is not base64/],
    ["has a secret that is too short", of(signer({ secret: base64(randomBytes(8)) })), /principal acme: keyid k: /],
    ["has a secret that is empty", of(signer({ secret: "" })), /principal acme: keyid k: /],
    ["has a JWT's secret that is too short", of({ type: "jwt", kid: "j", alg: "HS256", issuer: "acme", secret: base64(randomBytes(31)) }),
      /kid j: the secret is shorter than 32 bytes/],
    ["names a variable that everybody may read as its secret", of(signer({ secret_name: "POLICY_AUD" })), /keyid k: the Worker has no secret/],
    ["has a secret written and named", of(signer({ secret: SECRET, secret_name: "KEY" })), /keyid k: either a secret or a secret_name/],
    ["has an algorithm that is not known", of(signer({ alg: "rsa-pss-sha512", secret: SECRET })), /variable PRINCIPALS: line 1 column/],
    ["has a key that is no PEM", of({ type: "http_signature", keyid: "k", alg: "ed25519", public_key: SECRET }), /principal acme: keyid k: /],
    ["has a fingerprint in upper case", of({ type: "client_certificate", fingerprint_sha256: "AB".repeat(32) }), /fingerprint_sha256 is 64 digits of lower-case/],
    ["lists a principal twice", JSON.stringify({ version: 1, principals: [1, 2].map(() => ({ id: "acme", scopes: [], credentials: [] })) }),
      /principal acme: it is listed twice/],
    ["lists a keyid three times", JSON.stringify({ version: 1,
      principals: [{ id: "acme", scopes: [], credentials: [1, 2, 3].map(() => signer({ secret: SECRET })) }] }), /k is listed more than 2 times/],
  ];
  let stack: Stack;
  before(async () => {
    // One Worker, many times: a wrong variable each, and a good one.
    const [gateway, ...others] = specsOf(readPattern("machine-gateway"));
    const copies = WRONG.map(([, PRINCIPALS], i) => ({ ...gateway, id: `wrong-${i}`, name: `wrong-${i}`, public: true, vars: { ...gateway.vars, PRINCIPALS } }));
    stack = await startWorkers([{ ...gateway, vars: { ...gateway.vars, PRINCIPALS: JSON.stringify(policy()) } }, ...others, ...copies]);
    await (await stack.env("gateway")).POLICY.put("principals", JSON.stringify(policy([], newcomer())));
  });
  after(() => stack?.close());

  test("GET /v1/orders of whom it lists is 200, and of whom only KV lists 401", async () => {
    assert.equal(await told(stack, ask(stack, signedFor(stack))), "200 allowed");
    assert.equal(await told(stack, ask(stack, signedFor(stack, { by: NEWCOMER }))), UNKNOWN);
  });
  for (const [i, [what, , cause]] of WRONG.entries()) test(`one that ${what} is 500 for all, and the log says what is wrong, without a secret`, async () => {
    for (const headers of [{}, signedFor(stack).headers]) {
      const got = await ask(stack, { headers }, `wrong-${i}`);
      assert.deepEqual([got.status, JSON.parse(got.text).code], [500, "internal"]);
      assert.ok(!/PRINCIPALS|acme|line/.test(got.text), got.text);
      const line = await stack.logged(new RegExp(`"request_id":"${got.headers["x-request-id"]}"`));
      assert.match(JSON.parse(line).cause, cause);
    }
    assert.deepEqual(stack.logs.filter((line) => line.includes(SECRET)), []);
  });
  test("the principal's name is that of the document", async () => {
    assert.equal((await decision(stack, await ask(stack, signedFor(stack)))).principal, ACME);
  });
});
