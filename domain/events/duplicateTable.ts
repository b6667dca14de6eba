/**
 * Live dedupe entries of one partition inside the horizon: 64-bit hash → R when it was first seen.
 *
 * Open addressing, 16 bytes a slot in one buffer, so that a look-up touches one line of memory; entries past the horizon go whenever the table is rebuilt,
 * so memory follows the traffic of one horizon. Offsets and R are exact up to 2^53.
 */
const CAPACITY_MIN = 32
/** Rebuilt when more than three quarters of the slots are used. */
const LOAD_MAX = 0.75
/**
 * And grown if what is then still within the horizon takes more than this: between the two there is room for a tenth of
 * the slots before the next rebuild, and steady traffic does not double the table once its first entries expire.
 */
const LIVE_MAX = 0.65

/** Words and doubles of a slot. */
const SLOT_WORDS = 4
const SLOT_DOUBLES = 2

export class DuplicateTable {
  private capacity = CAPACITY_MIN
  private used = 0
  /**
   * The hash at words 0 and 1 of the slot, R of the entry as its second double; NaN marks a free slot. Signed words: half of
   * all unsigned ones are no small integers, and each of those would be an object wherever it is handed on.
   */
  private words = new Int32Array(0)
  private receivedMs = new Float64Array(0)
  private readonly horizonMs: number

  /** `horizonMs`: an entry counts while R(now) − R(entry) ≤ horizonMs. */
  constructor(horizonMs: number) {
    this.horizonMs = horizonMs
    this.allocate()
  }

  /** Entries held, expired ones included until the next rebuild. */
  get size(): number {
    return this.used
  }

  /** Memory of the table once it has taken `more` entries, bytes. */
  bytesWith(more: number): number {
    let { capacity } = this
    while (this.used + more > capacity * LOAD_MAX) capacity *= 2
    return capacity * SLOT_DOUBLES * 8
  }

  /** Drops what has left the horizon at R = `nowMs`, and the memory it took. */
  expire(nowMs: number): void {
    this.rebuild(nowMs, CAPACITY_MIN)
  }

  private allocate(): void {
    this.receivedMs = new Float64Array(this.capacity * SLOT_DOUBLES).fill(NaN)
    this.words = new Int32Array(this.receivedMs.buffer)
  }

  private slotOf(hash0: number, hash1: number): number {
    const { words, receivedMs } = this
    const mask = this.capacity - 1
    const hi = hash0 | 0
    const lo = hash1 | 0
    let slot = (lo ^ Math.imul(hi, 0x9e3779b1)) & mask
    for (;;) {
      const seenMs = receivedMs[slot * SLOT_DOUBLES + 1]!
      if (seenMs !== seenMs || (words[slot * SLOT_WORDS] === hi && words[slot * SLOT_WORDS + 1] === lo)) return slot
      slot = (slot + 1) & mask
    }
  }

  /**
   * True when the hash was seen within the horizon before `nowMs` (an R value). Halves of hashes are 32 bits, signed or
   * unsigned, here and in the other methods.
   */
  has(hi: number, lo: number, nowMs: number): boolean {
    return nowMs - this.receivedMs[this.slotOf(hi, lo) * SLOT_DOUBLES + 1]! <= this.horizonMs
  }

  /** Records the hash at R = `receivedMs`, replacing an expired entry of the same hash. */
  add(hi: number, lo: number, receivedMs: number): void {
    if (this.used + 1 > this.capacity * LOAD_MAX) this.rebuild(receivedMs)
    this.put(this.slotOf(hi, lo), hi, lo, receivedMs)
  }

  private put(slot: number, hi: number, lo: number, receivedMs: number): void {
    const seenMs = this.receivedMs[slot * SLOT_DOUBLES + 1]!
    if (seenMs !== seenMs) this.used += 1
    this.words[slot * SLOT_WORDS] = hi
    this.words[slot * SLOT_WORDS + 1] = lo
    this.receivedMs[slot * SLOT_DOUBLES + 1] = receivedMs
  }

  private rebuild(nowMs: number, capacityMin = this.capacity): void {
    const { words, receivedMs, capacity } = this
    let live = 0
    for (let i = 0; i < capacity; i++) if (nowMs - receivedMs[i * SLOT_DOUBLES + 1]! <= this.horizonMs) live += 1
    this.capacity = capacityMin
    while (live + 1 > this.capacity * LIVE_MAX) this.capacity *= 2
    this.allocate()
    this.used = 0
    for (let i = 0; i < capacity; i++) {
      const seenMs = receivedMs[i * SLOT_DOUBLES + 1]!
      if (!(nowMs - seenMs <= this.horizonMs)) continue
      const hi = words[i * SLOT_WORDS]!
      const lo = words[i * SLOT_WORDS + 1]!
      this.put(this.slotOf(hi, lo), hi, lo, seenMs)
    }
  }
}
