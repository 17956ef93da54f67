// Cloudflare's edge with mTLS, as far as a Worker can tell: a TLS server that asks for a client certificate, lets anybody in
// and says in request.cf.tlsClientAuth who it was. Requests go on to edge.js, whose key makes it believed there.
import { readFileSync } from "node:fs";
import { type IncomingMessage, request as httpRequest, type ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { join } from "node:path";
import { pipeline } from "node:stream";
import type { TLSSocket } from "node:tls";
import "reflect-metadata"; // wanted by the next
import { AuthorityKeyIdentifierExtension, SubjectKeyIdentifierExtension, X509Certificate } from "@peculiar/x509";
import { identity } from "./certificates.ts";
import { HOST } from "./ports.ts";

/** Of one connection and not of what is sent over it (RFC 9110, section 7.6.1); `expect` was answered here. */
const HOP = /^(connection|keep-alive|proxy-connection|te|trailer|upgrade|expect)$/i;
/** What edge.js believes when it is told with its key. */
const OURS = /^(mf-.*|cf-connecting-ip)$/i;

/** Opens it on this port, before the Worker that edge.js serves on that one. `folder` has the certificates. */
export async function openMtls(port: number, to: number, key: string, folder: string): Promise<Server> {
  const [ca, revoked] = ["ca.pem", "revoked.pem"].map((file) => new X509Certificate(readFileSync(join(folder, file), "utf8")));
  const known = new WeakMap<object, string>(); // by connection: 1 ms for each request would be most of what this costs
  const blob = (socket: TLSSocket) => {
    if (!known.has(socket)) known.set(socket, ascii(connection(socket, ca, revoked)));
    return known.get(socket)!;
  };
  const server = createServer({ ...identity(folder, "server"), requestCert: true, rejectUnauthorized: false,
    maxHeaderSize: 128 * 1024, // as Cloudflare's limit for a request
  }, (request, response) => pass(request, response, to, () => ({ "MF-Edge-Key": key, "MF-Edge-Scheme": "https",
    "CF-Connecting-IP": request.socket.remoteAddress!, "MF-CF-Blob": blob(request.socket as TLSSocket) })));
  server.maxHeadersCount = 0; // Node would leave those out that are too many, and say nothing
  await new Promise<void>((done, fail) => server.once("error", fail).listen(port, HOST, done));
  return server;
}

/** One request on its way to the Worker, and the answer on its way back. */
function pass(request: IncomingMessage, response: ServerResponse, port: number, tell: () => Record<string, string>) {
  const { method = "", url, rawHeaders } = request, headers = without(rawHeaders, (name) => HOP.test(name) || OURS.test(name));
  // Node would send `Transfer-Encoding: chunked` for the body that is not there.
  if (!request.headers["content-length"] && !request.headers["transfer-encoding"] && !["GET", "HEAD"].includes(method))
    headers.push("Content-Length", "0");
  let onward;
  try {
    // A connection for each: one that is kept may be closed under the request just sent, which could not be sent again.
    onward = httpRequest({ host: HOST, port, agent: false, method, path: url, headers: [...headers, ...Object.entries(tell()).flat()],
      maxHeaderSize: 128 * 1024 });
  } catch { // a target with bytes that no URL has, or a certificate that cannot be read
    return response.writeHead(400, { connection: "close" }).end();
  }
  const drop = () => { request.unpipe(onward).resume(); };
  onward.on("response", (answer) => {
    response.writeHead(answer.statusCode!, answer.statusMessage,
      without(answer.rawHeaders, (name) => HOP.test(name) || /^transfer-encoding$/i.test(name)));
    pipeline(answer, response, () => {}); // half an answer ends the connection, so that it does not look like the whole
  });
  onward.on("error", () => {
    // After the answer, the Worker has refused the body: the client may go on sending, and must see why it need not.
    drop();
    if (!response.headersSent) response.writeHead(502).end();
  });
  response.on("close", () => { // answered, or the client has gone: then what came so far must not look like the whole
    drop();
    onward.destroy();
  });
  request.pipe(onward);
}

/** `[name, value, name, value, …]` without these. */
const without = (raw: string[], drop: (name: string) => boolean) => raw.filter((_, i) => !drop(raw[i - (i % 2)]));

/** JSON that a header can hold: names in certificates may be in any script. */
const ascii = (value: object) =>
  JSON.stringify(value).replace(/[\x7f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** request.cf, as far as TLS is concerned. */
const connection = (socket: TLSSocket, ca: X509Certificate, revoked: X509Certificate) => ({
  tlsVersion: socket.getProtocol(),
  // TLS 1.3 in BoringSSL's words.
  tlsCipher: socket.getCipher().name.replace(/^TLS_AES_/, "TLS_AES").replace(/^TLS_/, "AEAD-").replaceAll("_", "-"),
  tlsClientAuth: tlsClientAuth(socket, ca, revoked),
});

/** OpenSSL's reasons in the words of Cloudflare's documentation; of the others it says that there are some. */
const FAILED: Record<string, string> = {
  CERT_HAS_EXPIRED: ":certificate has expired",
  CERT_NOT_YET_VALID: ":certificate is not yet valid",
  DEPTH_ZERO_SELF_SIGNED_CERT: ":self signed certificate",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ":unable to get local issuer certificate",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ":unable to verify the first certificate",
};

/** https://developers.cloudflare.com/ssl/client-certificates/client-certificate-variables/ */
function tlsClientAuth(socket: TLSSocket, ca: X509Certificate, revoked: X509Certificate) {
  const shown = socket.getPeerX509Certificate();
  // Not `socket.authorized`: it is true for a resumed connection without a certificate, too.
  const nobody = { certPresented: "0", certVerified: "NONE", certRevoked: "0", certIssuerDN: "", certSubjectDN: "", certIssuerDNRFC2253: "",
    certSubjectDNRFC2253: "", certIssuerDNLegacy: "", certSubjectDNLegacy: "", certSerial: "", certIssuerSerial: "", certSKI: "",
    certIssuerSKI: "", certFingerprintSHA256: "", certFingerprintSHA1: "", certNotBefore: "", certNotAfter: "" };
  if (!shown) return nobody;
  const why = socket.authorizationError as unknown as string | null, hex = (text: string) => text.replaceAll(":", "").toLowerCase();
  // Node gives a line to each part of a name, escaped as RFC 2253 wants, in the order of the certificate.
  const rfc2253 = (name: string) => name.split("\n").reverse().join(","), legacy = (name: string) => `/${name.replaceAll("\n", "/")}`;
  const parsed = new X509Certificate(shown.raw);
  return {
    ...nobody, certPresented: "1",
    certVerified: why ? `FAILED${FAILED[why] ?? ""}` : "SUCCESS", // a revoked one is verified, too
    // Compared here: given a revocation list, OpenSSL 3 fails for a stranger over TLS 1.2 instead of letting him in.
    certRevoked: !why && parsed.serialNumber === revoked.serialNumber ? "1" : "0",
    certIssuerDN: rfc2253(shown.issuer), certIssuerDNRFC2253: rfc2253(shown.issuer), certIssuerDNLegacy: legacy(shown.issuer),
    certSubjectDN: rfc2253(shown.subject), certSubjectDNRFC2253: rfc2253(shown.subject), certSubjectDNLegacy: legacy(shown.subject),
    certSerial: shown.serialNumber, certIssuerSerial: why ? "" : ca.serialNumber.toUpperCase(),
    certSKI: parsed.getExtension(SubjectKeyIdentifierExtension)?.keyId.toUpperCase() ?? "",
    certIssuerSKI: parsed.getExtension(AuthorityKeyIdentifierExtension)?.keyId?.toUpperCase() ?? "",
    certFingerprintSHA256: hex(shown.fingerprint256), certFingerprintSHA1: hex(shown.fingerprint),
    certNotBefore: shown.validFrom, certNotAfter: shown.validTo,
  };
}
