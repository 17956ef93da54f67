class Listener {
  heard = 0;
  send(text) { this.heard += text.length; }
}
export const listeners = (count) => Array.from({ length: count }, () => new Listener());

// One call from wasm, whatever the number of listeners.
export function all(listeners, text) {
  for (const listener of listeners) {
    try { listener.send(text); } catch {} // as a socket would that is closing
  }
}

// A call from wasm for each.
export const one = (listener, text) => listener.send(text);
