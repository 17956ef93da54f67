// Who may open a socket, and from where.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startPattern } from "../../../tests/harness/pattern.ts";
import { Client, open, type Person, PROTOCOL, signIn } from "./client.ts";
import { Refused, Wire } from "./websocket.ts";

const pattern = join(import.meta.dirname, ".."), worker = basename(pattern);
let stack: Awaited<ReturnType<typeof startPattern>>;
before(async () => { stack = await startPattern(pattern); });
after(() => stack.close());

const post = (body: unknown, headers: Record<string, string> = { "content-type": "application/json" }) =>
  stack.fetch(worker, "/session", { method: "POST", headers, body: typeof body === "string" ? body : JSON.stringify(body) });
const problem = async (response: Response) => {
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  return `${response.status} ${(await response.json() as { code: string }).code}`;
};
/** How an upgrade with these headers is answered: its status. */
async function upgrade(headers: Record<string, string>, room = "lobby"): Promise<number> {
  const url = new URL(`/rooms/${room}/socket`, stack.urls.get(worker));
  try {
    (await Wire.open(url, headers)).close();
    return 101;
  } catch (e) {
    if (e instanceof Refused) return e.status;
    throw e;
  }
}

test("POST /session is 200 with a token, a person and a cookie that no script reads; a new person each time", async () => {
  const answer = await post({ name: "  Ann Ü " }), { token, person, expires } = await answer.json() as any;
  assert.equal(person.name, "Ann Ü");
  assert.ok(Date.parse(expires) > Date.now() + 29 * 86_400_000);
  assert.equal(answer.headers.get("set-cookie"), `session=${token}; Path=/; Max-Age=2592000; HttpOnly; SameSite=Strict`);
  assert.notEqual((await signIn(stack, "Ann Ü")).id, person.id);
  const over = await stack.fetch(worker, "/session", { method: "POST", body: '{"name":"ann"}', headers: { "content-type": "application/json", "mf-edge-scheme": "https" } });
  assert.match(over.headers.get("set-cookie")!, /^__Host-session=.*; Secure$/);
});

test("POST /session with anything else is refused", async () => {
  for (const name of ["", "  ", "x".repeat(41), "a\nb", "\u0000", "\u200b", 7, null])
    assert.equal(await problem(await post({ name })), "422 unprocessable-entity", JSON.stringify(name));
  assert.equal(await problem(await post({})), "422 unprocessable-entity");
  assert.equal(await problem(await post("{")), "400 bad-request");
  assert.equal(await problem(await post({ name: "ann" }, {})), "415 unsupported-media-type");
  assert.equal(await problem(await post({ name: "ann", more: "x".repeat(2000) })), "413 payload-too-large");
  assert.equal(await problem(await post({ name: "ann" }, { "content-type": "application/json", origin: "https://evil.example" })), "403 foreign-origin");
});

test("GET /session tells who one is, and DELETE takes the cookie away", async () => {
  const ann = await signIn(stack, "ann"), get = (headers: Record<string, string>) => stack.fetch(worker, "/session", { headers });
  for (const [name, value] of [["cookie", `other=1; session=${ann.token}`], ["authorization", `Bearer ${ann.token}`], ["authorization", `bearer  ${ann.token}`]])
    assert.deepEqual((await (await get({ [name]: value })).json() as any).person, { id: ann.id, name: "ann" });
  for (const [name, value] of [["accept", "*/*"], ["cookie", "session="], ["cookie", `session=${ann.token}x`], ["cookie", `xsession=${ann.token}`], ["authorization", ann.token]])
    assert.equal(await problem(await get({ [name]: value })), "401 unauthorized");
  const gone = await stack.fetch(worker, "/session", { method: "DELETE" });
  assert.equal(gone.status, 204);
  assert.match(gone.headers.get("set-cookie")!, /^session=; Path=\/; Max-Age=0/);
});

test("a socket opens with the cookie, with Authorization, or with the token as a second sub-protocol", async () => {
  const { token } = await signIn(stack, "ann"), origin = stack.urls.get(worker)!.origin;
  const ways: Record<string, string>[] = [{ cookie: `session=${token}`, origin, "sec-websocket-protocol": PROTOCOL },
    { authorization: `Bearer ${token}`, "sec-websocket-protocol": PROTOCOL }, { origin, "sec-websocket-protocol": `${PROTOCOL}, ${token}` },
    { origin, authorization: `Bearer ${token}`, "sec-websocket-protocol": PROTOCOL }];
  for (const headers of ways) assert.equal(await upgrade(headers), 101, JSON.stringify(headers));
});

