// The stand-in for Access's edge by itself, judged by `jose`: what it takes, what it lets through and what it publishes.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import { FAULTS, ROOT, startWorkers } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { LOCAL_ID as ID, LOCAL_SECRET as SECRET, LOCAL_TOKEN as PAIR } from "./callers.ts";
import { LOCAL_AUDIENCE as AUDIENCE } from "./gate.ts";

const single = (id = ID, secret = SECRET) => JSON.stringify({ "cf-access-client-id": id, "cf-access-client-secret": secret });

const start = (vars = {}) => startWorkers([
  { id: "access", config: join(ROOT, "wrangler/local/access/wrangler.toml"), public: true, bind: { ORIGIN: "echo", FAULTS: FAULTS.id },
    vars: { TEAM_DOMAIN: "{url:access}", ...vars } },
  { id: "echo", config: join(import.meta.dirname, "echo/wrangler.toml") }, FAULTS,
]);

describe("the stand-in for Access", () => {
  let stack: Stack;
  before(async () => { stack = await start(); });
  after(() => stack?.close());

  const at = (path: string) => new URL(path, stack.urls.get("access"));
  const send = (headers: Record<string, string>, path = "/", init: RequestInit = {}) => fetch(at(path), { ...init, headers });
  /** What the Worker behind hears. */
  const heard = async (headers: Record<string, string>, path = "/", init: RequestInit = {}) => {
    const answer = await send(headers, path, init);
    assert.equal(answer.status, 200);
    return await answer.json() as { url: string; method: string; body: string; headers: Record<string, string> };
  };
  const token = async (headers: Record<string, string> = PAIR) => (await heard(headers)).headers["cf-access-jwt-assertion"];
  /** Verified with the keys that are published now. */
  const verify = (jwt: string) => jwtVerify(jwt, createRemoteJWKSet(at("/cdn-cgi/access/certs")),
    { issuer: at("/").origin, audience: AUDIENCE, algorithms: ["RS256"], requiredClaims: ["exp", "nbf", "iat"] });
  const published = async () => ((await (await fetch(at("/cdn-cgi/access/certs"))).json()) as { keys: any[] }).keys;

  test("a service token in the pair of headers becomes an assertion that jose verifies", async () => {
    const { payload, protectedHeader } = await verify(await token());
    assert.deepEqual([payload.common_name, payload.sub, payload.type, payload.aud], [ID, "", "app", [AUDIENCE]]);
    assert.deepEqual([protectedHeader.alg, protectedHeader.kid], ["RS256", (await published())[0].kid]);
  });
  test("so does one in the single header, written in any case", async () => {
    for (const authorization of [single(), single().replaceAll("cf-access", "CF-Access"), ` ${single().replaceAll(",", " ,\t")} `])
      assert.equal((await verify(await token({ authorization }))).payload.common_name, ID);
  });
  test("the Worker behind hears the client's own URL, method and body, and neither secret nor forged assertion", async () => {
    const path = "/v1/orders?q=a%20b&&x=%2F%c3%a9", forged = { "Cf-Access-Jwt-Assertion": "forged", "Cf-Access-Authenticated-User-Email": "eve@example.com" };
    for (const proof of [PAIR, { authorization: single() }, { ...PAIR, authorization: single() }]) {
      const { url, method, body, headers } = await heard({ ...proof, ...forged, "x-mine": "1" }, path, { method: "PUT", body: "text" });
      assert.deepEqual([url, method, body, headers["x-mine"]], [`${at("/").origin}${path}`, "PUT", "text", "1"]);
      assert.equal((await verify(headers["cf-access-jwt-assertion"])).payload.common_name, ID);
      assert.ok(!JSON.stringify(headers).includes(SECRET) && !("cf-access-authenticated-user-email" in headers), JSON.stringify(headers));
    }
  });
  test("a header of another scheme is for the Worker behind", async () => {
    assert.equal((await heard({ ...PAIR, authorization: "Bearer mine" })).headers.authorization, "Bearer mine");
  });
  const REFUSED: [string, Record<string, string>][] = [["nothing", {}], ["a wrong secret", { ...PAIR, "CF-Access-Client-Secret": "guessed" }],
    ["an empty secret", { ...PAIR, "CF-Access-Client-Secret": "" }], ["an id alone", { "CF-Access-Client-Id": ID }],
    ["an unknown id", { ...PAIR, "CF-Access-Client-Id": "else.access" }], ["an id that every object has", { ...PAIR, "CF-Access-Client-Id": "toString" }],
    ["a wrong secret in the single header", { authorization: single(ID, "guessed") }],
    ["an unknown id in the single header", { authorization: single("constructor", "\0") }], ["nobody in the single header", { authorization: single("", "") }],
    ["a secret that is no text", { authorization: `{"cf-access-client-id":"${ID}","cf-access-client-secret":["${SECRET}"]}` }],
    ["half an object", { authorization: single().slice(0, -1) }], ["null", { authorization: "null" }], ["a list", { authorization: `[${single()}]` }],
    ["a Bearer token", { authorization: `Bearer ${SECRET}` }], ["the object in another header", { "x-token": single() }],
    ["a wrong pair beside a good single header", { ...PAIR, "CF-Access-Client-Secret": "guessed", authorization: single() }]];
  for (const [what, headers] of REFUSED) test(`${what} is answered with Access's 403`, async () => {
    for (const path of ["/", "/v1/orders", "/cdn-cgi/local/rotate"]) {
      const answer = await send(headers, path);
      assert.deepEqual([answer.status, answer.headers.get("content-type")], [403, "text/html; charset=utf-8"]);
      assert.match(await answer.text(), /<h1>Forbidden<\/h1>/);
    }
  });
  test("what is published has no private part", async () => {
    for (const key of await published()) assert.deepEqual(Object.keys(key), ["kid", "kty", "alg", "use", "e", "n"]);
  });

  test("after a rotation the new key signs and both verify; after the old one retired, its tokens do not", async () => {
    const old = await token(), access = await stack.rpc("access"), kid = await access.rotate(), fresh = await token();
    assert.equal(decodeProtectedHeader(fresh).kid, kid);
    assert.deepEqual((await published()).map((key) => key.kid), [kid, decodeProtectedHeader(old).kid]);
    await Promise.all([verify(old), verify(fresh)]);
    assert.equal(await access.retire(), kid);
    await verify(fresh);
    await assert.rejects(verify(old), { code: "ERR_JWKS_NO_MATCHING_KEY" });
  });
  test("a developer rotates and retires by POST; rotations at the same time each add their key", async () => {
    const post = async (what: string) => ((await (await fetch(at(`/cdn-cgi/local/${what}`), { method: "POST" })).json()) as { kid: string }).kid;
    const made = await Promise.all([post("rotate"), post("rotate"), post("rotate")]);
    assert.equal(new Set(made).size, 3);
    assert.deepEqual((await published()).slice(0, 3).map((key) => key.kid).sort(), made.sort());
    assert.equal(await post("retire"), decodeProtectedHeader(await token()).kid);
    assert.equal((await published()).length, 1);
  });
  test("keys outlive a restart", async () => {
    const [before, jwt] = [await published(), await token()];
    await stack.reload();
    assert.deepEqual(await published(), before);
    await verify(jwt);
  });
  test("the endpoint is slow, down, cut off or answers rubbish when a test says so, and only then", async () => {
    const fail = async (fault: string) => (await stack.rpc("faults")).arm("access-certs", fault), from = performance.now();
    await fail("slow 300");
    await published();
    assert.ok(performance.now() - from >= 290);
    await fail("down");
    assert.equal((await fetch(at("/cdn-cgi/access/certs"))).status, 500);
    await fail("rubbish");
    await assert.rejects(published(), SyntaxError);
    await fail("cut");
    await assert.rejects(published(), TypeError);
    assert.equal((await published()).length, 1);
  });
});

test("an application may name another header, or read the pair only", async () => {
  for (const [name, statuses] of [["X-Token", [200, 403, 200]], ["", [403, 403, 200]]] as const) {
    const stack = await start({ READ_SERVICE_TOKENS_FROM_HEADER: name });
    try {
      const got = [];
      for (const headers of [{ "x-token": single() }, { authorization: single() }, PAIR])
        got.push((await stack.fetch("access", "/", { headers } as RequestInit)).status);
      assert.deepEqual(got, statuses);
    } finally {
      await stack.close();
    }
  }
});
