// Who signs requests (RFC 9421, RFC 9530): a client that knows nothing of this gateway, and one of our own that can also do it
// wrong. What is refused is refused for the reason that the log tells, and spends nothing of what is good once.
import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { createSigner, httpbis } from "http-message-signatures";
import { startPattern } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { ACME, digest, ED25519, HMAC, policy, READERS, type Signed, type Signer, signature, signed } from "./callers.ts";
import { ask, type Asked, counted, decision, ORDER, signedFor, told } from "./gate.ts";

/** One keyid with two keys, as while they are changed. */
const OLD: Signer = { keyid: "turning", alg: "hmac-sha256", secret: randomBytes(32) };
const NEW: Signer = { keyid: "turning", alg: "ed25519", privateKey: generateKeyPairSync("ed25519").privateKey };
const STRANGER: Signer = { keyid: HMAC.keyid, alg: "hmac-sha256", secret: randomBytes(32) };

let stack: Stack;
before(async () => {
  const turning = { id: "turning", scopes: ["orders:read", "orders:write"], credentials: [signature(NEW), signature(OLD)] };
  stack = await startPattern("machine-gateway", { vars: { PRINCIPALS: JSON.stringify(policy([], turning)) } });
});
after(() => stack?.close());

const seconds = (from: number) => Math.floor(Date.now() / 1000) + from;
const nonce = () => randomBytes(16).toString("base64url");
const post = (how: Partial<Signed> & { path?: string } = {}) => signedFor(stack, { method: "POST", body: ORDER, ...how });
const get = (how: Partial<Signed> & { path?: string } = {}) => signedFor(stack, how);
const REQUIRED = ["@method", "@authority", "@target-uri"];

/** The npm package `http-message-signatures`, used as its README says. */
async function byPackage({ method = "GET", url, headers = {}, body, by = HMAC, covered = [], params = {} }: Signed) {
  const key = createSigner(by.secret ?? by.privateKey!, by.alg, by.keyid), fields = covered;
  const given = { nonce: nonce(), ...(typeof params.expires === "number" && { expires: new Date(params.expires * 1000) }) };
  const message = { method, url: url.href, headers };
  return (await httpbis.signMessage({ key, fields, params: ["created", "keyid", "nonce", ...Object.keys(params)], paramValues: given },
    message)).headers as Record<string, string>;
}

describe("a signed request is let in", () => {
  for (const [client, sign] of [["the npm package", byPackage], ["our own client", async (how: Signed) => signed(how)]] as const)
    for (const by of [HMAC, ED25519])
      for (const [request, body, algorithm] of [["GET /v1/orders", undefined, undefined], ["POST /v1/orders with a digest by sha-256", ORDER, "sha-256"],
        ["POST /v1/orders with a digest by sha-512", ORDER, "sha-512"]] as const)
        test(`${request} signed by ${client} with ${by.alg}, date covered or not, alg and expires there or not`, async () => {
          const method = request.split(" ")[0], url = new URL("/v1/orders?", stack.urls.get("gateway")!);
          url.search = body ? "" : "?limit=7";
          for (const date of [undefined, new Date().toUTCString()]) for (const params of [{}, { alg: by.alg }, { expires: seconds(60) },
            { expires: seconds(60), alg: by.alg }]) {
            const headers = { ...(date && { date }), ...(body && { "content-digest": digest(body, algorithm) }) };
            const given = await sign({ method, url, headers, body, by, covered: [...REQUIRED, ...Object.keys(headers)], params });
            const got = await ask(stack, { method, path: url.pathname + url.search, headers: given, body });
            const { principal, credential, proof, outcome } = await decision(stack, got);
            assert.deepEqual([got.status, principal, credential, proof, outcome], [body ? 201 : 200, ACME, by.keyid, "http-signature", "allowed"], got.text);
          }
        });

  const ACCEPTED: [string, () => Asked, string?][] = [
    ["created 4 minutes and 50 seconds ago", () => get({ params: { created: seconds(-290) } })],
    ["created 50 seconds ahead of our clock", () => get({ params: { created: seconds(50) } })],
    ["that expires in ten seconds", () => get({ params: { expires: seconds(10) } })],
    ["that covers @request-target in place of @target-uri", () => get({ covered: ["@method", "@authority", "@request-target"], path: "/v1/orders?limit=1" })],
    ["that covers @path and @query in place of @target-uri", () => get({ covered: ["@method", "@authority", "@path", "@query"], path: "/v1/orders?limit=1" })],
    ["that covers more than it must", () => get({ covered: [...REQUIRED, "@scheme", "accept", "x-of-its-own"],
      headers: { accept: "application/json", "x-of-its-own": "1" } })],
    ["with a tag", () => get({ params: { tag: "nightly" } })],
    ["with another label", () => get({ label: "of-mine" })],
    ["with a nonce of 256 characters", () => get({ params: { nonce: nonce().padEnd(256, "x") } })],
    ["with a digest of the content that is not there", () => get({ headers: { "content-digest": digest("") }, covered: [...REQUIRED, "content-digest"] })],
    ["with two digests", () => post({ headers: { "content-digest": `${digest(ORDER)}, ${digest(ORDER, "sha-512")}` } }), "POST"],
    ["with a digest of an algorithm that is not known beside a good one", () => post({ headers: { "content-digest": `md5=:AAAA:, ${digest(ORDER)}` } }), "POST"],
    ["of the other principal, who may only read", () => get({ by: READERS })],
  ];
  for (const [what, request, method = "GET"] of ACCEPTED) test(`${method} /v1/orders with a signature ${what}`, async () => {
    assert.match(await told(stack, ask(stack, request())), /^20[01] allowed$/);
  });
});

