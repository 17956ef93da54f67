// What the Workers behind the gateway are told, for tests that call them over their bindings, and others in their place.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The gateway's word for who calls, apart from what is given; a member that is undefined is left out. */
export const identity = (principal: string, more: object = {}) => JSON.stringify({ v: 1, principal, credential: "k1", proof: "http-signature",
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", request_id: "8f2d6a1c9b3e4f50-LHR", ...more });

/** A Worker of this JavaScript, which may take the place of `orders`; `remove` takes its files away. */
export function otherOrders(source: string) {
  const folder = mkdtempSync(join(tmpdir(), "other-orders-")), config = join(folder, "wrangler.toml");
  writeFileSync(config, 'name = "other-orders"\nmain = "index.js"\nno_bundle = true\ncompatibility_date = "2026-11-17"\n');
  writeFileSync(join(folder, "index.js"), source);
  return { spec: { id: "other", config }, remove: () => rmSync(folder, { recursive: true }) };
}
