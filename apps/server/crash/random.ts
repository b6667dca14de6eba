/** A seeded source of everything the campaign decides by chance. */
export class SeededRandom {
  private state: number

  constructor(seed: number) {
    this.state = seed | 0
  }

  /** In [0, 1), 32 bits (mulberry32). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** An integer in [least, most]. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  /** 48 random bits. */
  bits48(): number {
    return this.between(0, 2 ** 24 - 1) * 2 ** 24 + this.between(0, 2 ** 24 - 1)
  }

  pick<A>(list: readonly A[]): A {
    const found = list[this.between(0, list.length - 1)]
    if (found === undefined) throw new RangeError("nothing to pick from")
    return found
  }
}
