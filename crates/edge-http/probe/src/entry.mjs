// The Worker's `main`: what of the Rust build is reachable, and by whom.
import * as build from "worker-build";
import { entry } from "edge-http";
const { handlers, rpc, object } = entry(build);

export default handlers;
export const Rpc = rpc("shout", "attempt", "attemptSync");
export const Room = object("Room", "add", "attemptHere");
