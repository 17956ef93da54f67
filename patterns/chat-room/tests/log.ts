// What the log tells of the rooms.

export class Log {
  readonly lines: string[] = [];
  panics = 0;
  traps = 0;
  /** Room -> how often its Rust half was built. */
  readonly #opened = new Map<string, number>();

  /** For `startPattern`. */
  readonly read = (line: string) => {
    this.lines.push(line);
    if (/panicked at/.test(line)) this.panics++;
    if (line.startsWith("wasm trap")) this.traps++;
    if (!line.includes('"event":"room"')) return;
    const { outcome, room } = JSON.parse(line);
    if (outcome === "opened") this.#opened.set(room, this.opened(room) + 1);
  };
  opened(room: string): number { return this.#opened.get(room) ?? 0; }
}
