// Tests arm a fault at a named point; the code under test asks at that point whether it should fail, and how.
import { WorkerEntrypoint } from "cloudflare:workers";

// Module state: one isolate serves the whole stack, and a restart of it disarms everything.
const armed = new Map<string, { fault: string; times: number }>();

export default class Faults extends WorkerEntrypoint {
  /** The next `times` times that `point` is passed, `fault` happens there. Replaces what was armed at that point. */
  arm(point: string, fault: string, times = 1) {
    armed.set(point, { fault, times });
  }

  disarm() {
    armed.clear();
  }

  ask(point: string): string | null {
    const here = armed.get(point);
    if (!here) return null;
    here.times -= 1;
    if (here.times <= 0) armed.delete(point);
    return here.fault;
  }
}
