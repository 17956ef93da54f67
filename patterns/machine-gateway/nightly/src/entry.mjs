// The Worker's `main`: names what can reach it, the clock. HTTP finds nothing here but 404.
import * as build from "worker-build";
import { entry } from "edge-http";

export default entry(build).handlers;
