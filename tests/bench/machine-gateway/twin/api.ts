// What both Workers of the twin have: a request id, errors in the standard form, and a line of log for each request.
import { Hono, type Context } from "hono";
import { HTTPException } from "hono/http-exception";
import { requestId, type RequestIdVariables } from "hono/request-id";
import { routePath } from "hono/route";

/** Who calls, as the gateway established it; goes inwards with each call. */
export interface Identity { v: 1; principal: string; credential: string; proof: string; traceparent: string; request_id: string }
export interface Env<Bindings extends object, Caller> {
  Bindings: Bindings;
  /** `notes` go into the line of log. */
  Variables: RequestIdVariables & { notes: Record<string, unknown>; traceparent: string; caller: Caller };
}

const TITLES = { 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 413: "Payload Too Large", 414: "URI Too Long",
  415: "Unsupported Media Type", 422: "Unprocessable Entity", 429: "Too Many Requests", 431: "Request Header Fields Too Large", 501: "Not Implemented",
  503: "Service Unavailable" };

/** What a caller is told when a request fails (RFC 9457); the cause is for the log. */
export class Problem extends Error {
  readonly status: keyof typeof TITLES;
  readonly code: string;
  readonly headers: Record<string, string>;
  constructor(status: keyof typeof TITLES, code: string, detail: string, cause?: unknown, headers: Record<string, string> = {}) {
    super(detail, { cause });
    [this.status, this.code, this.headers] = [status, code, headers];
  }
  render(c: Context) {
    const body = { type: "about:blank", title: TITLES[this.status], status: this.status, detail: this.message, code: this.code };
    return c.body(JSON.stringify(body), this.status, { "content-type": "application/problem+json", ...this.headers });
  }
}
export const unavailable = (cause: unknown) => new Problem(503, "unavailable", "a service that this request needs does not answer", cause, { "retry-after": "1" });
export const outcomeUnknown = (cause: unknown) => new Problem(503, "outcome-unknown", "whether it took effect is not known", cause);

/** W3C Trace Context: the trace that the caller began, or a new one. */
const traceIdOf = (traceparent = "") => /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})[\da-f]{16}-[\da-f]{2}(-|$)/.exec(traceparent)?.[1]
  ?? crypto.randomUUID().replaceAll("-", "");

export function api<Bindings extends object, Caller>() {
  const app = new Hono<Env<Bindings, Caller>>();
  app.use(requestId({ generator: (c) => c.req.header("cf-ray") ?? crypto.randomUUID() }));
  app.use(async (c, next) => {
    const started = Date.now(), notes: Record<string, unknown> = {}, trace_id = traceIdOf(c.req.header("traceparent"));
    c.set("notes", notes);
    c.set("traceparent", `00-${trace_id}-${crypto.randomUUID().replaceAll("-", "").slice(16)}-01`);
    await next();
    const { status } = c.res, reason = c.error && String(c.error.cause ?? c.error.message);
    console.log(JSON.stringify({ level: status < 500 ? "info" : "error", event: "request", status, method: c.req.method, route: routePath(c, -1), ...notes,
      ...(c.error && { outcome: status < 500 ? "refused" : "failed" }), reason, ms: Date.now() - started, request_id: c.get("requestId"), trace_id }));
  });
  app.notFound((c) => new Problem(404, "not-found", "not found").render(c));
  app.onError((error, c) => {
    if (error instanceof HTTPException) error = new Problem(400, "bad-request", error.message); // of Hono's validator
    return (error instanceof Problem ? error : unavailable(error)).render(c);
  });
  return app;
}
