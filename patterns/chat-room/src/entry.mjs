// The Worker's `main`: names what other code can reach. What is not exported here stays inside.
import * as build from "worker-build";
import { entry } from "edge-http";
const { handlers, object } = entry(build);

export default handlers;

/** `MAX_FRAME` of domain/protocol.rs. */
const MAX_FRAME = 64 << 10;

export class Room extends object("Room", "receive", "refuse", "ensureAlarm") {
  // The runtime takes frames of 32 MiB, and wasm memory never shrinks: what cannot fit is not let in. `length` counts units of
  // UTF-16, which are never more than bytes of UTF-8; Rust counts those of the rest.
  async webSocketMessage(socket, message) {
    if (socket.readyState !== WebSocket.OPEN) return; // we have closed it, and its client goes on
    if (typeof message !== "string") return this.refuse(socket, false);
    if (message.length > MAX_FRAME) return this.refuse(socket, true);
    const armed = this.env.FAULTS && (await this.env.FAULTS.ask("room")); // tests only: before the turn, never inside
    if (await this.receive(socket, message, armed)) await this.ensureAlarm();
  }
}
