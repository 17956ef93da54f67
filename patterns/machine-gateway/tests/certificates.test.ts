// Who has a client certificate: over TLS at the edge that asks for one, and at the gateway, which believes the edge only.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fingerprint } from "../../../tests/harness/certificates.ts";
import { startPattern } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { HMAC, policy, signed } from "./callers.ts";
import { type Asked, ask, askOverTls, decision, ORDER, told } from "./gate.ts";

const KINDS = ["client", "revoked", "expired", "stranger"], PRINCIPAL = "machine";
let stack: Stack, edge: URL, known: string;
before(async () => {
  stack = await startPattern("machine-gateway");
  edge = stack.urls.get("mtls")!;
  known = print("client");
  // All of them are listed: whoever is refused is refused for what the edge says.
  const machine = { id: PRINCIPAL, scopes: ["orders:read", "orders:write"],
    credentials: KINDS.map((kind) => ({ type: "client_certificate", fingerprint_sha256: print(kind) })) };
  await (await stack.env("gateway")).POLICY.put("principals", JSON.stringify(policy([], machine)));
});
after(() => stack?.close());
const print = (who: string) => fingerprint(stack.identity(who).cert);

const over = (who: string | undefined, asked: Asked = {}) => askOverTls(stack, who, asked);

describe("over TLS", () => {
  test("GET /v1/orders and POST /v1/orders with a certificate that is listed are 200 and 201, and the log names it", async () => {
    for (const [asked, status] of [[{}, 200], [{ method: "POST", body: ORDER }, 201]] as const) {
      const got = await over("client", asked), { principal, credential, proof, outcome } = await decision(stack, got);
      assert.deepEqual([got.status, principal, credential, proof, outcome], [status, PRINCIPAL, known, "client-certificate", "allowed"], got.text);
    }
  });
  for (const [who, reason] of [["revoked", "the client certificate is revoked, or nobody says that it is not"],
    ["expired", "the client certificate is not verified"],
    ["stranger", "the client certificate is not verified"], [undefined, "anonymous"]] as const)
    test(`GET /v1/orders with ${who ? `the certificate "${who}"` : "no certificate"} is 401`, async () => {
      assert.equal(await told(stack, over(who)), `401 ${reason}`);
    });
  test("GET /v1/orders without a certificate and with a signature is 200: the next proof counts", async () => {
    assert.equal(await told(stack, over(undefined, { headers: signed({ url: new URL("/v1/orders", edge) }) })), "200 allowed");
  });
  test("GET /v1/orders with an expired certificate and a good signature is 401: the better proof is the one that counts", async () => {
    const headers = signed({ url: new URL("/v1/orders", edge), by: HMAC });
    assert.equal(await told(stack, over("expired", { headers })), "401 the client certificate is not verified");
  });
  test("GET /v1/orders without a certificate and with the edge's own words about one is 401", async () => {
    for (const headers of forged()) assert.equal(await told(stack, over(undefined, { headers })), "401 anonymous", Object.keys(headers).join());
  });
  test("GET /v1/orders with a revoked certificate and the edge's own words about a good one is 401", async () => {
    for (const headers of forged()) assert.match(await told(stack, over("revoked", { headers })), /^401 the client certificate is revoked/);
  });
});

const good = () => ({ certPresented: "1", certVerified: "SUCCESS", certRevoked: "0", certFingerprintSHA256: known });
/** What somebody might send who knows how the edge tells a Worker of certificates, here and elsewhere. */
const forged = (): Record<string, string>[] => [{ "MF-CF-Blob": JSON.stringify({ tlsClientAuth: good() }) },
  { "MF-CF-Blob": JSON.stringify({ tlsClientAuth: good() }), "MF-Edge-Key": "guessed" },
  { cf: JSON.stringify({ tlsClientAuth: good() }) }, { "Cf-Client-Cert-Sha256": known, "Cf-Cert-Presented": "1", "Cf-Cert-Verified": "true",
    "Cf-Cert-Revoked": "false" },
  { "X-Client-Cert": encodeURIComponent(stack.identity("client").cert), "X-SSL-Client-Verify": "SUCCESS" },
  { "Client-Cert": `:${Buffer.from(known, "hex").toString("base64")}:` }];

describe("at the bare gateway", () => {
  test("GET /v1/orders with a client's own word about a certificate is 401", async () => {
    for (const headers of forged()) assert.equal(await told(stack, ask(stack, { headers })), "401 anonymous", Object.keys(headers).join());
  });
  const says = async (tlsClientAuth: object | undefined) => {
    const answer = await stack.fetch("gateway", "/v1/orders", { cf: { tlsClientAuth } });
    return told(stack, { status: answer.status, headers: Object.fromEntries(answer.headers), text: await answer.text() });
  };
  const REVOKED = "401 the client certificate is revoked, or nobody says that it is not", NOT = "401 the client certificate is not verified";
  const SAID: [string, Record<string, unknown>, string][] = [
    ["all that is good", {}, "200 allowed"],
    ["the fingerprint in upper case", { certFingerprintSHA256: () => known.toUpperCase() }, "200 allowed"],
    ["nothing of its revocation", { certRevoked: undefined }, REVOKED],
    ["that it is revoked", { certRevoked: "1" }, REVOKED],
    ["nothing between yes and no of its revocation", { certRevoked: "" }, REVOKED],
    ["false of its revocation", { certRevoked: false }, REVOKED],
    ["nothing of its verification", { certVerified: undefined }, NOT],
    ["that its verification failed", { certVerified: "FAILED:self signed certificate" }, NOT],
    ["that its verification failed with success", { certVerified: "FAILED:SUCCESS" }, NOT],
    ["that there was none to verify", { certVerified: "NONE" }, NOT],
    ["success in lower case", { certVerified: "success" }, NOT],
    ["true of its verification", { certVerified: true }, NOT],
    ["nothing of its fingerprint", { certFingerprintSHA256: undefined }, "401 the client certificate has no fingerprint"],
    ["an empty fingerprint", { certFingerprintSHA256: "" }, "401 the credential is of no principal"],
    ["a fingerprint that is not listed", { certFingerprintSHA256: "ab".repeat(32) }, "401 the credential is of no principal"],
    ["the fingerprint by SHA-1 only", { certFingerprintSHA256: undefined, certFingerprintSHA1: "ab".repeat(20) },
      "401 the client certificate has no fingerprint"],
    ["a fingerprint with colons", { certFingerprintSHA256: () => known.replace(/..(?=.)/g, "$&:") }, "401 the credential is of no principal"],
    ["that none was presented", { certPresented: "0" }, "401 anonymous"],
    ["nothing of a presentation", { certPresented: undefined }, "401 anonymous"],
  ];
  for (const [what, more, expected] of SAID) test(`GET /v1/orders when the edge says ${what} is ${expected.slice(0, 3)}`, async () => {
    const said = Object.entries<unknown>({ ...good(), ...more }).map(([name, value]) => [name, typeof value === "function" ? value() : value]);
    assert.equal(await says(Object.fromEntries(said)), expected);
  });
  test("GET /v1/orders when the edge says nothing at all is 401", async () => {
    assert.deepEqual([await says(undefined), await says({})], ["401 anonymous", "401 anonymous"]);
  });
});

test("GET /v1/orders with a certificate that is verified and not listed is 401", async () => {
  const other = await startPattern("machine-gateway", { vars: { PRINCIPALS: JSON.stringify(policy()) } });
  try {
    assert.equal(await told(other, askOverTls(other, "client")), "401 the credential is of no principal");
  } finally {
    await other.close();
  }
});
