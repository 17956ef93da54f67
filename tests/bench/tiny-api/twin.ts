// patterns/tiny-api in TypeScript, as its author would write it with Hono: the same routes, refusals and log.
import { Hono, type Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import { requestId, type RequestIdVariables } from "hono/request-id";
import { routePath } from "hono/route";
import { validator } from "hono/validator";

interface Plan { seats: number; price_cents: number }
interface SignUp { team: string; plan: string }
interface Env {
  Bindings: { PLANS: KVNamespace; DB: D1Database };
  Variables: RequestIdVariables;
}

const TITLES = { 400: "Bad Request", 404: "Not Found", 409: "Conflict", 413: "Payload Too Large", 415: "Unsupported Media Type",
  422: "Unprocessable Entity", 500: "Internal Server Error", 503: "Service Unavailable" };

/** What a caller is told when a request fails (RFC 9457); the cause is for the log. */
class Problem extends Error {
  readonly status: keyof typeof TITLES;
  readonly code: string;

  constructor(status: keyof typeof TITLES, code: string, detail: string, cause?: unknown) {
    super(detail, { cause });
    this.status = status;
    this.code = code;
  }

  render(c: Context) {
    const body = { type: "about:blank", title: TITLES[this.status], status: this.status, detail: this.message, code: this.code };
    return c.body(JSON.stringify(body), this.status, { "content-type": "application/problem+json" });
  }
}

const isName = (value: unknown): value is string => typeof value === "string" && /^[a-z0-9-]{1,32}$/.test(value);

const signUp = validator("json", (value: Partial<SignUp> | null, c): SignUp => {
  if (!c.req.header("content-type")?.startsWith("application/json")) throw new Problem(415, "unsupported-media-type", "send JSON");
  const { team, plan, ...unknown } = value ?? {};
  if (!isName(team) || !isName(plan)) throw new Problem(422, "unprocessable-entity", "team and plan are 1 to 32 of a-z, 0-9 and -");
  for (const member in unknown) throw new Problem(422, "unprocessable-entity", `unknown member ${member}`);
  return { team, plan };
});

async function findPlan(plans: KVNamespace, name: string): Promise<Plan> {
  const plan = await plans.get<Plan>(name, "json");
  if (!plan) throw new Problem(404, "no-such-plan", "there is no such plan");
  return plan;
}

const app = new Hono<Env>();
app.use(requestId({ generator: (c) => c.req.header("cf-ray") ?? crypto.randomUUID() }));
app.use(async (c, next) => {
  const started = Date.now();
  await next();
  console.log(JSON.stringify({ level: c.res.status < 500 ? "info" : "error", event: "request", status: c.res.status, method: c.req.method,
    route: routePath(c, -1), cause: c.error?.cause, ms: Date.now() - started, request_id: c.get("requestId") }));
});

app.get("/plans/:name", async (c) => {
  const name = c.req.param("name");
  if (!isName(name)) throw new Problem(400, "bad-request", "a name is 1 to 32 of a-z, 0-9 and -");
  return c.json(await findPlan(c.env.PLANS, name));
});

app.post("/signups", bodyLimit({ maxSize: 2 << 20, onError: () => { throw new Problem(413, "payload-too-large", "at most 2 MB"); } }), signUp,
  async (c) => {
    const { team, plan } = c.req.valid("json");
    await findPlan(c.env.PLANS, plan);
    // The WHERE lets "the same again" return its row, while "another plan" changes no row and returns none.
    const stored = await c.env.DB.prepare(`INSERT INTO signups (team, plan) VALUES (?1, ?2)
      ON CONFLICT (team) DO UPDATE SET plan = plan WHERE plan = excluded.plan RETURNING team`)
      .bind(team, plan).first<string>("team");
    if (!stored) throw new Problem(409, "other-plan", "the team has another plan");
    return c.json({ team, plan }, 201);
  });

app.notFound((c) => new Problem(404, "not-found", "not found").render(c));
app.onError((error, c) => {
  if (error instanceof HTTPException) error = new Problem(400, "bad-request", error.message); // of Hono's validator
  if (!(error instanceof Problem)) error = new Problem(503, "unavailable", "a service that this request needs does not answer", String(error));
  return (error as Problem).render(c);
});

export default app;
