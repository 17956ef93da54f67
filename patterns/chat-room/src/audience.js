// The sockets of a room that have said hello. One call from wasm tells all of them: a call a socket would turn the text into a
// string of JavaScript as many times.
export class Audience {
  #sockets = new Set();

  add(socket) { this.#sockets.add(socket); }
  delete(socket) { return this.#sockets.delete(socket); }

  /** Tells everybody, but for `except`. Those who cannot be told, since their socket is closing; undefined: none. */
  tell(text, except) {
    let lost;
    for (const socket of this.#sockets) if (socket !== except) try { socket.send(text); } catch { (lost ??= []).push(socket); }
    return lost;
  }
}
