// The Worker's `main`: names what other code can reach. What is not exported here stays inside.
import * as build from "worker-build";
import { entry } from "edge-http";
const { handlers, object } = entry(build);

export default handlers;
export const Room = object("Room");
