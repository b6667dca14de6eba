/**
 * Live dedupe entries of one partition inside the horizon: 64-bit hash → R when it was first seen.
 *
 * Open addressing over typed arrays, 24 bytes an entry; entries past the horizon go whenever the table is rebuilt,
 * so memory follows the traffic of one horizon. Offsets and R are exact up to 2^53.
 */
const CAPACITY_MIN = 1_024
/** Grows when more than 5/8 of the slots are used. */
const LOAD_MAX = 0.625

export class DuplicateTable {
  private capacity = CAPACITY_MIN
  private used = 0
  private hi = new Uint32Array(CAPACITY_MIN)
  private lo = new Uint32Array(CAPACITY_MIN)
  /** R of the entry; NaN marks a free slot. */
  private receivedMs = new Float64Array(CAPACITY_MIN).fill(NaN)
  private readonly horizonMs: number

  /** `horizonMs`: an entry counts while R(now) − R(entry) ≤ horizonMs. */
  constructor(horizonMs: number) {
    this.horizonMs = horizonMs
  }

  /** Entries held, expired ones included until the next rebuild. */
  get size(): number {
    return this.used
  }

  private slotOf(hi: number, lo: number): number {
    const mask = this.capacity - 1
    let slot = (lo ^ Math.imul(hi, 0x9e3779b1)) & mask
    while (this.receivedMs[slot] === this.receivedMs[slot] && (this.hi[slot] !== hi || this.lo[slot] !== lo)) slot = (slot + 1) & mask
    return slot
  }

  /** True when the hash was seen within the horizon before `nowMs` (an R value). */
  has(hi: number, lo: number, nowMs: number): boolean {
    const seenMs = this.receivedMs[this.slotOf(hi, lo)] ?? NaN
    return nowMs - seenMs <= this.horizonMs
  }

  /** Records the hash at R = `receivedMs`, replacing an expired entry of the same hash. */
  add(hi: number, lo: number, receivedMs: number): void {
    if (this.used + 1 > this.capacity * LOAD_MAX) this.rebuild(receivedMs)
    const slot = this.slotOf(hi, lo)
    const seenMs = this.receivedMs[slot]
    if (seenMs !== seenMs) this.used += 1
    this.hi[slot] = hi
    this.lo[slot] = lo
    this.receivedMs[slot] = receivedMs
  }

  private rebuild(nowMs: number): void {
    const { hi, lo, receivedMs, capacity } = this
    let live = 0
    for (let i = 0; i < capacity; i++) if (nowMs - (receivedMs[i] ?? NaN) <= this.horizonMs) live += 1
    while (live + 1 > (this.capacity * LOAD_MAX) / 2) this.capacity *= 2
    this.hi = new Uint32Array(this.capacity)
    this.lo = new Uint32Array(this.capacity)
    this.receivedMs = new Float64Array(this.capacity).fill(NaN)
    this.used = live
    for (let i = 0; i < capacity; i++) {
      const seenMs = receivedMs[i] ?? NaN
      if (!(nowMs - seenMs <= this.horizonMs)) continue
      const slot = this.slotOf(hi[i] ?? 0, lo[i] ?? 0)
      this.hi[slot] = hi[i] ?? 0
      this.lo[slot] = lo[i] ?? 0
      this.receivedMs[slot] = seenMs
    }
  }
}
