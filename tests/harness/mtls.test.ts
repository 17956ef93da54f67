// The mTLS edge before the small pattern in fixture/: what a Worker hears of the client's certificate, and that it hears the
// rest as the client sent it.
//   node --test tests/harness/mtls.test.ts
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent, type RequestOptions, request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type TLSSocket } from "node:tls";
import "reflect-metadata"; // wanted by the next
import { Extension, PemConverter, X509CertificateGenerator } from "@peculiar/x509";
import { fingerprint, makeCertificates } from "./certificates.ts";
import { startPattern } from "./pattern.ts";
import type { Stack } from "./stack.ts";

delete process.env.EDGE_BUILT; // the fixture is not among what ./scripts/test has built
const SHOP = join(import.meta.dirname, "fixture/patterns/shop");
/** What Cloudflare documents for a request without a certificate. */
const NOBODY = { certPresented: "0", certVerified: "NONE", certRevoked: "0", ...Object.fromEntries(["certIssuerDN", "certSubjectDN",
  "certIssuerDNRFC2253", "certSubjectDNRFC2253", "certIssuerDNLegacy", "certSubjectDNLegacy", "certSerial", "certIssuerSerial", "certSKI",
  "certIssuerSKI", "certFingerprintSHA256", "certFingerprintSHA1", "certNotBefore", "certNotAfter"].map((key) => [key, ""])) };

let stack: Stack, url: URL;
before(async () => {
  stack = await startPattern(SHOP);
  url = stack.urls.get("tls")!;
});
after(() => stack?.close());

/** A request of somebody who trusts the CA and has this certificate, or none; the body goes in chunks. */
async function send(who: string | undefined, path: string, { body = [], ...options }: RequestOptions & { body?: (string | Buffer)[] } = {}) {
  const { ca, ...own } = stack.identity(who ?? "client");
  const request = httpsRequest({ host: url.hostname, port: url.port, path, ca, ...(who && own), ...options });
  request.on("error", () => {}); // of a body that nobody reads any more; `once` hears those that come first
  const answered = once(request, "response");
  for (const chunk of body) request.write(chunk);
  request.end();
  const [answer] = await answered;
  let text = "";
  for await (const chunk of answer) text += chunk;
  return { status: answer.statusCode as number, headers: answer.headers, text, json: () => JSON.parse(text) };
}
const seen = async (who?: string, options = {}) => (await send(who, "/edge", options)).json();
const shown = (who: string) => new X509Certificate(stack.identity(who).cert);
const hex = (text: string) => text.replaceAll(":", "").toLowerCase();
/** Bytes as they stand over TLS, and all that comes back until the server closes. */
async function raw(bytes: string, who = "client") {
  const socket = connect({ host: url.hostname, port: Number(url.port), ...stack.identity(who) });
  let text = "";
  socket.on("data", (data) => (text += data));
  socket.write(bytes);
  await once(socket, "close");
  return text;
}

