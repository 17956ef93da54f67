// What the log tells.

export class Log {
  readonly lines: string[] = [];
  panics = 0;
  traps = 0;
  /** How often a room was read into memory. */
  opened = 0;

  /** For `startPattern`. */
  readonly read = (line: string) => {
    this.lines.push(line);
    if (line.includes("panicked at")) this.panics++;
    if (line.startsWith("wasm trap")) this.traps++;
    if (line.includes('"event":"room","outcome":"opened"')) this.opened++;
  };
}
