// The Worker's `main`: names what other Workers can reach over a service binding. HTTP finds nothing here but 404.
import * as build from "worker-build";
import { entry } from "edge-http";
const { handlers, rpc } = entry(build);

export default handlers;
export const Reports = rpc("create", "find"); // for service bindings with entrypoint = "Reports"
