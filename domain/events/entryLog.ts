/** Dedupe entries as they come, until they are saved. */
import type { PartitionSegment } from "../ports/PartitionIndex.ts"

const CAPACITY_MIN = 1_024

export class EntryLog {
  private size = 0
  private hi = new Uint32Array(CAPACITY_MIN)
  private lo = new Uint32Array(CAPACITY_MIN)
  private receivedMs = new Float64Array(CAPACITY_MIN)
  private offset = new Float64Array(CAPACITY_MIN)

  /** Halves of the hash: 32 bits, signed or unsigned. */
  add(hi: number, lo: number, receivedMs: number, offset: number): void {
    if (this.size === this.hi.length) this.grow()
    const at = this.size++
    this.hi[at] = hi
    this.lo[at] = lo
    this.receivedMs[at] = receivedMs
    this.offset[at] = offset
  }

  /** The entries added since the last call. */
  take(): PartitionSegment["live"] {
    const { size } = this
    this.size = 0
    return { hi: this.hi.slice(0, size), lo: this.lo.slice(0, size), receivedMs: this.receivedMs.slice(0, size), offset: this.offset.slice(0, size) }
  }

  private grow(): void {
    const { hi, lo, receivedMs, offset, size } = this
    this.hi = new Uint32Array(2 * size)
    this.lo = new Uint32Array(2 * size)
    this.receivedMs = new Float64Array(2 * size)
    this.offset = new Float64Array(2 * size)
    this.hi.set(hi)
    this.lo.set(lo)
    this.receivedMs.set(receivedMs)
    this.offset.set(offset)
  }
}
