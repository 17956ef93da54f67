// patterns/machine-gateway in TypeScript, as its author would write it with Hono and jose: the same routes, refusals and log.
// Both Workers are in this file: the default export is the gateway, `Orders` the internal one behind it.
import { WorkerEntrypoint } from "cloudflare:workers";
import { Hono, type Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import { createMiddleware } from "hono/factory";
import { HTTPException } from "hono/http-exception";
import { requestId, type RequestIdVariables } from "hono/request-id";
import { routePath } from "hono/route";
import { validator } from "hono/validator";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

interface NewOrder { sku: string; quantity: number; note?: string }
interface Order extends NewOrder { id: string; created_at: string }
/** What goes along with each call, so that both Workers' log lines belong together. */
interface From { caller: string; requestId: string; traceId: string }
interface Row extends Omit<Order, "note"> { note: string | null }

const COLUMNS = "id, sku, quantity, note, created_at";
const toOrder = ({ note, ...order }: Row): Order => (note === null ? order : { ...order, note });

export class Orders extends WorkerEntrypoint<{ DB: D1Database }> {
  place(from: From, { sku, quantity, note }: NewOrder): Promise<Order> {
    const statement = this.env.DB.prepare(`INSERT INTO orders (id, caller, sku, quantity, note) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING ${COLUMNS}`);
    return logged(from, "place", async () => toOrder((await statement.bind(crypto.randomUUID(), from.caller, sku, quantity, note ?? null).first<Row>())!));
  }

  latest(from: From): Promise<Order[]> {
    const statement = this.env.DB.prepare(`SELECT ${COLUMNS} FROM orders WHERE caller = ?1 ORDER BY created_at DESC, id LIMIT 100`);
    return logged(from, "latest", async () => (await statement.bind(from.caller).all<Row>()).results.map(toOrder));
  }
}

async function logged<T>({ caller, requestId, traceId }: From, operation: string, perform: () => Promise<T>): Promise<T> {
  const started = Date.now();
  const line = (level: string) => JSON.stringify({ level, event: "rpc", operation, caller, ms: Date.now() - started, request_id: requestId, trace_id: traceId });
  try {
    const answer = await perform();
    console.log(line("info"));
    return answer;
  } catch (e) {
    console.error(line("error"));
    throw e;
  }
}

interface Env {
  Bindings: { TEAM_DOMAIN: string; POLICY_AUD: string; ORDERS: { place(from: From, order: NewOrder): Promise<Order>; latest(from: From): Promise<Order[]> } };
  Variables: RequestIdVariables & { from: From };
}

const TITLES = { 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 413: "Payload Too Large", 415: "Unsupported Media Type",
  422: "Unprocessable Entity", 503: "Service Unavailable" };

/** What a caller is told when a request fails (RFC 9457); the cause is for the log. */
class Problem extends Error {
  readonly status: keyof typeof TITLES;
  readonly code: string;
  readonly headers: Record<string, string>;

  constructor(status: keyof typeof TITLES, code: string, detail: string, { cause, headers = {} }: { cause?: unknown; headers?: Record<string, string> } = {}) {
    super(detail, { cause });
    this.status = status;
    this.code = code;
    this.headers = headers;
  }

  render(c: Context) {
    const body = { type: "about:blank", title: TITLES[this.status], status: this.status, detail: this.message, code: this.code };
    return c.body(JSON.stringify(body), this.status, { "content-type": "application/problem+json", ...this.headers });
  }
}

const unauthorized = (code: string, detail: string, challenge = "") =>
  new Problem(401, code, detail, { headers: { "www-authenticate": `Bearer realm="machine-gateway"${challenge}` } });

let keys: ReturnType<typeof createRemoteJWKSet> | undefined;

/** Who calls, as a token of Access says; no handler runs without one. */
const authenticate = createMiddleware<Env>(async (c, next) => {
  const { TEAM_DOMAIN, POLICY_AUD } = c.env, token = c.req.header("cf-access-jwt-assertion");
  if (!token) throw unauthorized("no-token", "a service token of Cloudflare Access is needed");
  keys ??= createRemoteJWKSet(new URL("/cdn-cgi/access/certs", TEAM_DOMAIN));
  const { payload } = await jwtVerify(token, keys, { issuer: TEAM_DOMAIN, audience: POLICY_AUD, algorithms: ["RS256"], requiredClaims: ["exp"] }).catch((e) => {
    if (e instanceof errors.JWKSTimeout || !(e instanceof errors.JOSEError)) throw unavailable(e);
    throw unauthorized("invalid-token", e.message, `, error="invalid_token", error_description="the token is not valid"`);
  });
  if (typeof payload.common_name !== "string") throw new Problem(403, "not-a-machine", "this API is for service tokens");
  c.set("from", { caller: payload.common_name, requestId: c.get("requestId"), traceId: traceIdOf(c.req.header("traceparent")) });
  await next();
});

/** W3C Trace Context: the trace that the caller began, or a new one. */
const traceIdOf = (traceparent = "") => /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})[\da-f]{16}-[\da-f]{2}(-|$)/.exec(traceparent)?.[1]
  ?? crypto.randomUUID().replaceAll("-", "");

