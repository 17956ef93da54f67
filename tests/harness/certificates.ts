// What the mTLS edge and its clients show each other: a CA of this checkout's own and the certificates that tests and
// developers need. They are made here, since no private key belongs into a repository.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { type webcrypto, X509Certificate } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { HOST } from "./ports.ts";

const DAY = 24 * 3600 * 1000;
const LIFE = 800 * DAY; // Apple's clients refuse a server's certificate that is good for more than 825 days

/** Makes, each with a .key, ca.pem, server.pem and a certificate for each kind of client, unless they are there:
 *
 *  - client: the CA's, good;
 *  - revoked: the CA's, which is all that its list of revoked ones has;
 *  - expired: the CA's, until yesterday;
 *  - stranger: from a CA that calls itself like this one, to somebody who calls himself like the client. */
export async function makeCertificates(folder: string): Promise<void> {
  const [server, caKey] = ["server.pem", "ca.key"].map((file) => join(folder, file));
  // A month before the end, since a run of `dev` may last for days.
  if (existsSync(server) && existsSync(caKey) && Date.parse(new X509Certificate(readFileSync(server)).validTo) > Date.now() + 30 * DAY) return;
  await import("reflect-metadata"); // wanted by the next
  const x509 = await import("@peculiar/x509");

  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const makeKeys = () => crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const now = Date.now(), from = new Date(now - 2 * DAY), until = new Date(now + LIFE);
  const usage = (...purposes: string[]) => new x509.ExtendedKeyUsageExtension(purposes);
  const makeCa = async () => {
    const keys = await makeKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: "CN=Local mTLS edge, O=Local", keys, notBefore: from, notAfter: until, signingAlgorithm: algorithm,
      extensions: [new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey)],
    });
    const keyOf = async (key: webcrypto.CryptoKey) => x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY");
    const issue = async (subject: string, extensions: InstanceType<typeof x509.Extension>[], notAfter = until) => {
      const { publicKey, privateKey } = await makeKeys();
      const issued = await x509.X509CertificateGenerator.create({
        subject, issuer: certificate.subject, publicKey, signingKey: keys.privateKey, signingAlgorithm: algorithm, notBefore: from, notAfter,
        extensions: [new x509.BasicConstraintsExtension(false), new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          await x509.SubjectKeyIdentifierExtension.create(publicKey),
          await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey), ...extensions],
      });
      return { certificate: issued, key: await keyOf(privateKey) };
    };
    return { certificate, key: await keyOf(keys.privateKey), issue };
  };

  const ca = await makeCa(), toClient = [usage(x509.ExtendedKeyUsage.clientAuth)], name = "CN=local-machine, O=Local";
  const issued = {
    ca, // its key, too: with it a developer makes certificates for as many machines as he likes
    server: await ca.issue("CN=localhost", [usage(x509.ExtendedKeyUsage.serverAuth),
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: "localhost" }, { type: "ip", value: HOST }])]),
    client: await ca.issue(name, toClient),
    revoked: await ca.issue("CN=lost-machine, O=Local", toClient),
    expired: await ca.issue("CN=alte Maschine 機, O=Local", toClient, new Date(now - DAY)),
    stranger: await (await makeCa()).issue(name, toClient),
  };
  // All or nothing, whenever this is ended.
  mkdirSync(dirname(folder), { recursive: true });
  const made = mkdtempSync(join(dirname(folder), `.${basename(folder)}-`));
  for (const [file, { certificate, key }] of Object.entries(issued)) {
    writeFileSync(join(made, `${file}.pem`), certificate.toString("pem"));
    writeFileSync(join(made, `${file}.key`), key, { mode: 0o600 });
  }
  rmSync(folder, { recursive: true, force: true });
  renameSync(made, folder);
}

/** One of them as TLS options: with it, its holder trusts the CA and is known by it. */
export function identity(folder: string, file: string) {
  const [ca, cert, key] = ["ca.pem", `${file}.pem`, `${file}.key`].map((name) => readFileSync(join(folder, name), "utf8"));
  return { ca, cert, key };
}

/** As Cloudflare's `certFingerprintSHA256` has it: lower-case hex. */
export const fingerprint = (pem: string) => new X509Certificate(pem).fingerprint256.replaceAll(":", "").toLowerCase();
