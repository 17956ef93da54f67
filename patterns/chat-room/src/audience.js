// The sockets of a room that have said hello, each with the number of its seat. One call from wasm tells all of them: a call a
// socket would turn the text into a string of JavaScript as many times.
export class Audience {
  #seats = new Map();

  add(socket, seat) { this.#seats.set(socket, seat); }
  /** 0: none. */
  seat(socket) { return this.#seats.get(socket) ?? 0; }
  delete(socket) { this.#seats.delete(socket); }

  /** Tells everybody, but for `except`. Those who cannot be told, since their socket is closing; undefined: none. */
  tell(text, except) {
    let lost;
    for (const socket of this.#seats.keys()) if (socket !== except) try { socket.send(text); } catch { (lost ??= []).push(socket); }
    return lost;
  }
}
