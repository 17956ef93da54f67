// The Worker's `main`: what of the Rust build is reachable from outside.
import * as build from "worker-build";
import { entry } from "edge-http";

export default entry(build).handlers;
