// The sockets of a room that have said hello, each with a number for it. One call from wasm tells all of them: a call a
// socket would turn the text into a string of JavaScript as many times.
export class Sockets {
  #keys = new Map();

  add(socket, key) { this.#keys.set(socket, key); }
  /** 0: none. */
  key(socket) { return this.#keys.get(socket) ?? 0; }
  delete(socket) { this.#keys.delete(socket); }

  /** Tells everybody, but for `except`. Those who cannot be told, since their socket is closing; undefined: none. */
  broadcast(text, except) {
    let lost;
    for (const socket of this.#keys.keys()) if (socket !== except) try { socket.send(text); } catch { (lost ??= []).push(socket); }
    return lost;
  }
}