describe("the certificate in request.cf", () => {
  test("nobody's is none, and the rest of request.cf is the visitor's", async () => {
    const { cf } = await seen();
    assert.deepEqual(cf.tlsClientAuth, NOBODY);
    assert.deepEqual([cf.country, cf.tlsVersion, cf.tlsCipher], ["GB", "TLSv1.3", "AEAD-AES256-GCM-SHA384"]);
  });
  test("one of the CA's is verified, and every documented field says what is in it", async () => {
    const { cf } = await seen("client"), client = shown("client"), ca = new X509Certificate(stack.identity("client").ca);
    const { certSKI, certIssuerSKI, ...others } = cf.tlsClientAuth;
    const issuer = { certIssuerDN: "O=Local,CN=Local mTLS edge", certIssuerDNLegacy: "/CN=Local mTLS edge/O=Local" };
    const subject = { certSubjectDN: "O=Local,CN=local-machine", certSubjectDNLegacy: "/CN=local-machine/O=Local" };
    assert.deepEqual(others, {
      certPresented: "1", certVerified: "SUCCESS", certRevoked: "0", ...issuer, ...subject, certIssuerDNRFC2253: issuer.certIssuerDN,
      certSubjectDNRFC2253: subject.certSubjectDN, certSerial: client.serialNumber, certIssuerSerial: ca.serialNumber,
      certFingerprintSHA256: hex(client.fingerprint256), certFingerprintSHA1: hex(client.fingerprint),
      certNotBefore: client.validFrom, certNotAfter: client.validTo,
    });
    assert.match(cf.tlsClientAuth.certFingerprintSHA256, /^[0-9a-f]{64}$/);
    assert.match(others.certNotAfter, /^[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d \d{4} GMT$/);
    assert.ok(/^[0-9A-F]{40}$/.test(certSKI) && /^[0-9A-F]{40}$/.test(certIssuerSKI) && certSKI !== certIssuerSKI, `${certSKI} ${certIssuerSKI}`);
    assert.equal(fingerprint(stack.identity("client").cert), others.certFingerprintSHA256);
  });
  test("a revoked one is verified, as Cloudflare has it, and revoked", async () => {
    const { certVerified, certRevoked, certFingerprintSHA256 } = (await seen("revoked")).cf.tlsClientAuth;
    assert.deepEqual([certVerified, certRevoked, certFingerprintSHA256], ["SUCCESS", "1", hex(shown("revoked").fingerprint256)]);
  });
  for (const [who, why] of [["stranger", ":unable to verify the first certificate"], ["expired", ":certificate has expired"], ["server", ""]])
    test(`one of the kind "${who}" is let in and not verified`, async () => {
      const { certPresented, certVerified, certRevoked, certIssuerSerial } = (await seen(who)).cf.tlsClientAuth;
      assert.deepEqual([certPresented, certVerified, certRevoked, certIssuerSerial], ["1", `FAILED${why}`, "0", ""]);
    });
  test("names in any script are told as they are", async () => {
    assert.equal((await seen("expired")).cf.tlsClientAuth.certSubjectDN, "O=Local,CN=alte Maschine 機");
  });
  test("one that cannot be read is answered with 400, and the next request with what it asked for", async () => {
    const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }, keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const cert = await X509CertificateGenerator.createSelfSigned({ name: "CN=x", keys, signingAlgorithm: algorithm,
      extensions: [new Extension("2.5.29.14", false, Buffer.from("no DER"))] });
    const key = PemConverter.encode(await crypto.subtle.exportKey("pkcs8", keys.privateKey), "PRIVATE KEY");
    assert.equal((await send("client", "/edge", { cert: cert.toString("pem"), key })).status, 400);
    assert.equal((await send("client", "/edge")).status, 200);
  });
  test("a stranger's says the same names and differs in its fingerprint", async () => {
    const [client, stranger] = [(await seen("client")).cf.tlsClientAuth, (await seen("stranger")).cf.tlsClientAuth];
    assert.deepEqual([stranger.certSubjectDN, stranger.certIssuerDN], [client.certSubjectDN, client.certIssuerDN]);
    assert.notEqual(stranger.certFingerprintSHA256, client.certFingerprintSHA256);
  });
  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const)
    test(`a resumed ${maxVersion} connection has the certificate of the first one, or none`, async () => {
      for (const who of ["client", "stranger", undefined]) {
        const { ca, ...own } = stack.identity(who ?? "client"), options = { host: url.hostname, port: Number(url.port), ca, maxVersion, ...(who && own) };
        let session: Buffer | undefined;
        const auth: any[] = [];
        for (let i = 0; i < 2; i++) {
          const socket: TLSSocket = connect({ ...options, session });
          socket.on("session", (ticket) => { session = ticket; });
          socket.on("secureConnect", () => assert.equal(socket.isSessionReused(), i === 1, `${who}, ${i}`));
          let text = "";
          socket.on("data", (data) => (text += data));
          socket.write("GET /edge HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
          await once(socket, "close");
          assert.match(text, /^HTTP.1.1 200 /, `${who}, ${i}: ${socket.errored}`);
          auth.push(JSON.parse(/\{.*\}/s.exec(text)![0]).cf.tlsClientAuth);
        }
        assert.deepEqual(auth[1], auth[0]);
        assert.equal(auth[0].certVerified, { client: "SUCCESS", stranger: "FAILED:unable to verify the first certificate" }[who!] ?? "NONE");
      }
    });
});

