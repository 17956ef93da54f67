// Who has only a JWT of its own (HS256 with a shared secret): what such a token must say, and that to write it is good once.
import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { startPattern } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { ACME, JWT, jwt, policy, token } from "./callers.ts";
import { ask, type Asked, decision, LOCAL_AUDIENCE as AUDIENCE, ORDER, told } from "./gate.ts";

const OTHER = { kid: "other-jwt", issuer: "other", secret: randomBytes(32) };
/** One kid with two secrets, as while they are changed. */
const OLD = { kid: "turning-jwt", issuer: "turning", secret: randomBytes(32) }, NEW = { ...OLD, secret: randomBytes(32) };

let stack: Stack;
before(async () => {
  const more = [["other", [OTHER]], ["turning", [OLD, NEW]]] as const;
  stack = await startPattern("machine-gateway", { vars: { PRINCIPALS: JSON.stringify(policy([], ...more.map(([id, all]) =>
    ({ id, scopes: ["orders:read", "orders:write"], credentials: all.map(token) })))) } });
});
after(() => stack?.close());

const soon = (from = 0) => Math.floor(Date.now() / 1000) + from;
const made = (how: Omit<Parameters<typeof jwt>[0], "audience"> = {}) => jwt({ audience: AUDIENCE, ...how });
/** Their times are those of the moment at which the token is made. */
const claims = (claims: () => object) => () => made({ claims: claims() });
const header = (header: object) => () => made({ header });
const by = ({ kid, issuer, secret }: typeof JWT, more: object = {}) => made({ header: { kid }, claims: { iss: issuer, ...more }, secret });
const bearing = (value: string, asked: Asked = {}) => told(stack, ask(stack, { ...asked, headers: { authorization: `Bearer ${value}` } }));
const read = (value: string) => bearing(value), write = (value: string) => bearing(value, { method: "POST", body: ORDER });
const encode = (text: string) => Buffer.from(text).toString("base64url");
/** Signed over these very texts. */
const raw = (header: string, payload: string, hash = "sha256") => {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${createHmac(hash, JWT.secret).update(input).digest("base64url")}`;
};
const HEADER = JSON.stringify({ alg: "HS256", kid: JWT.kid });
const payload = (members = "") => `{"iss":"acme","aud":"${AUDIENCE}","iat":${soon()},"exp":${soon(60)},"jti":"${randomBytes(8).toString("hex")}"${members}}`;
const parts = (change: (header: any, payload: any, signature: string) => string) => {
  const [header, payload, signature] = made().split(".");
  return change(...[header, payload].map((part) => JSON.parse(Buffer.from(part, "base64url").toString())) as [any, any], signature);
};

describe("GET /v1/orders and POST /v1/orders are let in with a token", () => {
  const ACCEPTED: [string, () => string][] = [
    ["as it is meant to be", () => made()],
    ["of this very spelling", () => raw(HEADER, payload())],
    ["for several audiences", claims(() => ({ aud: ["other", AUDIENCE] }))],
    ["that lives for five minutes", claims(() => ({ iat: soon(), exp: soon(300) }))],
    ["that expired half a minute ago, by our clock", claims(() => ({ iat: soon(-90), exp: soon(-30) }))],
    ["from half a minute ahead of our clock", claims(() => ({ iat: soon(30), exp: soon(90), nbf: soon(30) }))],
    ["without typ", header({ typ: undefined })],
    ["that brings a key and where to find one, which nobody looks at",
      header({ jwk: { kty: "oct", k: "AAAA" }, jku: "https://example.com/keys", x5u: "https://example.com/x" })],
    ["with a claim that is not known", claims(() => ({ scope: "orders:read", admin: false }))],
    ["with a jti of 128 characters", () => made({ claims: { jti: randomBytes(64).toString("hex") } })],
    ["of the other principal", () => by(OTHER)],
    ["by the old secret, while it is changed", () => by(OLD)],
    ["by the new secret, while it is changed", () => by(NEW)],
  ];
  for (const [what, token] of ACCEPTED) test(what, async () => {
    assert.deepEqual([await read(token()), await write(token())], ["200 allowed", "201 allowed"]);
  });
  test("the log names principal, credential and proof", async () => {
    const got = await ask(stack, { headers: { authorization: `bearer  ${made()}` } }), { principal, credential, proof } = await decision(stack, got);
    assert.deepEqual([principal, credential, proof], [ACME, JWT.kid, "jwt"]);
  });
});

describe("GET /v1/orders and POST /v1/orders are 401 with a token", () => {
  const ALGORITHM = "algorithm is not its key's", SIGNATURE = "signature is wrong", MALFORMED = "malformed",
    LIFETIME = "lifetime is unknown, or not within five minutes";
  const stranger = randomBytes(32), UNKNOWN = "the credential is of no principal";
  const REFUSED: [string, () => string, string][] = [
    ["of alg none without a signature", () => parts((h, p) => `${encode(JSON.stringify({ ...h, alg: "none" }))}.${encode(JSON.stringify(p))}.`), ALGORITHM],
    ["of alg none with a signature", () => raw(JSON.stringify({ alg: "none", kid: JWT.kid }), payload()), ALGORITHM],
    ["of alg nOnE", header({ alg: "nOnE" }), ALGORITHM],
    ["that says RS256", header({ alg: "RS256" }), ALGORITHM],
    ["of HS512", () => raw(JSON.stringify({ alg: "HS512", kid: JWT.kid }), payload(), "sha512"), ALGORITHM],
    ["without alg", header({ alg: undefined }), MALFORMED],
    ["by another secret", () => made({ secret: stranger }), SIGNATURE],
    ["by the empty secret", () => made({ secret: Buffer.alloc(0) }), SIGNATURE],
    ["by another secret that it brings along", () => made({ secret: stranger,
      header: { jwk: { kty: "oct", kid: JWT.kid, k: stranger.toString("base64url") } } }), SIGNATURE],
    ["by another secret that it says where to find", () => made({ secret: stranger,
      header: { jku: "http://127.0.0.1:1/keys", x5u: "http://127.0.0.1:1/x" } }), SIGNATURE],
    ["without a signature", () => parts((h, p) => `${encode(JSON.stringify(h))}.${encode(JSON.stringify(p))}.`), SIGNATURE],
    ["with another payload", () => parts((h, p, s) => `${encode(JSON.stringify(h))}.${encode(JSON.stringify({ ...p, iss: "root" }))}.${s}`), SIGNATURE],
    ["with half a signature", () => made().slice(0, -23), SIGNATURE],
    ["under the kid of another principal", header({ kid: OTHER.kid }), SIGNATURE],
    ["in the name of another principal", () => by({ ...JWT, issuer: OTHER.issuer }), "another issuer's"],
    ["in the name of another principal under its kid, by one's own secret", () => by({ ...OTHER, secret: JWT.secret }), SIGNATURE],
    ["under an unknown kid", header({ kid: "nobodys" }), UNKNOWN],
    ["under the kid of a signature's key", header({ kid: "acme-hmac" }), UNKNOWN],
    ["under a kid that is a path", header({ kid: "../../dev/null" }), UNKNOWN],
    ["under a kid that is a statement", header({ kid: "x' UNION SELECT 'secret" }), UNKNOWN],
    ["without kid", header({ kid: undefined }), MALFORMED],
    ["that expired a minute and a second ago", claims(() => ({ iat: soon(-121), exp: soon(-61) })), "expired"],
    ["without exp", claims(() => ({ exp: undefined })), MALFORMED],
    ["without iat", claims(() => ({ iat: undefined })), LIFETIME],
    ["that lives for 301 seconds", claims(() => ({ iat: soon(), exp: soon(301) })), LIFETIME],
    ["that lives for a year", claims(() => ({ exp: soon(31_536_000) })), LIFETIME],
    ["that lives for no time", claims(() => ({ iat: soon(30), exp: soon(30) })), LIFETIME],
    ["from the future", claims(() => ({ iat: soon(70), exp: soon(100) })), "not valid yet"],
    ["that is good later", claims(() => ({ nbf: soon(70) })), "not valid yet"],
    ["of another issuer", claims(() => ({ iss: "acme " })), "another issuer's"],
    ["for another audience", claims(() => ({ aud: "else" })), "another audience"],
    ["for no audience", claims(() => ({ aud: [] })), "another audience"],
    ["without an audience", claims(() => ({ aud: undefined })), MALFORMED],
    ["with a claim that comes twice", () => raw(HEADER, payload(`,"iss":"acme"`)), MALFORMED],
    ["with exp twice, the second one later", () => raw(HEADER, payload(`,"exp":${soon(200)}`)), MALFORMED],
    ["with alg twice", () => raw(`{"alg":"none","alg":"HS256","kid":"${JWT.kid}"}`, payload()), MALFORMED],
    ["with a jti that comes twice", () => raw(HEADER, payload(`,"jti":"again"`)), MALFORMED],
    ["that is a list", () => raw(HEADER, `[${payload()}]`), MALFORMED],
    ["of 9 KB", claims(() => ({ more: "x".repeat(6500) })), MALFORMED],
    ["with a critical extension", header({ crit: ["exp"] }), "critical"],
    ["of another type", header({ typ: "at+jwt" }), "typ"],
    ["with an empty jti", claims(() => ({ jti: "" })), "jti"],
    ["with a jti of 129 characters", claims(() => ({ jti: "x".repeat(129) })), "jti"],
    ["with a jti with a space", claims(() => ({ jti: "a b" })), "jti"],
    ["with padding", () => `${made()}=`, MALFORMED],
    ["with a fourth part", () => `${made()}.AAAA`, SIGNATURE],
    ["twice, after a comma", () => `${made()}, ${made()}`, SIGNATURE],
    ["that is none", () => "garbage", MALFORMED],
    ["that is empty", () => "", MALFORMED],
    ["that is the secret itself", () => JWT.secret.toString("base64"), MALFORMED],
  ];
  for (const [what, token, why] of REFUSED) test(what, async () => {
    for (const said of [await read(token()), await write(token())]) assert.match(said, new RegExp(`^401 .*${why}`));
  });
  test("anywhere but in Authorization, or under another scheme", async () => {
    const token = made();
    for (const headers of [{ authorization: token }, { authorization: `Basic ${token}` }, { authorization: `Token ${token}` },
      { "x-authorization": `Bearer ${token}` },
      { cookie: `token=${token}` }] as Record<string, string>[])
      assert.equal(await told(stack, ask(stack, { headers })), "401 anonymous", JSON.stringify(headers));
    assert.equal(await told(stack, ask(stack, { path: `/v1/orders?access_token=${token}` })), "401 anonymous");
  });
});

describe("a token's jti", () => {
  test("a second POST /v1/orders with one token is 401", async () => {
    const token = made();
    assert.deepEqual([await write(token), await write(token)], ["201 allowed", "401 replay"]);
  });
  test("POST /v1/orders with another token of the same jti is 401", async () => {
    const jti = randomBytes(8).toString("hex"), [one, other] = [made({ claims: { jti } }), made({ claims: { jti, exp: soon(77) } })];
    assert.deepEqual([await write(one), await write(other), await read(other)], ["201 allowed", "401 replay", "200 allowed"]);
  });
  test("POST /v1/orders with a token without jti is 401, and GET /v1/orders with it 200", async () => {
    for (const jti of [undefined, null]) {
      const token = made({ claims: { jti } });
      assert.deepEqual([await write(token), await read(token)], ["401 a token that writes needs a jti", "200 allowed"]);
    }
  });
  test("GET /v1/orders again and again with one token is 200, and its POST is still the first", async () => {
    const token = made();
    for (let i = 0; i < 3; i++) assert.equal(await read(token), "200 allowed");
    assert.equal((await ask(stack, { method: "HEAD", headers: { authorization: `Bearer ${token}` } })).status, 200);
    assert.deepEqual([await write(token), await read(token), await write(token)], ["201 allowed", "200 allowed", "401 replay"]);
  });
  test("the jti of another principal's token is another one; so is a signature's nonce", async () => {
    const jti = randomBytes(8).toString("hex");
    assert.deepEqual([await write(made({ claims: { jti } })), await write(by(OTHER, { jti }))], ["201 allowed", "201 allowed"]);
  });
  test("while a secret is changed, one jti is good once for both", async () => {
    const jti = randomBytes(8).toString("hex");
    assert.deepEqual([await write(by(OLD, { jti })), await write(by(NEW, { jti }))], ["201 allowed", "401 replay"]);
  });
  test("POST /v1/orders that is too long leaves it unspent", async () => {
    const token = made();
    assert.equal(await bearing(token, { method: "POST", body: ORDER.padEnd((16 << 10) + 1) }), "413 the body is too long");
    assert.equal(await write(token), "201 allowed");
  });
});

test("no token, no jti and no secret is in the log", () => {
  assert.ok(stack.logs.length > 100, "there is a log");
  const secrets = [JWT, OTHER, OLD, NEW].flatMap(({ secret }) => [secret.toString("base64"), secret.toString("base64url")]);
  assert.deepEqual(stack.logs.filter((line) => /eyJ|garbage|jti":|UNION/.test(line) || secrets.some((secret) => line.includes(secret))), []);
});
