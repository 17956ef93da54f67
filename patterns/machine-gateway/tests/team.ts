// What stands around the gateway here: a Zero Trust team of the test's own, whose key server can be made to fail, and a
// clock that can be moved.
import assert from "node:assert/strict";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type Agent, createServer, type IncomingHttpHeaders, request as httpRequest, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from "jose";
import { build } from "../../../tests/harness/build.ts";
import { type TestOptions, readPattern, specsOf, startPattern, startWorkers } from "../../../tests/harness/pattern.ts";
import type { Stack } from "../../../tests/harness/stack.ts";
import { policy } from "./callers.ts";

export const AUDIENCE = "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2";
export const [ALICE, BOB] = ["alice.access", "bob.access"]; // client ids of two service tokens

export interface Key { kid: string; sign: CryptoKey; publish: JWK }
export async function makeKey(kid: string): Promise<Key> {
  const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
  return { kid, sign: privateKey, publish: { ...(await exportJWK(publicKey)), kid, alg: "RS256", use: "sig" } };
}

export class Team {
  keys: Key[] = [];
  /** How often the keys were asked for. */
  asked = 0;
  /** What the key server answers. */
  readonly publish: RequestListener = (_, response) => { response.end(JSON.stringify({ keys: this.keys.map((key) => key.publish) })); };
  answer = this.publish;
  #server = createServer((request, response) => {
    assert.equal(request.url, "/cdn-cgi/access/certs");
    this.asked++;
    this.answer(request, response);
  });
  #port = 0;

  static async start(): Promise<Team> {
    const team = new Team();
    team.keys.push(await makeKey("first"));
    await team.up();
    return team;
  }
  async up() {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
  }
  async down() {
    const closed = once(this.#server.close(), "close");
    this.#server.closeAllConnections();
    await closed;
  }

  get domain() { return `http://127.0.0.1:${this.#port}`; }
  get vars() { return { TEAM_DOMAIN: this.domain, POLICY_AUD: AUDIENCE }; }

  /** A token as Access signs one for a machine, apart from what is given; a claim or member that is undefined is left out. */
  token({ key = this.keys.at(-1)!, claims = {}, header = {} }: { key?: Key; claims?: object; header?: object } = {}): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({ type: "app", iss: this.domain, aud: [AUDIENCE], sub: "", common_name: ALICE, iat: now, nbf: now, exp: now + 600, ...claims })
      .setProtectedHeader({ alg: "RS256", kid: key.kid, typ: "JWT", ...header }).sign(key.sign, { crit: { exp: true } });
  }
}

/** Variables of a gateway that this team's Access stands before, and that knows these service tokens. */
export const varsOf = (team: Team, clients = [ALICE, BOB]) => ({ ...team.vars, PRINCIPALS: JSON.stringify(policy(clients)) });

/** The pattern before this team's Access, without its edge. */
export const startWith = (team: Team, { clients, ...options }: TestOptions & { clients?: string[] } = {}): Promise<Stack> =>
  startPattern("machine-gateway", { ...options, vars: { ...varsOf(team, clients), ...options.vars } });

/** The same with the gateway's clock in the test's hands: the header `x-clock` moves it, in seconds from now. The wasm is
 *  the deployed one; a few lines of JavaScript are put before it. */
export async function startWithClock(vars: Record<string, unknown>): Promise<Stack> {
  const [gateway, ...others] = specsOf(readPattern("machine-gateway")), folder = mkdtempSync(join(tmpdir(), "clock-"));
  const main = join(folder, "clock.js");
  if (process.env.EDGE_BUILT !== "1") await build(gateway.config);
  cpSync(join(dirname(gateway.config), "build"), folder, { recursive: true });
  writeFileSync(main, `
    import gateway from "./index.js";
    export * from "./index.js"; // the classes of its objects
    let offset = 0;
    const now = Date.now.bind(Date);
    globalThis.Date = class extends Date {
      constructor(...given) { super(...(given.length ? given : [now() + offset])); }
      static now() { return now() + offset; }
    };
    export default { fetch(request, env, ctx) {
      offset = 1000 * Number(request.headers.get("x-clock"));
      return gateway.fetch(request, env, ctx);
    } };`);
  try {
    return await startWorkers([{ ...gateway, main, vars: { ...gateway.vars, ...vars } }, ...others]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export interface Sent { method?: string; path: string; headers?: Record<string, string | string[]>; chunks?: (string | Buffer)[]; agent?: Agent }
export interface Got { status: number; headers: IncomingHttpHeaders; text: string }
/** A request that `fetch` would not send, or not as it stands; several chunks go one after the other until the answer comes.
 *  Fails when the connection is lost before that, as it may be where the answer does not wait for a large body. */
export const send = (to: URL, { path, chunks = [], ...options }: Sent) => new Promise<Got>((done, fail) => {
  let answered = false;
  const request = httpRequest({ host: to.hostname, port: to.port, path, ...options }, async (response) => {
    let text = "";
    answered = true;
    try {
      for await (const chunk of response) text += chunk;
      done({ status: response.statusCode!, headers: response.headers, text });
    } catch (e) { fail(e); }
  });
  request.on("error", fail);
  const next = (i: number) => {
    if (request.destroyed || answered) return;
    if (i >= chunks.length - 1) request.end(chunks[i]);
    else { request.write(chunks[i]); setTimeout(next, 2, i + 1); }
  };
  next(0);
});

/** "401 unauthorized", of an answer that is in the standard form for errors and tells its name. */
export async function problem(answering: Response | Promise<Response>): Promise<string> {
  const answer = await answering, text = await answer.text();
  assert.equal(answer.headers.get("content-type"), "application/problem+json", `${answer.status} ${text}`);
  assert.match(answer.headers.get("x-request-id") ?? "", /^[0-9a-zA-Z-]{16,}$/);
  const { status, code, ...rest } = JSON.parse(text);
  assert.deepEqual([status, Object.keys(rest).sort(), rest.type], [answer.status, ["detail", "title", "type"], "about:blank"], text);
  assert.ok(code && rest.title && rest.detail, text);
  return `${status} ${code}`;
}

export const REFUSED = "401 unauthorized";
/** The gateway's line in the log of the request that got this answer: its decision, and why. */
export async function decision(on: Stack, answer: Response): Promise<Record<string, string>> {
  const id = answer.headers.get("x-request-id");
  return JSON.parse(await on.logged(new RegExp(`"event":"request".*"outcome":.*"request_id":"${id}"`)));
}
/** Why the gateway refused what got this answer, which does not tell. */
export async function refusal(on: Stack, answer: Response): Promise<string> {
  assert.equal(answer.headers.get("www-authenticate"), 'Bearer realm="machine-gateway"');
  assert.equal(await problem(answer), REFUSED);
  const { outcome, reason } = await decision(on, answer);
  assert.equal(outcome, "refused");
  return reason;
}

/** How often each came: "3 x 401, 1 x 403". */
export const counted = (all: Iterable<string | number>) =>
  [...[...all].sort().reduce((counts, one) => counts.set(one, (counts.get(one) ?? 0) + 1), new Map<string | number, number>())]
    .map(([one, count]) => `${count} x ${one}`).join(", ");
