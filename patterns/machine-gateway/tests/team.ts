// A Zero Trust team of the test's own: it signs as Access does, and its key server can be made to fail.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from "jose";
import { type TestOptions, startPattern } from "../../../tests/harness/pattern.ts";
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
