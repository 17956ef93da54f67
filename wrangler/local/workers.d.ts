// What stand-ins and twins use of Cloudflare's runtime beyond the web's own types; add what the next one needs.

interface Fetcher {
  fetch(input: Request | URL | string, init?: RequestInit): Promise<Response>;
}

interface KVNamespace {
  get(key: string): Promise<string | null>;
  get<T>(key: string, type: "json"): Promise<T | null>;
  put(key: string, value: string, options?: { expirationTtl?: number }): Promise<void>;
}

interface D1Database {
  prepare(sql: string): D1PreparedStatement;
}

interface D1PreparedStatement {
  bind(...values: (string | number | null)[]): D1PreparedStatement;
  all<T>(): Promise<{ results: T[] }>;
  first<T>(column?: string): Promise<T | null>;
}

interface DurableObjectNamespace {
  getByName(name: string): Fetcher;
}

interface DurableObjectState {
  storage: {
    sql: { exec<T>(sql: string, ...values: unknown[]): Iterable<T> & { toArray(): T[]; one(): T } };
    getAlarm(): Promise<number | null>;
    setAlarm(ms: number): Promise<void>;
    deleteAll(): Promise<void>;
  };
  acceptWebSocket(socket: WebSocket): void;
  getWebSockets(): WebSocket[];
  setWebSocketAutoResponse(pair: WebSocketRequestResponsePair): void;
}

interface WebSocket {
  serializeAttachment(value: unknown): void;
  deserializeAttachment(): any;
}

declare class WebSocketPair {
  readonly 0: WebSocket;
  readonly 1: WebSocket;
}

declare class WebSocketRequestResponsePair {
  constructor(request: string, response: string);
}

interface Response {
  readonly webSocket?: WebSocket | null;
}

interface ExecutionContext {
  waitUntil(promise: Promise<unknown>): void;
}

interface ExportedHandler<Env = unknown> {
  fetch?(request: Request, env: Env, ctx: ExecutionContext): Response | Promise<Response>;
}

interface SubtleCrypto {
  /** Throws unless both have the same length. */
  timingSafeEqual(a: ArrayBuffer, b: ArrayBuffer): boolean;
}

declare module "cloudflare:workers" {
  export abstract class WorkerEntrypoint<Env = unknown> {
    protected readonly env: Env;
    protected readonly ctx: ExecutionContext;
  }

  export abstract class DurableObject<Env = unknown> {
    constructor(ctx: DurableObjectState, env: Env);
    protected readonly ctx: DurableObjectState;
    protected readonly env: Env;
  }
}
