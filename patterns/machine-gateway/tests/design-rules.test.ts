// The rules of the architecture guide for APIs without anonymous access, in its words, each held against the running pattern.
// Their details have files of their own beside this one.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parse } from "smol-toml";
import { fingerprint } from "../../../tests/harness/certificates.ts";
import { readPattern, startPattern } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { ACME, HMAC, JWT, jwt, LOCAL_ID, LOCAL_TOKEN as ACCESS, policy, READERS, type Signer, signature } from "./callers.ts";
import { ask, type Asked, askOverTls, counted, decision, isTheOneRefusal, LOCAL_AUDIENCE, ORDER, signedFor, told } from "./gate.ts";

const BUSY: Signer = { keyid: "busy", alg: "hmac-sha256", secret: Buffer.alloc(32, "busy") };
const { workers } = readPattern("machine-gateway"), LIMIT = 40;
const configOf = (name: string): any => parse(readFileSync(join(workers.find((worker) => worker.name === name)!.folder, "wrangler.toml"), "utf8"));
const INTERNAL = ["orders", "reports", "nightly"];

let stack: Stack;
before(async () => {
  stack = await startPattern("machine-gateway", { faults: true, rateLimits: { LIMITER: LIMIT } });
  const local = { id: "local", scopes: ["orders:read"], credentials: [{ type: "access_service_token", client_id: LOCAL_ID },
    { type: "client_certificate", fingerprint_sha256: fingerprint(stack.identity("client").cert) }] };
  const busy = { id: "busy", scopes: ["orders:read"], credentials: [signature(BUSY)] };
  await (await stack.env("gateway")).POLICY.put("principals", JSON.stringify(policy([], local, busy)));
});
after(() => stack?.close());
const get = (how: object = {}) => signedFor(stack, how), post = (how: object = {}) => signedFor(stack, { method: "POST", body: ORDER, ...how });
const said = (asked: Asked) => told(stack, ask(stack, asked));
const bearer = (how: object = {}) => ({ authorization: `Bearer ${jwt({ audience: LOCAL_AUDIENCE, ...how })}` });

describe("Concrete design rules", () => {
  test("do not leave internal Workers on public routes unless there is a real need", async () => {
    for (const name of INTERNAL) {
      const { routes, route, workers_dev, preview_urls } = configOf(name);
      assert.deepEqual([routes, route, workers_dev, preview_urls], [undefined, undefined, false, false], name);
      assert.ok(!stack.urls.has(name), `${name} has an address`);
    }
    assert.equal((await stack.fetch("orders", "/v1/orders")).status, 501, "it is there, and nobody but the test's own door leads to it");
  });
  test("do not rely on obscure paths like /secret-api-123", async () => {
    for (const path of ["/secret-api-123", "/v1/orders", "/", "/v1/nowhere", "/admin", "/.well-known/openid-configuration", "/cdn-cgi/access/certs"])
      for (const method of ["GET", "POST", "DELETE", "OPTIONS"]) {
        const got = await ask(stack, { path, method });
        assert.equal(got.status, 401, `${method} ${path}`);
        isTheOneRefusal(got);
      }
  });
  test("do not assume “not linked from the frontend” means private", async () => {
    const { id } = JSON.parse((await ask(stack, post())).text), path = `/v1/orders/${id}`;
    assert.equal(await said({ path }), "401 anonymous", "who knows the path of an order knows nothing else");
    assert.equal((await ask(stack, get({ path, by: READERS }))).status, 404, "nor does another machine");
    assert.equal((await ask(stack, get({ path }))).status, 200);
  });
  test("reject missing auth immediately", async () => {
    const bare = await startPattern("machine-gateway", { edge: false }); // the local edge would wait for the rest of the body
    try {
      const { hostname, port } = bare.urls.get("gateway")!, socket = connect(Number(port), hostname), from = performance.now();
      socket.write("POST /v1/orders HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: 16000\r\n\r\n{");
      const [start] = await once(socket, "data");
      socket.destroy();
      assert.match(String(start), /^HTTP\/1.1 401 /);
      assert.ok(performance.now() - from < 2000, "before the body, which never comes");
      assert.equal(JSON.parse(await bare.logged('"outcome"')).reason, "anonymous");
    } finally {
      await bare.close();
    }
  });
  test("keep CORS closed or absent for machine-only routes", async () => {
    const origin = { origin: "https://app.example.com", "access-control-request-method": "POST" };
    for (const [asked, status] of [[{ method: "OPTIONS" }, 401], [get({ method: "OPTIONS" }), 405], [get(), 200]] as [Asked, number][]) {
      const { status: answered, headers } = await ask(stack, { ...asked, headers: { ...asked.headers, ...origin } });
      assert.deepEqual([answered, Object.keys(headers).filter((name) => name.startsWith("access-control"))], [status, []]);
    }
  });
  test("apply rate limiting even to authenticated machine APIs", async () => {
    const statuses = await Promise.all(Array.from({ length: 2 * LIMIT + 5 }, async () => (await ask(stack, get({ by: BUSY }))).status));
    const served = statuses.filter((status) => status === 200).length;
    assert.ok(served >= LIMIT && served <= 2 * LIMIT, counted(statuses)); // twice, when the period ends in between
    assert.deepEqual([...new Set(statuses)].sort(), [200, 429]);
  });
  test("log the machine identity, service token ID, or certificate identity for auditability", async () => {
    const identities = [];
    for (const got of [await ask(stack, { headers: ACCESS }, "access"), await askOverTls(stack, "client"), await ask(stack, get()),
      await ask(stack, { headers: bearer() })]) {
      const { principal, credential, proof } = await decision(stack, got);
      identities.push([principal, credential, proof]);
    }
    assert.deepEqual(identities, [["local", LOCAL_ID, "access"], ["local", fingerprint(stack.identity("client").cert), "client-certificate"],
      [ACME, HMAC.keyid, "http-signature"], [ACME, JWT.kid, "jwt"]]);
  });
});

