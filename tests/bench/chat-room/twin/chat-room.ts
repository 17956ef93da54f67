// The Worker in TypeScript, as its author would write it with Hono and jose: who somebody is, and which room they come to.
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { getCookie, setCookie } from "hono/cookie";
import { HTTPException } from "hono/http-exception";
import { requestId, type RequestIdVariables } from "hono/request-id";
import { routePath } from "hono/route";
import { validator } from "hono/validator";
import { jwtVerify, SignJWT } from "jose";
import type { Bindings, Session } from "./room.ts";

type Env = { Bindings: Bindings; Variables: RequestIdVariables };

const PROTOCOL = "edge-chat.v1", US = "chat-room", LIFETIME = 30 * 24 * 3600; // seconds
const TITLES = { 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 413: "Payload Too Large", 415: "Unsupported Media Type",
  422: "Unprocessable Entity", 426: "Upgrade Required", 429: "Too Many Requests", 503: "Service Unavailable" };

/** What a caller is told when a request fails (RFC 9457); the cause is for the log. */
class Problem extends Error {
  readonly status: keyof typeof TITLES;
  readonly code: string;
  readonly headers: Record<string, string>;
  constructor(status: keyof typeof TITLES, code: string, detail: string, headers: Record<string, string> = {}, cause?: unknown) {
    super(detail, { cause });
    [this.status, this.code, this.headers] = [status, code, headers];
  }
  render(c: Context) {
    const body = { type: "about:blank", title: TITLES[this.status], status: this.status, detail: this.message, code: this.code };
    return c.body(JSON.stringify(body), this.status, { "content-type": "application/problem+json", ...this.headers });
  }
}
const unavailable = (cause: unknown) => new Problem(503, "unavailable", "a service that this request needs does not answer", { "retry-after": "1" }, cause);
const foreign = () => new Problem(403, "foreign-origin", "rooms are for pages of this origin");

const app = new Hono<Env>();
app.use(requestId({ generator: (c) => c.req.header("cf-ray") ?? crypto.randomUUID() }));
app.use(async (c, next) => {
  const started = Date.now();
  await next();
  console.log(JSON.stringify({ level: c.res.status < 500 ? "info" : "error", event: "request", status: c.res.status, method: c.req.method,
    route: routePath(c, -1), cause: c.error?.cause && String(c.error.cause), ms: Date.now() - started, request_id: c.get("requestId") }));
});
app.use(async (c, next) => {
  const origin = c.req.header("origin");
  if (origin && origin !== new URL(c.req.url).origin) throw foreign();
  await next();
});

const keyOf = ({ SESSION_SECRET }: Bindings) => new TextEncoder().encode(SESSION_SECRET);
const cookieOf = (c: Context) => (c.req.url.startsWith("https:") ? "__Host-session" : "session");

/** Whose session a token is, with a minute for clocks. */
async function sessionOf(token: string | undefined, env: Bindings): Promise<Session> {
  const { payload } = await jwtVerify<{ name: string }>(token ?? "", keyOf(env), { algorithms: ["HS256"], issuer: US, audience: US, clockTolerance: 60,
    requiredClaims: ["sub", "name", "exp"] }).catch((e) => { throw new Problem(401, "unauthorized", "sign in first: POST /session", { "www-authenticate": `Bearer realm="${US}"` }, e); });
  return { person: { id: payload.sub!, name: payload.name }, expires: payload.exp! * 1000 };
}

async function limit(c: Context<Env>) {
  const { success } = await c.env.LIMITER.limit({ key: c.req.header("cf-connecting-ip") ?? "" });
  if (!success) throw new Problem(429, "too-many-requests", "ask again a little later", { "retry-after": "60" });
}

const signIn = validator("json", (value: { name?: unknown } | null, c) => {
  if (!c.req.header("content-type")?.startsWith("application/json")) throw new Problem(415, "unsupported-media-type", "send JSON");
  const name = typeof value?.name === "string" ? value.name.trim() : "";
  if (!/^\P{Cc}{1,40}$/u.test(name) || !/[^\s\p{Cf}\u3164]/u.test(name)) throw new Problem(422, "unprocessable-entity", "a name is 1 to 40 visible characters");
  return { name };
});

app.post("/session", bodyLimit({ maxSize: 1024, onError: () => { throw new Problem(413, "payload-too-large", "the body is too long"); } }), signIn, async (c) => {
  await limit(c);
  const { name } = c.req.valid("json"), person = { id: crypto.randomUUID(), name }, now = Math.floor(Date.now() / 1000), expires = now + LIFETIME;
  const token = await new SignJWT({ name }).setProtectedHeader({ alg: "HS256" }).setIssuer(US).setAudience(US).setSubject(person.id).setIssuedAt(now)
    .setExpirationTime(expires).sign(keyOf(c.env));
  setCookie(c, cookieOf(c), token, { httpOnly: true, secure: c.req.url.startsWith("https:"), sameSite: "Strict", path: "/", maxAge: LIFETIME });
  return c.json({ token, person, expires: new Date(expires * 1000).toISOString() });
});

app.get("/rooms/:room/socket", async (c) => {
  const bearer = /^bearer (\S+)$/i.exec(c.req.header("authorization") ?? "")?.[1], offered = (c.req.header("sec-websocket-protocol") ?? "").split(/\s*,\s*/);
  const session = await sessionOf(bearer ?? offered.find((protocol) => protocol && protocol !== PROTOCOL) ?? getCookie(c, cookieOf(c)), c.env);
  const { room } = c.req.param();
  if (!/^[a-z\d-]{1,64}$/.test(room)) throw new Problem(400, "bad-room", "a room's name is 1 to 64 of a-z, 0-9 and -");
  if (c.req.header("upgrade")?.toLowerCase() !== "websocket") throw new Problem(426, "upgrade-required", "this is for WebSockets", { upgrade: "websocket" });
  if (!bearer && !c.req.header("origin")) throw foreign();
  if (!offered.includes(PROTOCOL)) throw new Problem(400, "sub-protocol-required", `the sub-protocol here is ${PROTOCOL}`);
  await limit(c);
  const url = `https://room/?session=${encodeURIComponent(JSON.stringify(session))}`;
  const { webSocket } = await c.env.ROOM.getByName(room).fetch(url, { headers: { upgrade: "websocket" } });
  return new Response(null, { status: 101, webSocket, headers: { "sec-websocket-protocol": PROTOCOL } } as ResponseInit);
});

app.notFound((c) => new Problem(404, "not-found", "not found").render(c));
app.onError((e, c) => {
  if (e instanceof HTTPException) e = new Problem(400, "bad-request", e.message); // of Hono's validator
  return (e instanceof Problem ? e : unavailable(e)).render(c);
});

export { Room } from "./room.ts";
export default app;
