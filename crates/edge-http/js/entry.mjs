// Stands between the runtime and a Rust build: when wasm fails, everyone who waits gets an answer, and nothing goes on with
// broken memory. For unmodified output of worker-build 0.8.7 (wasm-bindgen 0.2.130), built to unwind or to abort.
//
// - A panic that unwinds fails its own call; in a spawned task, which belongs to no call, it counts as a trap. In a Durable
//   Object, whose memory may be half changed, it fails all calls of that object; the next one builds its Rust half anew from
//   storage. Sockets stay.
// - A trap, or a panic that aborts, fails every call in flight and cuts every stream that waits for wasm; the next call runs
//   on a new wasm instance.
// - A call that was cut short ends with an error that starts with "RESTARTED:"; fetch answers 500 itself.
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";

// What leaves wasm when the instance is lost: a trap, a stack overflow (RangeError), or a JS import that threw where Rust
// declares no `catch` (the last two). An `Err` of Rust's and a panic that unwound are none of these, nor is what another Worker
// threw, which workerd marks as `remote`.
const isTrap = (e) => e?.remote !== true && (e instanceof WebAssembly.RuntimeError || e instanceof WebAssembly.Exception
  || (e instanceof RangeError && e.message.includes("call stack")) || e?.message === "Critical error");
const isPanic = (e) => e?.remote !== true && e?.name === "PanicError"; // wasm-bindgen's class, which it does not export
// The prefix is a contract: of an error's parts, the message is what surely reaches the caller of an object.
class Restarted extends Error {
  constructor(why) { super(`RESTARTED: ${why}. Whether the call took effect is not known.`); }
}

/** What answers a fetch that was cut short: the log line that Rust can no longer write, and RFC 9457's body. */
function failed(request, error) {
  const given = request.headers.get("cf-ray") ?? "";
  const id = /^[\w-]{1,64}$/.test(given) ? given : crypto.randomUUID().replaceAll("-", "");
  console.error(JSON.stringify({ level: "error", event: "request", method: request.method, status: 500, cause: String(error?.message ?? error), request_id: id }));
  const headers = { "content-type": "application/problem+json", "x-request-id": id };
  return new Response(JSON.stringify({ type: "about:blank", title: "Internal Server Error", status: 500, code: "internal",
    detail: "the request failed here; it may be worth another try" }), { status: 500, headers });
}

/**
 * @param build the module that worker-build made
 * @param failure answers a fetch that was cut short, in another form than RFC 9457's where a standard prescribes one
 * @returns {{ handlers, rpc, object }} see the Worker's own entry.mjs: what is not exported there nobody can reach
 */
