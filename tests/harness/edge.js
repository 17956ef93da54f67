// What Cloudflare's edge does to a request before a Worker sees it, as far as a Worker can tell. Runs in workerd, in front
// of each public Worker, one entry point for each. Host, path and query stay the client's (workerd resolves `..`, as
// Cloudflare's URL normalisation does); bodies and sockets pass through.
import { WorkerEntrypoint } from "cloudflare:workers";

// The edge sets these itself: whatever a client sends under these names is not believed. (MF-…, all of which it drops, is
// what miniflare's own parts tell each other.)
const OURS = new Set(["cf-connecting-ip", "cf-connecting-ipv6", "cf-ipcountry", "cf-pseudo-ipv4", "cf-ray", "cf-visitor", "cf-worker",
  "true-client-ip", "x-forwarded-proto"]);

export const edge = (name) => class extends WorkerEntrypoint {
  async fetch(request) {
    const target = this.env[name], { key, cf: visitor, access } = this.env.EDGE;
    // Only the harness itself knows the key, and may say who connects, how, and what the edge knows about them.
    const trusted = request.headers.get("mf-edge-key") === key;
    const scheme = (trusted && request.headers.get("mf-edge-scheme")) || "http";
    const address = request.url.replace(/^http(?=:)/, scheme), url = URL.parse(address);
    if (!url) return new Response("Bad Request", { status: 400 }); // a Host that is none
    if (url.pathname === "/cdn-cgi/handler/scheduled") { // as in `wrangler dev`
      const scheduledTime = new Date(Number(url.searchParams.get("time")) || Date.now());
      const { outcome } = await target.scheduled({ cron: url.searchParams.get("cron") ?? "", scheduledTime });
      return new Response(outcome, { status: outcome === "ok" ? 200 : 500 });
    }

    const cf = trusted ? { ...visitor, ...request.cf } : visitor;
    const ip = (trusted && request.headers.get("cf-connecting-ip")) || "127.0.0.1";

    const headers = new Headers(request.headers);
    for (const header of [...headers.keys()]) if (header.startsWith("mf-") || OURS.has(header)) headers.delete(header);
    headers.set("cf-connecting-ip", ip);
    headers.append("x-forwarded-for", ip);
    headers.set("x-forwarded-proto", scheme);
    headers.set("cf-visitor", JSON.stringify({ scheme }));
    headers.set("cf-ipcountry", cf.country);
    headers.set("cf-ray", `${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}-${cf.colo}`);
    if (access[name]) headers.set("mf-access-blob", access[name]); // [access.dev] of wrangler.toml becomes ctx.access
    // Not `new Request(request, …)`, which looks at request.cf: a client may have put anything there, JSON or not.
    // A GET's body, which means nothing (RFC 9110, section 9.3.1), is more than the constructor takes.
    const given = ["GET", "HEAD"].includes(request.method) ? null : request.body, length = request.headers.get("content-length");
    const pipe = given && (length && Number.isSafeInteger(Number(length)) ? new FixedLengthStream(Number(length)) : new IdentityTransformStream());
    let refuse;
    const passed = given && pass(given, pipe.writable, new Promise((done) => { refuse = done; }));
    const answer = await target.fetch(new Request(address, { method: request.method, headers, body: pipe?.readable, cf, redirect: "manual" }));
    if (given && answer.status >= 400) {
      refuse();
      await Promise.race([passed, scheduler.wait(2000)]); // a client who sends nothing more is answered all the same
    }
    return answer;
  }
};

// A body's way to the Worker. When the Worker has refused it, the rest is read all the same, and dropped: workerd would close
// the connection while the client is still sending, and the client might never see why. (Cloudflare's edge keeps it open.)
async function pass(body, writable, refused) {
  const reader = body.getReader(), writer = writable.getWriter();
  let wanted = true, end = Infinity;
  refused.then(() => { wanted = false; end = Date.now() + 2000; });
  try {
    for (let chunk; !(chunk = await reader.read()).done && Date.now() < end;)
      if (wanted) await Promise.race([writer.write(chunk.value).catch(() => { wanted = false; }), refused]);
    if (wanted) await writer.close();
  } catch (e) { // the client has gone: what came so far must not look like the whole
    await writer.abort(e).catch(() => {});
  }
}