const NOT_COVERED = "401 the method, the target or the authority is not covered", CONTENT = "401 the signature does not cover the content's digest";
const UNDERSTOOD = "401 a parameter of the signature is not understood", WRONG = "401 the signature is wrong", UNKNOWN = "401 the credential is of no principal";
const ALG = "401 the signature's alg is not the key's algorithm", COMPONENT = "401 a covered component is unknown, repeated or does not apply";
const VALUE = "401 a covered component has no value in the message", ONE = "401 the message has not exactly one signature",
  MALFORMED = "401 a field or the target is malformed";
const KEYID = "401 the signature has no usable keyid", NONCE = "401 the signature has no usable nonce", UNSIGNED = "401 the message is not signed";
const DIGEST = "401 a digest is not the content's", NO_DIGEST = "401 no digest of the content has an algorithm that is known and safe";
const without = (name: string) => [...REQUIRED, "content-digest"].filter((one) => one !== name);

describe("a signature that does not say what it must is refused", () => {
  const REFUSED: [string, () => Asked, string][] = [
    ["that does not cover @method", () => post({ covered: without("@method") }), NOT_COVERED],
    ["that does not cover @authority", () => post({ covered: without("@authority") }), NOT_COVERED],
    ["that does not cover the target", () => post({ covered: without("@target-uri") }), NOT_COVERED],
    ["that covers of the target the @path alone", () => post({ covered: [...without("@target-uri"), "@path"] }), NOT_COVERED],
    ["that covers of the target the @query alone", () => post({ covered: [...without("@target-uri"), "@query"] }), NOT_COVERED],
    ["that covers nothing", () => post({ covered: [] }), NOT_COVERED],
    ["that does not cover the digest", () => post({ covered: REQUIRED }), CONTENT],
    ["without created", () => post({ params: { created: undefined } }), "401 the signature does not say when it was created"],
    ["without keyid", () => post({ params: { keyid: undefined } }), KEYID],
    ["without nonce", () => post({ params: { nonce: undefined } }), NONCE],
    ["without any parameter", () => post({ params: { created: undefined, keyid: undefined, nonce: undefined } }),
      "401 the signature does not say when it was created"],
    ["with an empty nonce", () => post({ params: { nonce: "" } }), NONCE],
    ["with a nonce of 257 characters", () => post({ params: { nonce: "x".repeat(257) } }), NONCE],
    ["with a nonce that is a number", () => post({ params: { nonce: 7 } }), UNDERSTOOD],
    ["with an empty keyid", () => post({ params: { keyid: "" } }), KEYID],
    ["created five minutes and two seconds ago", () => post({ params: { created: seconds(-302) } }), "401 the signature was created too long ago"],
    ["created in 1970", () => post({ params: { created: 0 } }), "401 the signature was created too long ago"],
    ["created more than a minute in the future", () => post({ params: { created: seconds(63) } }), "401 the signature was created in the future"],
    ["created at a time that is a text", () => post({ params: { created: String(seconds(0)) } }), UNDERSTOOD],
    ["created before all time", () => post({ params: { created: -1 } }), UNDERSTOOD],
    ["that expired a second ago", () => post({ params: { expires: seconds(-1) } }), "401 the signature has expired"],
    ["that expires in a year and was created too long ago", () => post({ params: { created: seconds(-302), expires: seconds(31_536_000) } }),
      "401 the signature was created too long ago"],
    ["whose alg is another's", () => post({ params: { alg: "ed25519" } }), ALG],
    ["whose alg is none", () => post({ params: { alg: "none" } }), ALG],
    ["whose alg HMAC is said of an Ed25519 key", () => post({ by: ED25519, params: { alg: "hmac-sha256" } }), ALG],
    ["by an unknown key", () => post({ params: { keyid: "nobodys" } }), UNKNOWN],
    ["by a name that every object has", () => post({ params: { keyid: "constructor" } }), UNKNOWN],
    ["by the name of a credential of another kind", () => post({ params: { keyid: "acme-jwt" } }), UNKNOWN],
    ["with another secret", () => post({ by: STRANGER }), WRONG],
    ["with another principal's secret", () => post({ by: { ...READERS, keyid: HMAC.keyid } }), WRONG],
    ["with HMAC by the bytes of the public key", () => {
      const { public_key } = signature(ED25519) as { public_key: string };
      return post({ by: { keyid: ED25519.keyid, alg: "hmac-sha256", secret: Buffer.from(public_key) } });
    }, WRONG],
    ["with a parameter of its own", () => post({ params: { scope: "orders:write" } }), UNDERSTOOD],
    ["that covers a component that nobody knows", () => post({ covered: [...without(""), "@everything"] }), COMPONENT],
    ["that covers the status of a request", () => post({ covered: [...without(""), "@status"] }), COMPONENT],
    ["that covers a component twice", () => post({ covered: [...without(""), "@method"] }), COMPONENT],
    ["that covers a header that is not there", () => post({ covered: [...without(""), "x-absent"] }), VALUE],
    ["that covers 33 components", () => {
      const headers = Object.fromEntries(Array.from({ length: 29 }, (_, i) => [`x-${i}`, "1"]));
      return post({ headers, covered: [...without(""), ...Object.keys(headers)] });
    }, "401 the signature, or what it covers, is too large"],
    ["with a digest by md5", () => post({ headers: { "content-digest": "md5=:rL0Y20zC+Fzt72VPzMSk2A==:" } }), NO_DIGEST],
    ["with a digest that is cut", () => post({ headers: { "content-digest": "sha-256=:AAAA:" } }), MALFORMED],
    ["with a digest that is a text", () => post({ headers: { "content-digest": 'sha-256="AAAA"' } }), MALFORMED],
    ["with a good digest and a bad one", () => post({ headers: { "content-digest": `${digest(ORDER)}, ${digest("else", "sha-512")}` } }), DIGEST],
    ["with the digest of another body", () => post({ headers: { "content-digest": digest("{}") } }), DIGEST],
  ];
  for (const [what, request, reason] of REFUSED) test(`POST /v1/orders with a signature ${what} is 401`, async () => {
    assert.equal(await told(stack, ask(stack, request())), reason);
  });
});

