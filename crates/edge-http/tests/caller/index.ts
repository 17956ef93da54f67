// Calls the probe as another Worker would, and tells its two kinds of failure apart.

interface Fetcher {
  fetch(input: Request | string, init?: RequestInit): Promise<Response>;
}
/** A service or an object: what it has beside `fetch` depends on whom one asks. */
type Stub = Fetcher & Record<string, (argument?: unknown) => Promise<unknown>>;
interface Env {
  PROBE: Stub;
  RPC: Stub;
  ROOM: { getByName(name: string): Stub };
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const [, to, ...rest] = new URL(request.url).pathname.split("/");
    try {
      switch (to) {
        case "room": // /room/NAME/…: the object's fetch. A fresh stub each time, since one that failed stays broken.
          return await env.ROOM.getByName(rest[0]).fetch(request);
        case "object": // /object/NAME/METHOD/ARGUMENT
          return Response.json(await env.ROOM.getByName(rest[0])[rest[1]](argument(rest[2])));
        case "RPC": // /RPC/METHOD/ARGUMENT: the named entrypoint
        case "PROBE": // the default one
          return Response.json(await env[to][rest[0]](argument(rest[1])));
        case "lie": // /lie/DECLARED/ACTUAL: a body that is longer than it says
          return await env.PROBE.fetch("http://probe/bytes", { method: "POST", headers: { "content-length": rest[0] }, body: new Uint8Array(Number(rest[1])) });
        case "long": // /long/BYTES: a longer path than a client can send
          return await env.PROBE.fetch(`http://probe/${"x".repeat(Number(rest[0]))}`);
        case "many": // /many/HEADERS
          return await env.PROBE.fetch("http://probe/", { headers: Array.from({ length: Number(rest[0]) }, (_, i) => [`x-${i}`, ""]) });
        case "slow": // an answer of ten lines, 60 ms apart
          return new Response(lines());
        default:
          return new Response(null, { status: 404 });
      }
    } catch (error) {
      const message = String((error as Error).message ?? error);
      return Response.json({ message }, { status: message.startsWith("RESTARTED:") ? 503 : 500 });
    }
  },
};

const argument = (text = "") => (/^\d+$/.test(text) ? Number(text) : text);

function lines(): ReadableStream {
  let n = 0;
  return new ReadableStream({
    async pull(controller) {
      if (n === 10) return controller.close();
      await new Promise((done) => setTimeout(done, 60));
      controller.enqueue(new TextEncoder().encode(`line ${n++}\n`));
    },
  });
}
