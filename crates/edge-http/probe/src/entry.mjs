// The Worker's `main`: names what other code can reach.
import * as build from "worker-build";
import { entry } from "edge-http";
const { handlers, rpc, object } = entry(build);

export default handlers;
export const Rpc = rpc("shout", "attempt", "attemptSync");
export const Room = object("Room", "add", "attemptHere", "attemptHereSync");
