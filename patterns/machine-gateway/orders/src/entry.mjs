// The Worker's `main`: what of the Rust build is reachable, and by whom. No fetch handler: nothing answers HTTP here.
import * as build from "worker-build";
import { entry } from "edge-http";
const { handlers, rpc } = entry(build);

export default handlers;
export const Orders = rpc("call"); // for service bindings with entrypoint = "Orders"