describe("Recommended request flow", () => {
  test("Anonymous or invalid machine: 403 / blocked, and the gateway hears nothing of it", async () => {
    const lines = stack.logs.length;
    for (const headers of [{}, { ...ACCESS, "CF-Access-Client-Secret": "guessed" }]) assert.equal((await ask(stack, { headers }, "access")).status, 403);
    assert.deepEqual(stack.logs.slice(lines).filter((line) => line.includes('"outcome"')), []);
  });
  test("Authenticated machine: Forward request", async () => {
    assert.equal(await told(stack, ask(stack, { headers: ACCESS }, "access")), "200 allowed");
    assert.equal(await told(stack, askOverTls(stack, "client")), "200 allowed");
  });
  test("Validate JWT or signature", async () => {
    const forged = { "cf-access-jwt-assertion": bearer().authorization.slice(7) };
    assert.equal(await said({ headers: forged }), "401 the token's algorithm is not RS256");
    assert.equal(await said(get({ by: { ...HMAC, secret: READERS.secret } })), "401 the signature is wrong");
  });
  test("Check path, method, scope", async () => {
    const asked = [get({ path: "/v1/nowhere" }), get({ method: "PUT" }), post({ by: READERS }), post()];
    const statuses = [];
    for (const one of asked) statuses.push((await ask(stack, one)).status);
    assert.deepEqual(statuses, [404, 405, 403, 201]);
  });
  test("Service Binding fetch / RPC", async () => {
    for (const [path, body, event] of [["/v1/orders", ORDER, "request"], ["/v1/reports", "{}", "rpc"]]) {
      const { trace_id } = await decision(stack, await ask(stack, post({ path, body })));
      const inside = JSON.parse(await stack.logged(new RegExp(`^(?!.*"outcome").*"event":"${event}".*"trace_id":"${trace_id}"`)));
      assert.equal(inside.principal, ACME, path);
    }
  });
  test("200 / 4xx / 5xx", async () => {
    await (await stack.rpc("faults")).arm("nonces", "fail");
    const failed = await ask(stack, get());
    assert.deepEqual([failed.status, (await ask(stack, get())).status, (await ask(stack, get({ path: "/v1/orders?limit=0" }))).status], [503, 200, 400]);
  });
});

describe("Application-level HMAC or JWT validation", () => {
  test("sign each request; include timestamp and nonce data", async () => {
    const { signature: _, ...headers } = get().headers!;
    assert.equal(await said({ headers }), "401 the message is not signed");
    assert.equal(await said(get({ params: { created: undefined } })), "401 the signature does not say when it was created");
    assert.equal(await said(get({ params: { nonce: undefined } })), "401 the signature has no usable nonce");
  });
  test("reject replays", async () => {
    const asked = post();
    assert.deepEqual([await said(asked), await said(asked)], ["201 allowed", "401 replay"]);
  });
  test("do not treat a long-lived static bearer secret as sufficient design on its own", async () => {
    const now = Math.floor(Date.now() / 1000);
    assert.equal(await said({ headers: { authorization: `Bearer ${JWT.secret.toString("base64")}` } }), "401 the token is malformed");
    assert.equal(await said({ headers: bearer({ claims: { iat: now, exp: now + 301 } }) }), "401 the token's lifetime is unknown, or not within five minutes");
  });
});

describe("Practical blueprint", () => {
  test("one externally reachable API edge and a set of private Worker services behind it", () => {
    assert.deepEqual(workers.filter((worker) => worker.public).map(({ name }) => name), ["gateway"]);
    assert.deepEqual([...stack.urls.keys()].sort(), ["access", "gateway", "mtls"], "the other two are the edges before it");
  });
  test("gateway Worker protected by Access service token or mTLS: no address under workers.dev is a way around", () => {
    const { workers_dev, preview_urls } = configOf("gateway");
    assert.deepEqual([workers_dev, preview_urls], [false, false]);
  });
  test("gateway Worker fans into internal Workers over Service Bindings", () => {
    assert.deepEqual(configOf("gateway").services.map(({ service }: any) => service).sort(), ["machine-gateway-orders", "machine-gateway-reports"]);
  });
  test("internal Workers hold business logic and data access", () => {
    const data = (name: string) => ["d1_databases", "r2_buckets"].filter((key) => key in configOf(name));
    assert.deepEqual([data("gateway"), data("orders"), data("reports")], [[], ["d1_databases"], ["r2_buckets"]]);
  });
  test("another Worker in the account calls by its Service Binding, without a secret", async () => {
    const { services, vars } = configOf("nightly");
    assert.deepEqual([services.map(({ service }: any) => service), Object.keys(vars)], [["machine-gateway-orders"], ["RETENTION_DAYS"]]);
    assert.equal((await stack.scheduled("nightly", "0 3 * * *")).outcome, "ok");
  });
});
