// The same six routes as its author would write them with Hono: typed, validated, with a request id and a JSON log line.
import { Hono } from "hono";
import { validator } from "hono/validator";
import { requestId } from "hono/request-id";
import { routePath } from "hono/route";

interface Order { customer: string; lines: { sku: string; quantity: number; note: string }[] }
const big = "x".repeat(100 << 10);
const key = crypto.subtle.importKey("raw", new TextEncoder().encode("a key of thirty-two bytes, just so"), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);

const app = new Hono();
app.use(requestId());
app.use(async (c, next) => {
  const started = Date.now();
  await next();
  console.log(JSON.stringify({ level: "info", event: "request", method: c.req.method, route: routePath(c, -1), status: c.res.status,
    ms: Date.now() - started, request_id: c.get("requestId") }));
});
app.get("/", (c) => c.text("Hello, World!"));
app.get("/items/:id", (c) => c.json({ id: c.req.param("id"), name: "A thing", price: 12.5, tags: ["red", "small", "new"] }));
app.post("/echo", validator("json", (value: Order, c) => {
  const ok = typeof value?.customer === "string" && Array.isArray(value.lines) &&
    value.lines.every((l) => typeof l?.sku === "string" && Number.isInteger(l.quantity) && l.quantity > 0 && typeof l.note === "string");
  return ok ? value : c.text("unprocessable", 422);
}), (c) => c.json(c.req.valid("json")));
app.get("/headers", (c) => c.text(c.req.header("user-agent") ?? ""));
app.get("/big", (c) => c.body(big, 200, { "content-type": "application/octet-stream" }));
app.post("/hmac", async (c) => {
  const mac = await crypto.subtle.sign("HMAC", await key, await c.req.arrayBuffer());
  return c.text(new Uint8Array(mac).toHex());
});
export default app;