const unavailable = (cause: unknown) => new Problem(503, "unavailable", "a service that this request needs does not answer", { cause, headers: { "retry-after": "1" } });

/** The internal Worker's answer, waited for as long as makes sense. */
async function answered<T>(answer: Promise<T>, failed: (cause: unknown) => Problem): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, fail) => { timer = setTimeout(fail, 5000, new Error("no answer in time")); });
  return Promise.race([answer, late]).catch((e) => { throw failed(e); }).finally(() => clearTimeout(timer));
}

const newOrder = validator("json", (value: Partial<NewOrder> | null, c): NewOrder => {
  if (!c.req.header("content-type")?.startsWith("application/json")) throw new Problem(415, "unsupported-media-type", "send JSON");
  const { sku, quantity, note, ...unknown } = value ?? {}, wrong = (why: string) => new Problem(422, "unprocessable-entity", why);
  if (typeof sku !== "string" || !/^[\w.-]{1,64}$/.test(sku)) throw wrong("a sku is 1 to 64 of A-Z, a-z, 0-9, -, _ and .");
  if (!Number.isInteger(quantity) || quantity! < 1 || quantity! > 10_000) throw wrong("a quantity is 1 to 10000");
  if (note != null && (typeof note !== "string" || !/^\P{Cc}{1,500}$/u.test(note))) throw wrong("a note is 1 to 500 characters, none of them control characters");
  for (const member in unknown) throw wrong(`unknown member ${member}`);
  return { sku, quantity: quantity!, note: note ?? undefined };
});

const app = new Hono<Env>();
app.use(requestId({ generator: (c) => c.req.header("cf-ray") ?? crypto.randomUUID() }));
app.use(async (c, next) => {
  const started = Date.now();
  await next();
  const { caller, traceId } = c.get("from") ?? {}, { status } = c.res;
  console.log(JSON.stringify({ level: status < 500 ? "info" : "error", event: "request", status, method: c.req.method, route: routePath(c, -1), caller,
    cause: c.error?.cause && String(c.error.cause), ms: Date.now() - started, request_id: c.get("requestId"), trace_id: traceId }));
});
app.use(authenticate);

app.get("/v1/orders", async (c) => c.json({ orders: await answered(c.env.ORDERS.latest(c.get("from")), unavailable) }));

app.post("/v1/orders", bodyLimit({ maxSize: 16 << 10, onError: () => { throw new Problem(413, "payload-too-large", "at most 16 KB"); } }), newOrder,
  async (c) => {
    const order = await answered(c.env.ORDERS.place(c.get("from"), c.req.valid("json")),
      (cause) => new Problem(503, "outcome-unknown", "whether it took effect is not known", { cause }));
    return c.json(order, 201, { location: `/v1/orders/${order.id}` });
  });

app.notFound((c) => new Problem(404, "not-found", "not found").render(c));
app.onError((error, c) => {
  if (error instanceof HTTPException) error = new Problem(400, "bad-request", error.message); // of Hono's validator
  return (error instanceof Problem ? error : unavailable(error)).render(c);
});

export default app;