describe("a request that is changed after it was signed is refused, and as it was signed it is let in", () => {
  type Change = (asked: Asked & { headers: Record<string, string> }) => Asked;
  const header = (name: string, how: (value: string) => string): Change => ({ headers, ...asked }) => ({ ...asked,
    headers: { ...headers, [name]: how(headers[name]) } });
  const drop = (name: string): Change => ({ headers: { [name]: _, ...headers }, ...asked }) => ({ ...asked, headers });
  const input = (from: string | RegExp, to: string) => header("signature-input", (value) => value.replace(from, to));
  const flipped = header("signature", (value) => value.replace(/:(.)/, (_, first) => `:${first === "A" ? "B" : "A"}`));
  const other = () => JSON.stringify({ sku: "A-1", quantity: 100 });
  const TARGETS = { headers: { date: new Date().toUTCString() }, covered: ["@method", "@authority", "@target-uri", "date"] };

  const CHANGED: [string, () => Asked, Change, string][] = [
    ["the method", post, (asked) => ({ ...asked, method: "PUT" }), WRONG],
    ["a read into a HEAD", get, (asked) => ({ ...asked, method: "HEAD" }), WRONG],
    ["the path", post, (asked) => ({ ...asked, path: "/v1/reports" }), WRONG],
    ["the path by a slash", get, (asked) => ({ ...asked, path: "/v1/orders/" }), WRONG],
    ["the path's spelling", get, (asked) => ({ ...asked, path: "/v1/order%73" }), WRONG],
    ["the query", () => get({ path: "/v1/orders?limit=1" }), (asked) => ({ ...asked, path: "/v1/orders?limit=100" }), WRONG],
    ["a query that was not there", get, (asked) => ({ ...asked, path: "/v1/orders?limit=1" }), WRONG],
    ["the spelling of the query", () => get({ path: "/v1/orders?limit=10" }), (asked) => ({ ...asked, path: "/v1/orders?limit=1%30" }), WRONG],
    ["the query beside a covered @path and @query", () => get({ covered: ["@method", "@authority", "@path", "@query"], path: "/v1/orders?limit=1" }),
      (asked) => ({ ...asked, path: "/v1/orders?limit=2" }), WRONG],
    ["the host beside a covered @request-target", () => get({ covered: ["@method", "@authority", "@request-target"] }),
      (asked) => ({ ...asked, headers: { ...asked.headers, host: "api.example.com" } }), WRONG],
    ["the port", get, (asked) => ({ ...asked, headers: { ...asked.headers, host: "127.0.0.1:1" } }), WRONG],
    ["the body", post, (asked) => ({ ...asked, body: other() }), DIGEST],
    ["the body by a space", post, (asked) => ({ ...asked, body: `${ORDER} ` }), DIGEST],
    ["the body to none", post, (asked) => ({ ...asked, body: "" }), DIGEST],
    ["body and digest", post, ({ headers, ...asked }) => ({ ...asked, body: other(), headers: { ...headers, "content-digest": digest(other()) } }), WRONG],
    ["the digest", post, header("content-digest", () => digest("else")), WRONG],
    ["the digest to another algorithm's", post, header("content-digest", () => digest(ORDER, "sha-512")), WRONG],
    ["the digest to none", post, drop("content-digest"), VALUE],
    ["a covered date", () => get(TARGETS), header("date", () => new Date(0).toUTCString()), WRONG],
    ["a covered date to none", () => get(TARGETS), drop("date"), VALUE],
    ["the signature", post, flipped, WRONG],
    ["the signature to one byte", post, header("signature", () => "sig1=:AA==:"), WRONG],
    ["the signature to nothing", post, header("signature", () => "sig1=::"), WRONG],
    ["an Ed25519 signature", () => post({ by: ED25519 }), flipped, WRONG],
    ["an Ed25519 signature to one byte", () => post({ by: ED25519 }), header("signature", () => "sig1=:AA==:"), WRONG],
    ["the signature to a text", post, header("signature", () => 'sig1="AAAA"'), MALFORMED],
    ["created", post, input(/created=\d+/, `created=${seconds(-100)}`), WRONG],
    ["the nonce", post, input(/nonce="./, 'nonce="~'), WRONG],
    ["the keyid", post, input(HMAC.keyid, READERS.keyid), WRONG],
    ["what is covered, by its order", post, input('"@method" "@authority"', '"@authority" "@method"'), WRONG],
    ["what is covered, by one less", get, input(' "@target-uri"', ' "@request-target"'), WRONG],
    ["the input into no list", post, header("signature-input", () => "sig1"), MALFORMED],
    ["the label of one of the two", post, header("signature", (value) => value.replace("sig1", "sig2")), ONE],
    ["its signature to none", post, drop("signature"), UNSIGNED],
    ["its input to none", post, drop("signature-input"), UNSIGNED],
    ["a second signature beside it", post, ({ headers, ...asked }) => {
      const second = post({ label: "sig2" }).headers!;
      return { ...asked, headers: { ...headers, "signature-input": `${headers["signature-input"]}, ${second["signature-input"]}`,
        signature: `${headers.signature}, ${second.signature}` } };
    }, ONE],
    ["a second signature beside it without an input", post, header("signature", (value) => `${value}, sig2=:AAAA:`), ONE],
  ];
  for (const [what, request, change, reason] of CHANGED) test(`/v1/orders with a signed request changed in ${what} is 401`, async () => {
    const asked = request() as Parameters<Change>[0];
    assert.equal(await told(stack, ask(stack, change(asked))), reason);
    assert.match(await told(stack, ask(stack, asked)), /^20[01] allowed$/);
  });
});

describe("a nonce is good once", () => {
  for (const by of [HMAC, ED25519]) test(`a copy of a request signed with ${by.alg} is 401, GET /v1/orders and POST /v1/orders`, async () => {
    for (const asked of [get({ by }), post({ by })]) {
      assert.match(await told(stack, ask(stack, asked)), /^20[01] allowed$/);
      assert.equal(await told(stack, ask(stack, asked)), "401 replay");
    }
  });
  test("POST /v1/orders signed anew with the nonce of a GET is 401", async () => {
    const params = { nonce: nonce() };
    assert.equal(await told(stack, ask(stack, get({ params }))), "200 allowed");
    assert.equal(await told(stack, ask(stack, post({ params }))), "401 replay");
  });
  test("GET /v1/orders with the nonce of another credential, or of another principal, is 200", async () => {
    const params = { nonce: nonce() };
    for (const by of [HMAC, ED25519, READERS]) assert.equal(await told(stack, ask(stack, get({ by, params }))), "200 allowed", by.keyid);
  });
  test("POST /v1/orders that is 403, 413 or 422 first leaves, or takes, its nonce as said: what is refused at the door spends none", async () => {
    const params = { nonce: nonce() }, large = JSON.stringify({ sku: "A-1", quantity: 1 }).padEnd((16 << 10) + 1);
    assert.equal(await told(stack, ask(stack, post({ by: READERS, params }))), "403 the scope is not granted");
    assert.equal(await told(stack, ask(stack, get({ by: READERS, params }))), "200 allowed");
    assert.equal(await told(stack, ask(stack, post({ body: large, params }))), "413 the body is too long");
    assert.equal(await told(stack, ask(stack, post({ params }))), "201 allowed");
    const bad = post({ body: "{}" });
    assert.equal(await told(stack, ask(stack, bad)), "422 allowed"); // orders refused it: the door had let it through
    assert.equal(await told(stack, ask(stack, bad)), "401 replay");
  });
  test("a path without a route spends no nonce: nothing can happen twice there", async () => {
    for (const [path, status] of [["/v1/nowhere", 404], ["/v1/orders", 405]] as const) {
      const asked = get({ path, method: "DELETE" });
      assert.equal(counted([(await ask(stack, asked)).status, (await ask(stack, asked)).status]), `2 x ${status}`);
    }
  });
});

describe("while a key is changed", () => {
  test("GET /v1/orders signed with the old key and with the new one is 200, with a third one 401", async () => {
    for (const by of [OLD, NEW]) assert.equal(await told(stack, ask(stack, get({ by }))), "200 allowed");
    for (const by of [{ ...OLD, secret: randomBytes(32) }, { ...NEW, privateKey: ED25519.privateKey }])
      assert.equal(await told(stack, ask(stack, get({ by }))), WRONG);
  });
  test("POST /v1/orders signed with the new key and the nonce of one signed with the old is 401", async () => {
    const params = { nonce: nonce() };
    assert.equal(await told(stack, ask(stack, post({ by: OLD, params }))), "201 allowed");
    assert.equal(await told(stack, ask(stack, post({ by: NEW, params }))), "401 replay");
  });
  test("alg names which of the two keys is meant", async () => {
    assert.equal(await told(stack, ask(stack, get({ by: NEW, params: { alg: "ed25519" } }))), "200 allowed");
    assert.equal(await told(stack, ask(stack, get({ by: NEW, params: { alg: "hmac-sha256" } }))), WRONG);
  });
});

test("no signature and no secret is in the log", () => {
  assert.ok(stack.logs.length > 200, "there is a log");
  const secrets = [HMAC, READERS, OLD].flatMap(({ secret }) => [secret!.toString("base64"), secret!.toString("base64url"), secret!.toString("hex")]);
  assert.deepEqual(stack.logs.filter((line) => /sig1|sha-256=|nonce=|quantity/.test(line) || secrets.some((secret) => line.includes(secret))), []);
});