describe("what is sent through", () => {
  test("the Worker sees the client's own URL and headers", async () => {
    const path = "/edge?q=a%20b&&x=%2F%c3%a9+~", { url: address, headers } = (await send(undefined, path, { headers: { "x-mine": "\xc3\xa9" } })).json();
    assert.equal(address, `${url.origin}${path}`);
    assert.match(address, /^https:\/\/127\.0\.0\.1:\d+\//);
    assert.deepEqual([headers["x-forwarded-proto"], headers["cf-visitor"], headers["x-mine"], headers["cf-connecting-ip"], headers["x-forwarded-for"]],
      ["https", '{"scheme":"https"}', "é", "127.0.0.1", "127.0.0.1"]);
    const { headers: named, url: other } = await seen(undefined, { servername: "localhost", headers: { host: "api.example.com" } });
    assert.deepEqual([named.host, other], ["api.example.com", "https://api.example.com/edge"]);
  });
  test("nothing that a client sends changes what is believed of its certificate, its address or the Worker", async () => {
    const forged = { "MF-CF-Blob": '{"country":"XX","tlsClientAuth":{"certVerified":"SUCCESS","certPresented":"1"}}', "MF-Edge-Key": "guessed",
      "MF-Edge-Scheme": "http", "MF-Route-Override": "shop-stock", "MF-Original-URL": "http://else/", "CF-Connecting-IP": "203.0.113.9",
      "X-Forwarded-Proto": "http", "CF-Visitor": "{}", "cf": '{"tlsClientAuth":{}}', connection: "close, MF-Edge-Key, MF-CF-Blob, CF-Connecting-IP" };
    for (const who of [undefined, "stranger"]) {
      const plain = await seen(who), { cf, headers, url: address } = await seen(who, { headers: forged });
      assert.deepEqual(cf, plain.cf);
      assert.equal(address, plain.url);
      const ours = ["cf-connecting-ip", "x-forwarded-proto", "cf-visitor"].map((name) => [headers[name], plain.headers[name]]);
      for (const [told, expected] of ours) assert.equal(told, expected);
      assert.deepEqual(Object.keys(headers).filter((name) => /^mf-(?!access)/.test(name)), []);
    }
  });
  test("bodies with a length, in chunks and of no bytes arrive as they were sent", async () => {
    const big = Buffer.alloc(3 << 20, "0123456789abcdef");
    const chunked = await send("client", "/echo", { method: "POST", body: ["one ", "two ", big] });
    assert.ok(chunked.text === `one two ${big}`);
    assert.equal((await send("client", "/echo", { method: "POST", headers: { "content-length": "5" }, body: ["12345"] })).text, "12345");
    const lengths = async (options: RequestOptions & { body?: string[] }) => {
      const { "content-length": length, "transfer-encoding": coding } = (await seen("client", { method: "POST", ...options })).headers;
      return [length, coding];
    };
    assert.deepEqual(await lengths({ headers: { "content-length": "5" }, body: ["12345"] }), ["5", undefined]);
    assert.deepEqual(await lengths({ headers: { "content-length": "0" } }), ["0", undefined]);
    assert.deepEqual(await lengths({ headers: { "transfer-encoding": "chunked" }, body: ["x"] }), [undefined, "chunked"]);
    const none = await raw("POST /edge HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
    assert.ok(none.startsWith("HTTP/1.1 200 ") && !none.includes('"transfer-encoding"'), none);
  });
  test("answers stream while the body is still coming", async () => {
    const request = httpsRequest(new URL("/echo", url), { method: "POST", ...stack.identity("client") });
    request.write("one");
    const [answer] = await once(request, "response"), chunks = answer[Symbol.asyncIterator]();
    assert.equal(String((await chunks.next()).value), "one");
    request.write("two");
    assert.equal(String((await chunks.next()).value), "two");
    request.end();
    assert.equal((await chunks.next()).done, true);
  });
  test("a connection serves many requests", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ...stack.identity("client") }), sockets = new Set<unknown>();
    for (let i = 0; i < 20; i++) {
      const request = httpsRequest(new URL(i % 2 ? "/hello" : "/nothing", url), { agent, method: i % 3 ? "GET" : "POST" }).end(i % 3 ? undefined : "x");
      const [answer] = await once(request, "response");
      sockets.add(request.socket);
      for await (const _ of answer);
      assert.equal(answer.statusCode, i % 2 ? 200 : 404);
    }
    assert.equal(sockets.size, 1);
    agent.destroy();
  });
  test("who is refused early hears it while still sending, and a slow sender does, too", async () => {
    const big = Buffer.alloc(1 << 20);
    for (const headers of [{}, { "content-length": String(20 << 20) }]) {
      const { status, text } = await send("client", "/nothing", { method: "POST", headers, body: Array.from({ length: 20 }, () => big) });
      assert.deepEqual([status, text], [404, "nothing here"]);
    }
    const request = httpsRequest(new URL("/nothing", url), { method: "POST", ...stack.identity("client") }), from = Date.now();
    request.on("error", () => {});
    const sending = setInterval(() => request.write("x"), 20);
    const [answer] = await once(request, "response");
    let text = "";
    for await (const chunk of answer) text += chunk;
    clearInterval(sending);
    request.destroy();
    assert.deepEqual([answer.statusCode, text], [404, "nothing here"]);
    assert.ok(Date.now() - from < 5000);
  });
  test("a redirect is the client's to follow, HEAD has no body, and old and odd requests are answered", async () => {
    assert.equal((await send("client", "/away")).status, 302);
    assert.deepEqual((({ status, text }) => [status, text])(await send("client", "/hello", { method: "HEAD" })), [200, ""]);
    assert.match(await raw("GET /hello HTTP/1.0\r\nHost: shop\r\n\r\n"), /^HTTP\/1\.1 200 [^]*version one$/);
    assert.match(await raw("GET /hello HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n"), /HTTP\/1\.1 200 [^]*version one/);
    assert.match(await raw("GET /\xff HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"), /^HTTP\/1\.1 4\d\d /);
    assert.match(await raw("POST /echo HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), /^HTTP\/1\.1 400 /);
  });
  test("no header is left out of many", async () => {
    const headers = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`x-${i}`, "1"])), heard = (await seen("client", { headers })).headers;
    assert.equal(Object.keys(heard).filter((name) => /^x-\d/.test(name)).length, 3000);
  });
  test("a client that goes away in the middle leaves nothing behind, and others are served", async () => {
    for (let i = 0; i < 20; i++) {
      const request = httpsRequest(new URL("/echo", url), { method: "POST", ...stack.identity("client") });
      request.on("error", () => {});
      request.write("half");
      await (i % 2 ? once(request, "response") : sleep(5));
      request.destroy();
    }
    assert.equal((await send("client", "/hello")).text, "version one");
  });
});

