// The Worker's `main`: names what other code can reach. HTTP finds nothing here but 404.
import * as build from "worker-build";
import { entry } from "edge-http";
const { handlers, rpc } = entry(build);

export default handlers;
export const Orders = rpc("call"); // for service bindings with entrypoint = "Orders"
