// The Worker's `main`: names what other code can reach. What is not exported here stays inside.
import * as build from "worker-build";
import { entry } from "edge-http";
const { handlers, object } = entry(build);

export default handlers;

export class Room extends object("Room", "hear", "lookAfter") {
  // The runtime takes frames of 32 MiB, and wasm memory never shrinks: what is too large, by a wide margin or just so (Rust
  // counts bytes), is not let in.
  webSocketMessage(socket, message) {
    if (typeof message === "string" && message.length > 16 << 10) return socket.close(1009, "frame too large");
    if (typeof message !== "string") return socket.close(1003, "text frames only");
    // Tests alone wait before each frame, for a failure to be provoked.
    if (this.env.FAULTS) return super.webSocketMessage(socket, message);
    return this.hear(socket, message).then((more) => (more ? this.lookAfter() : undefined));
  }
}
