// The Worker's `main`: names what other Workers can reach over a service binding. What is not exported here stays inside.
import * as build from "worker-build";
import { entry } from "edge-http";
const { handlers, rpc } = entry(build);

export default handlers;
export const Maintenance = rpc("purge"); // for service bindings with entrypoint = "Maintenance"