test("without a session there is no socket, nor from a page of another origin, nor from one that does not say", async () => {
  const { token } = await signIn(stack, "ann"), origin = stack.urls.get(worker)!.origin, spoken = { "sec-websocket-protocol": PROTOCOL };
  assert.equal(await upgrade({ origin, ...spoken }), 401);
  assert.equal(await upgrade({ origin, ...spoken, cookie: `session=${token.slice(0, -2)}` }), 401);
  assert.equal(await upgrade({ ...spoken, cookie: `session=${token}` }), 403, "no Origin");
  assert.equal(await upgrade({ "sec-websocket-protocol": `${PROTOCOL}, ${token}` }), 403, "no Origin");
  for (const other of ["https://evil.example", "null", `${origin}.evil.example`, origin.replace("http:", "https:"), origin.replace(/:\d+$/, ":1")]) {
    assert.equal(await upgrade({ origin: other, ...spoken, cookie: `session=${token}` }), 403, other);
    assert.equal(await upgrade({ origin: other, ...spoken, authorization: `Bearer ${token}` }), 403, other);
  }
});

test("a socket is for those who speak edge-chat.v1, in a room that can be", async () => {
  const { token } = await signIn(stack, "ann"), authorization = `Bearer ${token}`;
  assert.equal(await upgrade({ authorization }), 400);
  assert.equal(await upgrade({ authorization, "sec-websocket-protocol": "edge-chat.v2" }), 400);
  assert.equal(await upgrade({ authorization, "sec-websocket-protocol": `edge-chat.v2, ${PROTOCOL}` }), 101);
  for (const room of ["Lobby", "a_b", "x".repeat(65), "%F0%9F%99%82", "a%2Fb"]) assert.equal(await upgrade({ authorization, "sec-websocket-protocol": PROTOCOL }, room), 400, room);
  assert.equal(await upgrade({ authorization, "sec-websocket-protocol": PROTOCOL }, "x".repeat(64)), 101);
  assert.equal(await problem(await stack.fetch(worker, "/rooms/lobby/socket", { headers: { authorization } })), "426 upgrade-required");
  assert.equal((await open(stack, "lobby", await signIn(stack, "bob"))).headers["sec-websocket-protocol"], PROTOCOL);
});

test("while secrets rotate, sessions of both hold; afterwards those of the new one", async () => {
  const old = "an-old-secret-of-at-least-32-bytes-1", next = "a-new-secret-of-at-least-32-bytes-2", given: Person[] = [];
  const statuses: number[][] = [];
  for (const SESSION_SECRET of [old, `${next} ${old}`, next]) {
    const other = await startPattern(pattern, { vars: { SESSION_SECRET } });
    const status = async ({ token }: Person) => (await other.fetch(worker, "/session", { headers: { authorization: `Bearer ${token}` } })).status;
    try {
      given.push(await signIn(other, "ann"));
      statuses.push(await Promise.all(given.map(status)));
    } finally {
      await other.close();
    }
  }
  assert.deepEqual(statuses, [[200], [200, 200], [401, 200, 200]]);
});

test("a socket ends with its session", async () => {
  // Signed here, with the local secret: a session of a few seconds, which the Worker does not give.
  const encode = (part: object | Buffer) => Buffer.from(Buffer.isBuffer(part) ? part : JSON.stringify(part)).toString("base64url");
  const now = Math.floor(Date.now() / 1000), exp = now - 58; // and a minute for clocks
  const input = `${encode({ alg: "HS256", kid: "session" })}.${encode({ iss: "chat-room", aud: "chat-room", sub: "short", name: "Short", iat: now - 100, exp })}`;
  const token = `${input}.${encode(createHmac("sha256", "a-local-session-secret-that-protects-nothing").update(input).digest())}`;
  const short = await Client.join(stack, "short", { id: "short", name: "Short", token });
  await short.send("hi");
  await sleep((exp + 60) * 1000 - Date.now() + 50);
  short.say({ type: "typing" });
  assert.deepEqual(await short.closes(), { code: 4401, reason: "session expired" });
});
