// The clients of the README, as they stand there, and each as the machine of the local policy.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fingerprint } from "../../../tests/harness/certificates.ts";
import { startPattern } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";

const [, section] = /^## Clients$(.*?)^## /ms.exec(readFileSync(join(import.meta.dirname, "../README.md"), "utf8"))!;
const clients = [...section.matchAll(/^\*\*(.*?)\.\*\*.*?^```(\w+)\n(.*?)^```/gms)].map(([, name, language, code]) => ({ name, language, code }));
const RUN: Record<string, string> = { sh: "sh", python: "python3" };
/** What the log calls the proof and the credential, for each client of the README. */
const PROVES: Record<string, [string, (stack: Stack) => string]> = {
  "Access service token": ["access", () => "local-machine.access"],
  "Client certificate": ["client-certificate", (stack) => fingerprint(stack.identity("client").cert)],
  "HTTP signature, HMAC-SHA256": ["http-signature", () => "local-hmac"],
  "HTTP signature, Ed25519": ["http-signature", () => "test-key-ed25519"],
  "JWT, HS256": ["jwt", () => "local-jwt"],
};

let stack: Stack;
before(async () => { stack = await startPattern("machine-gateway"); });
after(() => stack?.close());

test("the README has a client for each proof", () => {
  assert.deepEqual(clients.map(({ name }) => name), Object.keys(PROVES));
});

for (const { name, language, code } of clients) test(`${name}: the README's client places an order, POST /v1/orders`, async () => {
  const here = [...stack.urls.values()].reduce((text, { host }, i) => text.replaceAll(`127.0.0.1:${8787 + i}`, host), code)
    .replaceAll(".edge/mtls", stack.certificates);
  const out = await new Promise<string>((done, fail) => {
    const child = execFile(RUN[language], { timeout: 30_000 }, (e, out, err) => (e ? fail(new Error(err || out, { cause: e })) : done(out)));
    child.stdin!.end(here);
  });
  assert.match(out, /^(HTTP\/\S+ )?201 /, out);
  const [proof, credential] = PROVES[name];
  await stack.logged(`"proof":"${proof}","principal":"local-machine","credential":"${credential(stack)}","scope":"orders:write","outcome":"allowed"`);
});