test("the certificates stay the same across a reset and a reload", async () => {
  const one = (await seen("client")).cf.tlsClientAuth.certFingerprintSHA256;
  await stack.reset();
  await stack.reload();
  assert.equal((await seen("client")).cf.tlsClientAuth.certFingerprintSHA256, one);
});

test("closing ends the server in the middle of a request, and the certificates go with it", async () => {
  const request = httpsRequest(new URL("/echo", url), { method: "POST", ...stack.identity("client") });
  request.write("half");
  const [answer] = await once(request, "response"), cut = once(answer, "error");
  assert.ok(existsSync(stack.certificates));
  await stack.close();
  await cut;
  assert.ok(!existsSync(stack.certificates));
  await assert.rejects(fetch(url), ({ cause }: any) => cause.code === "ECONNREFUSED");
});

test("certificates are made once for a folder, and anew before they end", async () => {
  const root = mkdtempSync(join(tmpdir(), "certificates-")), folder = join(root, "deep/mtls"), file = join(folder, "client.pem");
  await makeCertificates(folder);
  const first = readFileSync(file, "utf8");
  await makeCertificates(folder);
  assert.equal(readFileSync(file, "utf8"), first);
  const { now } = Date;
  Date.now = () => now() + 780 * 24 * 3600 * 1000;
  try { await makeCertificates(folder); } finally { Date.now = now; }
  assert.notEqual(readFileSync(file, "utf8"), first);
  rmSync(root, { recursive: true });
});
