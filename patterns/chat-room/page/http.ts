// The few requests beside the socket.
import type { Durable, Person } from "./connection.ts";

export interface Session { person: Person }
export interface History { events: Durable[]; next_before: number | null }

/** What the Worker says no with; `status` 0 where nobody was reached. */
export class Problem extends Error {
  status: number;
  constructor(status: number, detail: string) {
    super(detail);
    this.status = status;
  }
}

async function call<T>(method: string, path: string, body?: object): Promise<T> {
  const headers = body && { "content-type": "application/json" };
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) }).catch(() => {
    throw new Problem(0, "Nobody answers. Are you online?");
  });
  if (response.ok) return response.status === 204 ? (undefined as T) : response.json();
  const { detail, title } = await response.json().catch(() => ({})) as { detail?: string; title?: string };
  throw new Problem(response.status, detail ?? title ?? `The answer was ${response.status}.`);
}

export const signIn = (name: string) => call<Session>("POST", "/session", { name });
export const signOut = () => call<void>("DELETE", "/session");
/** Undefined: nobody is signed in. */
export const session = () => call<Session>("GET", "/session").catch((problem: Problem) => {
  if (problem.status !== 401) throw problem;
});
export const history = (room: string, before?: number, limit = 50) =>
  call<History>("GET", `/rooms/${room}/history?limit=${limit}${before === undefined ? "" : `&before=${before}`}`);
