// One call from wasm, whatever the number of sockets.
export function all(ctx, text) {
  for (const socket of ctx.getWebSockets()) {
    try { socket.send(text); } catch {} // it is closing
  }
}

// A call from wasm for each socket.
export const one = (socket, text) => socket.send(text);
