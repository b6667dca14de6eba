/** Seeded randomness of the simulation: the same seed gives the same numbers in any engine. */

export class SeededRandom {
  private state: number

  /** `seed`: any integer; its low 32 bits count. */
  constructor(seed: number) {
    this.state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bf03635) | 0
  }

  /** In [0, 1). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** An integer from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** One of `items`, which is not empty. */
  pick<A>(items: readonly A[]): A {
    if (items.length === 0) throw new RangeError("nothing to pick from")
    return items[this.between(0, items.length - 1)] as A
  }

  /** A stream of its own, so that one part's draws do not shift another's. */
  fork(): SeededRandom {
    return new SeededRandom(this.between(0, 2 ** 31))
  }
}
