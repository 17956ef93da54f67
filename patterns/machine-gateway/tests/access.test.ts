// Who is let in: through Access's edge, and at the gateway itself, whose key server is the test's own.
import assert from "node:assert/strict";
import { createHmac, createPublicKey } from "node:crypto";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { importJWK, SignJWT, type JWK } from "jose";
import { runTry, startPattern } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { LOCAL_ID as ID, LOCAL_SECRET as SECRET, LOCAL_TOKEN as KNOWN, policy } from "./callers.ts";
import { counted, decision, LOCAL_AUDIENCE, problem, refusal, startControlled } from "./gate.ts";
import { AUDIENCE, type Key, makeKey, startWith, Team, varsOf } from "./team.ts";

// All at once, each before a gateway of its own, since most of it is waiting for key servers that hang.
describe("Access", { concurrency: true }, () => {
  describe("through Access's edge", { concurrency: 1 }, () => {
    let stack: Stack;
    before(async () => { stack = await startPattern("machine-gateway"); });
    after(() => stack?.close());
    const access = (path: string, headers = {}, init: RequestInit = {}) => stack.fetch("access", path, { ...init, headers });
    const place = (headers = {}) => access("/v1/orders", { "content-type": "application/json", ...headers },
      { method: "POST", body: JSON.stringify({ sku: "A-1", quantity: 2, note: "to the back door" }) });

    test("a machine with a service token places an order, finds it, and sees it in its list", async () => {
      const placed = await place(KNOWN), order: any = await placed.json();
      assert.deepEqual([placed.status, placed.headers.get("location")], [201, `/v1/orders/${order.id}`]);
      const { id, created_at, ...rest } = order;
      assert.deepEqual(rest, { sku: "A-1", quantity: 2, note: "to the back door" });
      assert.ok(Math.abs(Date.parse(created_at) - Date.now()) < 60_000 && created_at.endsWith("Z"), created_at);
      const found = await access(`/v1/orders/${id}`, KNOWN), listed = await access("/v1/orders", KNOWN);
      assert.deepEqual([found.status, await found.json()], [200, order]);
      assert.deepEqual([listed.status, await listed.json()], [200, { orders: [order], next_cursor: null }]);
      const { results } = await (await stack.env("orders")).DB.prepare("SELECT * FROM orders").all();
      assert.deepEqual(results, [{ ...order, caller: "local-machine" }]);
    });

    test("the edge lets nobody else through, and the gateway hears nothing of it", async () => {
      const lines = stack.logs.length;
      for (const headers of [{}, { ...KNOWN, "CF-Access-Client-Secret": "guessed" }, { ...KNOWN, "CF-Access-Client-Secret": "" },
        { ...KNOWN, "CF-Access-Client-Id": "else.access" }, { ...KNOWN, "CF-Access-Client-Id": "toString" },
        { "CF-Access-Client-Id": ID }, { "CF-Access-Client-Secret": SECRET }, { "Cf-Access-Jwt-Assertion": "forged" }])
        assert.equal((await place(headers)).status, 403, JSON.stringify(headers));
      assert.deepEqual(stack.logs.slice(lines), []);
    });

    test("the edge replaces what a client puts in the place of its token", async () => {
      const answer = await access("/v1/orders", { ...KNOWN, "Cf-Access-Jwt-Assertion": "forged" });
      assert.equal(answer.status, 200);
      const { principal, credential, proof, scope, outcome } = await decision(stack, answer);
      assert.deepEqual([principal, credential, proof, scope, outcome], ["local-machine", ID, "access", "orders:read", "allowed"]);
    });

    test("the bare gateway answers an anonymous caller with 401 and a challenge, whatever the path", async () => {
      for (const path of ["/v1/orders", "/", "/nowhere", "/cdn-cgi/access/certs", `/v1/orders/${"x".repeat(2000)}`])
        assert.equal(await refusal(stack, await stack.fetch("gateway", path, { headers: KNOWN })), "anonymous", path);
    });

    test("every curl of the README gets the answer that it promises", () => runTry("machine-gateway", stack));

    test("neither the token nor the secret is in the log", () => {
      assert.ok(stack.logs.some((line) => line.includes(`"credential":"${ID}"`)), "there is a log");
      assert.deepEqual(stack.logs.filter((line) => line.includes(SECRET) || line.includes("eyJ") || line.includes("guessed")), []);
    });
  });

  describe("at the gateway", { concurrency: 1 }, () => {
    let team: Team, stack: Stack, stranger: Key;
    before(async () => {
      team = await Team.start();
      stranger = { ...(await makeKey("stranger")), kid: team.keys[0].kid };
      stack = await startWith(team);
    });
    after(async () => { await stack?.close(); await team?.down(); });

    const get = (headers: Record<string, string>, path = "/v1/orders") => stack.fetch("gateway", path, { headers });
    const assertion = (token: string) => get({ "Cf-Access-Jwt-Assertion": token });
    const encode = (value: string | object) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
    const soon = () => Math.floor(Date.now() / 1000);

    /** A valid token, taken apart, changed and put together again without its key. */
    const forged = async (change: (header: any, payload: any, signature: string) => string) => {
      const [header, payload, signature] = (await team.token()).split(".");
      return change(...[header, payload].map((part) => JSON.parse(Buffer.from(part, "base64url").toString())) as [any, any], signature);
    };
    /** Signed by HMAC with what everybody knows: the public key. */
    const hs256 = (secret: string | Buffer) => forged((header, payload) => {
      const input = `${encode({ ...header, alg: "HS256" })}.${encode(payload)}`;
      return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
    });
    const publicKey = () => createPublicKey({ key: team.keys[0].publish as any, format: "jwk" });
    const claims = (claims: object) => () => team.token({ claims });
    const header = (header: object) => () => team.token({ header });

    const REFUSED: [string, () => string | Promise<string>, string][] = [
      ["garbage", () => "garbage", "malformed"],
      ["an empty token", () => "", "malformed"],
      ["bytes that are no text", () => "\xff\xfe.\xfd.\xfc", "malformed"],
      ["three dots of nothing", () => "...", "malformed"],
      ["alg none without a signature", () => forged((h, p) => `${encode({ ...h, alg: "none" })}.${encode(p)}.`), "algorithm"],
      ["alg none with the signature", () => forged((h, p, s) => `${encode({ ...h, alg: "none" })}.${encode(p)}.${s}`), "algorithm"],
      ["HS256 with the public key as SPKI PEM", () => hs256(publicKey().export({ format: "pem", type: "spki" })), "algorithm"],
      ["HS256 with the public key as PKCS #1 PEM", () => hs256(publicKey().export({ format: "pem", type: "pkcs1" })), "algorithm"],
      ["HS256 with the public key as JWK", () => hs256(JSON.stringify(team.keys[0].publish)), "algorithm"],
      ["HS256 with the public key's modulus", () => hs256(Buffer.from(team.keys[0].publish.n!, "base64url")), "algorithm"],
      ["a token of RS512", () => forged((h, p, s) => `${encode({ ...h, alg: "RS512" })}.${encode(p)}.${s}`), "algorithm"],
      ["a key of somebody else's under the known kid", () => team.token({ key: stranger }), "signature is wrong"],
      ["a key that it brings along", () => team.token({ key: stranger, header: { jwk: stranger.publish } }), "signature is wrong"],
      ["an unknown kid", header({ kid: "unknown" }), "key is unknown"],
      ["no kid", header({ kid: undefined }), "malformed"],
      ["a tampered payload", () => forged((h, p, s) => `${encode(h)}.${encode({ ...p, common_name: "root.access" })}.${s}`), "signature is wrong"],
      ["a tampered header", () => forged((h, p, s) => `${encode({ ...h, more: 1 })}.${encode(p)}.${s}`), "signature is wrong"],
      ["no signature", () => forged((h, p) => `${encode(h)}.${encode(p)}.`), "signature is wrong"],
      ["another spelling of the same token", async () => `${await team.token()}=`, "malformed"],
      ["a critical extension", header({ crit: ["exp"], exp: 1 }), "critical"],
      ["another type", header({ typ: "at+jwt" }), "typ"],
      ["exp in the past", claims({ exp: soon() - 61 }), "expired"],
      ["no exp", claims({ exp: undefined }), "malformed"],
      ["nbf in the future", claims({ nbf: soon() + 120 }), "not valid yet"],
      ["iat in the future", claims({ iat: soon() + 120 }), "not valid yet"],
      ["another audience", claims({ aud: [AUDIENCE.replace("4", "5")] }), "audience"],
      ["no audience", claims({ aud: [] }), "audience"],
      ["another issuer", claims({ iss: "https://other.cloudflareaccess.com" }), "issuer"],
      ["the issuer with a slash", () => team.token({ claims: { iss: `${team.domain}/` } }), "issuer"],
      ["the issuer in upper case", () => team.token({ claims: { iss: team.domain.toUpperCase() } }), "issuer"],
      ["the team's login page as its purpose", claims({ type: "org" }), "neither"],
      ["nobody's name", claims({ common_name: undefined }), "neither"],
      ["a name with a line feed", claims({ common_name: "a\nb" }), "neither"],
      ["more than 8 KB", claims({ more: "x".repeat(7000) }), "malformed"],
      ["a person's name", claims({ sub: "7335d417", email: "ann@example.com", common_name: undefined }), "a person, not a machine"],
      ["a name that the policy does not list", claims({ common_name: "mallory.access" }), "of no principal"],
      ["the id of a principal as its name", claims({ common_name: "alice" }), "of no principal"],
      ["a second token after a comma", async () => `${await team.token()}, ${await team.token()}`, "signature is wrong"],
    ];
    const statuses: number[] = [];

    for (const [what, token, why] of REFUSED) test(`GET /v1/orders with ${what} is 401`, async () => {
      const answer = await assertion(await token());
      statuses.push(answer.status);
      assert.match(await refusal(stack, answer), new RegExp(why));
    });

    test("GET /v1/orders with a valid token anywhere but in Access's header is 401", async () => {
      const token = await team.token();
      const OTHERS: [Record<string, string>, string, string?][] = [[{}, "anonymous"], [{ authorization: `Bearer ${token}` }, "the token's algorithm is not its key's"],
        [{ cookie: `CF_Authorization=${token}` }, "anonymous"], [{ "Cf-Access-Token": token }, "anonymous"],
        [{}, "anonymous", `/v1/orders?cf-access-jwt-assertion=${token}`]];
      for (const [headers, why, path] of OTHERS) {
        const answer = await get(headers, path);
        statuses.push(answer.status);
        assert.equal(await refusal(stack, answer), why, Object.keys(headers).join());
      }
    });

    test("GET /v1/orders with Access's header sent twice is 401, whichever is valid", async () => {
      const valid = await team.token(), { hostname, port } = stack.urls.get("gateway")!;
      for (const pair of [[valid, valid], [valid, "x"], ["x", valid], ["", valid], [valid, ""]]) {
        const socket = connect(Number(port), hostname), heads = pair.map((token) => `Cf-Access-Jwt-Assertion: ${token}\r\n`).join("");
        socket.write(`GET /v1/orders HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n${heads}\r\n`);
        const [start] = await once(socket, "data");
        socket.destroy();
        statuses.push(Number(String(start).slice(9, 12)));
        assert.match(String(start), /^HTTP\/1.1 401 /);
      }
    });

    test("GET /v1/orders with a valid token is 200, also with what Access may change", async () => {
      for (const token of [{}, { claims: { aud: AUDIENCE } }, { claims: { aud: ["other", AUDIENCE] } }, { claims: { nbf: undefined, iat: undefined } },
        { claims: { more: { deep: [1] } } }, { header: { typ: undefined } }, { claims: { exp: soon() - 30 } }, { claims: { more: "x".repeat(5000) } }]) {
        const answer = await assertion(await team.token(token));
        statuses.push(answer.status);
        assert.equal(answer.status, 200, `${JSON.stringify(token).slice(0, 99)} ${await answer.text()}`);
      }
    });

    test("all that was with one look at the team's keys", (t) => {
      t.diagnostic(`by status: ${counted(statuses)}`);
      assert.equal(team.asked, 1);
    });

    test("no token, or part of one, is in the log", () => {
      const told = stack.logs.filter((line) => /eyJ|garbage|root\.access|mallory|ann@example|7335d417/.test(line));
      assert.deepEqual(told, []);
    });
  });

  test("a gateway without a team, or with one that is none, lets nobody in and names the variable in its log", async () => {
    for (const [vars, name] of [[{ TEAM_DOMAIN: "" }, "TEAM_DOMAIN"], [{ TEAM_DOMAIN: "http://example.com" }, "TEAM_DOMAIN"],
      [{ POLICY_AUD: "" }, "POLICY_AUD"]] as const) {
      const stack = await startPattern("machine-gateway", { vars });
      try {
        assert.equal(await problem(stack.fetch("gateway", "/v1/orders", { headers: { "Cf-Access-Jwt-Assertion": "any" } })), "500 internal");
        await stack.logged(new RegExp(`"cause":"[^"]*${name}`));
      } finally {
        await stack.close();
      }
    }
  });

  describe("the team's keys", { concurrency: 1 }, () => {
    let team: Team, stack: Stack, now = 0; // in seconds from the real time
    before(async () => { team = await Team.start(); stack = await startControlled(varsOf(team)); });
    after(async () => { await stack?.close(); await team?.down(); });

    const get = (token: string) => stack.fetch("gateway", "/v1/orders", { headers: { "Cf-Access-Jwt-Assertion": token, "x-clock": String(now) } });
    /** A token that is valid at the gateway's time. */
    const token = (key?: Key, header = {}) => team.token({ key, header, claims: { exp: Math.floor(Date.now() / 1000) + now + 600 } });
    const status = async (of: string) => (await get(of)).status;
    /** How often the key server is asked while this runs. */
    const asks = async (run: () => Promise<unknown>) => { const before = team.asked; await run(); return team.asked - before; };
    /** All of them, so many at a time. */
    const atOnce = async <T, R>(lanes: number, all: T[], run: (one: T) => Promise<R>) => {
      const left = [...all], done: R[] = [];
      await Promise.all(Array.from({ length: lanes }, async () => { for (let one; (one = left.pop()) !== undefined;) done.push(await run(one)); }));
      return done;
    };
    /** What goes on after an answer has come to its end: an answer of the local key server takes a few milliseconds. */
    const renewed = () => sleep(300);
    const unavailable = async (what: string) => {
      const answer = await get(await token());
      assert.equal(answer.headers.get("retry-after"), "1", what);
      assert.equal(await problem(answer), "503 unavailable", what);
    };

    const LAME: [string, typeof team.answer][] = [
      ["fails", (_, r) => { r.writeHead(500).end(); }],
      ["refuses", (_, r) => { r.writeHead(403).end(); }],
      ["redirects to itself", (_, r) => { r.writeHead(302, { location: "/cdn-cgi/access/certs" }).end(); }],
      ["answers garbage", (_, r) => { r.end("<html>"); }],
      ["answers nothing", (_, r) => { r.end(); }],
      ["publishes no key", (_, r) => { r.end('{"keys":[]}'); }],
      ["publishes a key that is too short only", (_, r) => { r.end('{"keys":[{"kty":"RSA","kid":"first","n":"3Q","e":"AQAB"}]}'); }],
      ["answers 1 MB", (_, r) => { r.end(`{"keys":[${" ".repeat(1 << 20)}]}`); }],
      ["answers a body without end", (_, r) => { const send = () => { while (!r.destroyed && r.write(" ".repeat(1 << 16))); }; r.on("drain", send); send(); }],
      ["hangs up", (_, r) => { r.destroy(); }],
      ["hangs up in the middle", (_, r) => { r.writeHead(200, { "content-length": "9999" }); r.write("{"); setTimeout(() => r.destroy(), 20); }],
    ];
    test("GET /v1/orders is 503 while the key server is down, and nobody is let in", async () => {
      await team.down();
      await unavailable("down");
      await team.up();
    });
    for (const [what, answer] of LAME) test(`GET /v1/orders is 503 while the key server ${what}`, async () => {
      now += 2;
      team.answer = answer;
      assert.equal(await asks(() => unavailable(what)), 1);
    });
    for (const [what, answer] of [["hangs", () => {}], ["hangs after its head", (_, r) => { r.writeHead(200); r.write("{"); }]] as typeof LAME)
      test(`GET /v1/orders is 503 after five seconds while the key server ${what}`, async () => {
        now += 2;
        team.answer = answer;
        const from = performance.now();
        await unavailable(what);
        const seconds = (performance.now() - from) / 1000;
        assert.ok(seconds > 4.9 && seconds < 7, `${seconds} s`);
      });
    test("a key server that failed is left alone for a second", async () => {
      now += 2;
      team.answer = LAME[0][1];
      assert.equal(await asks(async () => { for (let i = 0; i < 20; i++) await unavailable("failed"); }), 1);
    });
    test("the cause is in the log and not in the answer", async () => {
      await stack.logged(/"cause":".*cdn-cgi\/access\/certs: status 500/);
      await stack.logged(/"cause":".*cdn-cgi\/access\/certs: too long/);
      now += 2;
      assert.ok(!/certs|127\.0\.0\.1/.test(await (await get(await token())).text()));
    });

    test("once it answers, slowly, callers are let in; the first waits for it, and it is asked once for all of them", async () => {
      now += 2;
      team.answer = (request, response) => { setTimeout(() => { team.answer = team.publish; team.publish(request, response); }, 1500); };
      const from = performance.now(), ms: number[] = [];
      const asked = await asks(async () => {
        for (let i = 0; i < 50; i++) {
          assert.equal(await status(await token()), 200);
          ms.push(performance.now() - from);
        }
      });
      assert.equal(asked, 1);
      assert.ok(ms[0] > 1400 && ms[49] - ms[0] < 5000, `${ms[0]} ms, and ${ms[49] - ms[0]} ms for the others`);
    });
    test("a new isolate that meets many callers lets all of them in", async () => {
      await stack.reset();
      const tokens = await Promise.all(Array.from({ length: 20 }, () => token()));
      assert.equal(counted(await Promise.all(tokens.map(status))), "20 x 200");
    });
    /** Signed by nobody: what counts is that its key is not known. */
    const unknown = async (count: number) => {
      const [header, ...rest] = (await token()).split("."), read = JSON.parse(Buffer.from(header, "base64url").toString());
      return Array.from({ length: count }, (_, i) => [Buffer.from(JSON.stringify({ ...read, kid: `unknown-${i}` })).toString("base64url"), ...rest].join("."));
    };
    test("a thousand tokens with a thousand unknown keys make it ask once, and once more when a minute is over", async () => {
      now += 61;
      const tokens = await unknown(1000);
      assert.equal(await asks(async () => assert.equal(counted(await atOnce(20, tokens, status)), "1000 x 401")), 1);
      now += 50; // the thousand took some seconds
      assert.equal(await asks(async () => assert.equal(await status(tokens[0]), 401)), 0);
      now += 11;
      assert.equal(await asks(async () => assert.equal(await status(tokens[0]), 401)), 1);
    });
    test("while the key server hangs, one of a thousand unknown keys waits for it, five seconds, and callers with a known key do not", async () => {
      now += 61;
      team.answer = () => {};
      const ms: number[] = [];
      const timed = async (token: string) => {
        const from = performance.now(), got = await status(token);
        ms.push(performance.now() - from);
        return got;
      };
      assert.equal(await asks(async () => assert.equal(counted(await atOnce(20, await unknown(1000), timed)), "1000 x 401")), 1);
      assert.deepEqual([ms.filter((one) => one > 4500).length, ms.filter((one) => one > 7000).length], [1, 0]);
      ms.length = 0;
      assert.equal(counted(await atOnce(20, await Promise.all(Array.from({ length: 20 }, () => token())), timed)), "20 x 200");
      assert.ok(Math.max(...ms) < 2000, `${Math.max(...ms)} ms`);
      team.answer = team.publish;
    });
    test("a new key is believed from its first token on, and the old one stays for as long as it is published", async () => {
      const [old] = team.keys, fresh = await makeKey("second");
      team.keys.push(fresh);
      now += 61;
      assert.equal(await asks(async () => assert.equal(await status(await token(fresh)), 200)), 1);
      assert.equal(await asks(async () => assert.equal(await status(await token(old)), 200)), 0);
      const ended = await team.token({ key: old, claims: { exp: Math.floor(Date.now() / 1000) + now + 7200 } });
      assert.equal(await status(ended), 200);
      team.keys.shift();
      now += 3600;
      assert.equal(await asks(async () => { assert.equal(await status(await token(fresh)), 200); await renewed(); }), 1, "an hour later");
      assert.equal(await status(await token(old)), 401);
      assert.equal(await status(ended), 401, "what it proved before ends with it");
    });
    test("nobody waits for keys that are renewed, not even while the key server hangs", async () => {
      let hung: ServerResponse | undefined;
      team.answer = (_, response) => { hung = response; };
      now += 3601;
      const from = performance.now();
      assert.equal(await asks(async () => { for (let i = 0; i < 5; i++) assert.equal(await status(await token()), 200); }), 1);
      assert.ok(performance.now() - from < 2000, `${performance.now() - from} ms`);
      hung!.destroy();
      await renewed();
    });
    test("known keys last for a day while the key server fails, and no longer", async () => {
      team.answer = LAME[0][1];
      now += 22 * 3600; // the keys are an hour old already
      assert.equal(await status(await token()), 200);
      await renewed();
      now += 2 * 3600;
      await unavailable("a day later");
      team.answer = team.publish;
      now += 2;
      assert.equal(await status(await token()), 200);
    });
    test("a key that was withdrawn and whose name another one took is not believed any more", async () => {
      const [old] = team.keys;
      team.keys = [await makeKey(old.kid)];
      now += 3601;
      await asks(async () => { await status(await token(old)); await renewed(); });
      assert.equal(await status(await token()), 200);
      assert.equal(await status(await token(old)), 401);
    });
  });

  test("the edge rotates its keys: a token of the new one is let in within a minute, and one of a retired one for an hour at most", async () => {
    let now = 0; // in seconds from the real time
    const stack = await startControlled({ PRINCIPALS: JSON.stringify(policy([ID])) });
    try {
      const clock = () => ({ "x-clock": String(now) }), access = await stack.rpc("access"), { KEYS } = await stack.env("access");
      const throughEdge = () => stack.fetch("access", "/v1/orders", { headers: { ...KNOWN, ...clock() } });
      /** At the gateway, with a token that the edge might have signed with this key of its own. */
      const withKey = async (jwk: JWK) => {
        const token = await new SignJWT({ common_name: ID, type: "app" }).setProtectedHeader({ alg: "RS256", kid: jwk.kid })
          .setIssuer(stack.urls.get("access")!.origin).setAudience(LOCAL_AUDIENCE).setSubject("")
          .setExpirationTime(Math.floor(Date.now() / 1000) + now + 600).sign(await importJWK(jwk, "RS256"));
        return stack.fetch("gateway", "/v1/orders", { headers: { ...clock(), "Cf-Access-Jwt-Assertion": token } });
      };
      assert.equal((await throughEdge()).status, 200);
      const [old] = await KEYS.get("keys", "json");
      await access.rotate();
      assert.equal(await refusal(stack, await throughEdge()), "the token's key is unknown", "the keys were asked for a moment ago");
      now += 61;
      assert.deepEqual([(await throughEdge()).status, (await withKey(old)).status], [200, 200]);
      await access.retire();
      const [fresh] = await KEYS.get("keys", "json");
      now += 3590;
      assert.deepEqual([(await withKey(fresh)).status, (await withKey(old)).status], [200, 200]);
      now += 20;
      assert.equal((await withKey(fresh)).status, 200);
      await sleep(300); // the keys are renewed after the answer
      assert.equal((await withKey(fresh)).status, 200);
      assert.equal(await refusal(stack, await withKey(old)), "the token's key is unknown");
    } finally {
      await stack.close();
    }
  });
});
