/** Seeded random numbers (mulberry32): the demo is the same every time. */
export interface Random {
  /** In [0, 1). */
  readonly next: () => number
  /** Whole number in [0, below). */
  readonly below: (below: number) => number
  /** One of the items, of which there is at least one. */
  readonly pick: <T>(items: readonly T[]) => T
  readonly chance: (probability: number) => boolean
}

/** The same seed gives the same numbers. */
export const makeRandom = (seed: number): Random => {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  const pick = <T>(items: readonly T[]): T => {
    if (items.length === 0) throw new RangeError("nothing to pick from")
    return items[below(items.length)] as T
  }
  return { next, below, pick, chance: (probability) => next() < probability }
}