export function entry(build, failure = failed) {
  const state = globalThis.__worker_init_state; // published by the `worker` crate
  const rust = build.default.prototype; // the exported functions, beneath worker-build's proxies
  const pending = new Map(); // reject function of each call in flight -> the object called, if any
  const inner = new WeakMap(); // Durable Object -> [its Rust half, number of the wasm instance that it lives in]
  const seen = new WeakSet(); // errors that were dealt with: one may arrive by two ways
  const fail = (error, object) => pending.forEach((its, reject) => {
    if (!object || its === object) { pending.delete(reject); reject(error); }
  });

  // A new instance writes its number here: whoever started it, the old one is dead and its calls with it.
  let id = state.instanceId;
  Object.defineProperty(state, "instanceId", { get: () => id, set(n) { id = n; fail(new Restarted("wasm trapped")); } });

  function trapped(error) {
    if (seen.has(Object(error))) return;
    seen.add(Object(error));
    console.error("wasm trap", error);
    // Now, before a timer or promise of the dead instance calls into the next one; and by worker-build's own reset, since
    // the dead instance may be unable to ask for it.
    state.criticalError = true;
    try { new build.default({}, {}); } catch (e) { console.error("cannot restart wasm", e); }
    state.criticalError = false;
    fail(new Restarted("wasm trapped"));
  }
  addEventListener("error", (e) => { if (isTrap(e.error)) trapped(e.error); });
  addEventListener("unhandledrejection", (e) => { if (isTrap(e.reason)) trapped(e.reason); });

  // wasm-bindgen polls every future from queueMicrotask, so what is thrown there is always fatal. (A promise reaction is
  // the same microtask at a twentieth of the price in workerd.) `_wbg_cb_unref` marks wasm-bindgen's closures.
  const ready = Promise.resolve();
  globalThis.queueMicrotask = (callback) => {
    const wasm = callback._wbg_cb_unref !== undefined, born = id;
    ready.then(() => {
      if (wasm && born !== id) return;
      try { callback(); } catch (e) { if (wasm || isTrap(e)) trapped(e); else reportError(e); }
    });
  };

  // A stream made in Rust asks wasm for each chunk: while it waits for one, that is a call in flight like any other, and after
  // a trap the stream is broken at once. (wasm-streams' source, which `__wbg_ptr` marks, is of a class that is not exported:
  // so it is met here, where it becomes a stream.)
  globalThis.ReadableStream = new Proxy(ReadableStream, { construct(Stream, [source, ...more], As) {
    if (source?.__wbg_ptr) {
      const { pull, cancel } = source;
      let stop;
      source.pull = (controller) => {
        const answer = pull.call(source, controller);
        pending.set(stop ??= (e) => controller.error(e));
        return answer.finally(() => pending.delete(stop));
      };
      source.cancel = (why) => { pending.delete(stop); return cancel.call(source, why); };
    }
    return Reflect.construct(Stream, [source, ...more], As);
  } });

  const call = (run, object) => new Promise((resolve, reject) => {
    if (state.criticalError) trapped(new Error("trapped outside of a call"));
    const end = (e) => {
      pending.delete(reject);
      if (isTrap(e)) { trapped(e); e = new Restarted("wasm trapped"); }
      else if (isPanic(e)) {
        e = new Restarted("it panicked"); // the panic's own message is for the log, where it is already
        if (object) { // its memory may be half changed: the next call builds it anew from storage
          inner.delete(object);
          fail(e, object);
          if (object.constructor.abortOnPanic) object.ctx.abort(e.message);
        }
      }
      reject(e);
    };
    try {
      const answer = run(); // an async function is only started here, its first poll comes later
      if (!(answer instanceof Promise)) return resolve(answer); // it is done
      pending.set(reject, object); // not earlier: after a trap that nobody noticed, that start made the new instance
      answer.then((value) => { pending.delete(reject); resolve(value); }, end);
    } catch (e) { end(e); }
  });
  const define = (Class, methods, run) => {
    for (const m of methods) Class.prototype[m] = function (...args) { return run(this, m, args); };
    return Class;
  };

  // For `export default`: a plain object, so that none of the exported functions is reachable by RPC. A Worker that other
  // Workers call over RPC only still needs a default handler; its answer is that there is nothing.
  const handlers = { fetch: () => new Response(null, { status: 404 }) };
  for (const name of ["fetch", "queue", "scheduled", "email", "connect"]) if (rust[name])
    handlers[name] = (event, env, ctx) => call(() => rust[name].call({ env, ctx }, event));
  const { fetch } = handlers;
  if (rust.fetch) handlers.fetch = (request, env, ctx) => fetch(request, env, ctx).catch((e) => failure(request, e));
  // A named entrypoint whose methods are these exported functions and no others.
  const rpc = (...methods) => define(class extends WorkerEntrypoint {}, methods, (self, m, args) => call(() => rust[m].apply(self, args)));
  // A Durable Object: the runtime's events and these methods. Its Rust half is built in the first call, and again once lost.
  const object = (name, ...methods) => {
    const Rust = build[name].prototype.constructor; // beneath the proxies, too
    const events = ["fetch", "alarm", "webSocketMessage", "webSocketClose", "webSocketError"].filter((m) => Rust.prototype[m]);
    class Guarded extends DurableObject {
      constructor(ctx, env) { // an initialisation that is lost must not shut the object for 30 s, nor reset it and close its sockets
        const block = ctx.blockConcurrencyWhile.bind(ctx), wait = ctx.waitUntil.bind(ctx);
        ctx.waitUntil = (work) => wait(call(() => work, this)); // a panic there leaves the object half changed as well
        ctx.blockConcurrencyWhile = (run, born = id) => block(() => call(run, this).catch((e) => { if (born === id && !(e instanceof Restarted)) throw e; }));
        super(ctx, env);
      }
    }
    return define(Guarded, [...events, ...methods], (self, m, args) => call(() => {
      const enter = () => inner.get(self)[0][m](...args);
      if (inner.get(self)?.[1] === id) return enter();
      inner.set(self, [new Rust(self.ctx, self.env), id]);
      return self.ctx.blockConcurrencyWhile(async () => {}).then(enter); // behind the one that `new` may have started
    }, self));
  };
  return { handlers, rpc, object };
}
