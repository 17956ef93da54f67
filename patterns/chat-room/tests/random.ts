// Decisions that a seed gives again.

export class Random {
  #state: number;
  constructor(seed: number) { this.#state = seed; }

  /** From 0 to below 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  upTo(n: number): number { return Math.floor(this.next() * n); }
  chance(share: number): boolean { return this.next() < share; }
  pick<T>(list: readonly T[]): T { return list[this.upTo(list.length)]; }
  shuffled<T>(list: readonly T[]): T[] {
    const rest = [...list];
    return list.map(() => rest.splice(this.upTo(rest.length), 1)[0]);
  }
}
