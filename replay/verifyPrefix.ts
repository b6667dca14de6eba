/**
 * What a partition's prefix says, for verification: R, M of every tenant and duplicates, in plain code of its own. It
 * shares nothing with the state the runtime keeps, so that neither vouches for itself. Rules: docs/semantics.md §3, §4.
 */
import type { DecodedRecord } from "@tidemark/domain/events/envelope"
import type { EventEnvelope } from "@tidemark/domain/events/event"
import { hashUtf8 } from "@tidemark/domain/measures/hash"

const HORIZON_MS = 86_400_000
const SEEN_FIRST = 1_024
/** Another name space of hashes than the runtime's, so that a collision there does not come back here. */
const SEED = 0x7e51f1ed
const words = new Uint32Array(4)

/**
 * First sight of each identity: 64 bits and R, 16 bytes an entry at a load of at most one half. Imports are entered at
 * R = ∞ and so never run out; live entries past the horizon leave when the table grows.
 */
class SeenTable {
  private hi = new Uint32Array(SEEN_FIRST)
  private lo = new Uint32Array(SEEN_FIRST)
  private atMs = new Float64Array(SEEN_FIRST).fill(-Infinity)
  private entries = 0

  private slot(hi: number, lo: number): number {
    const last = this.atMs.length - 1
    let slot = (hi ^ Math.imul(lo, 0x85ebca6b)) & last
    while (this.atMs[slot] !== -Infinity && (this.hi[slot] !== hi || this.lo[slot] !== lo)) slot = (slot + 1) & last
    return slot
  }

  /** R of the first sight; −Infinity when there was none. */
  firstMs(hi: number, lo: number): number {
    return this.atMs[this.slot(hi, lo)] ?? -Infinity
  }

  put(hi: number, lo: number, atMs: number, nowMs: number): void {
    if (this.entries * 2 >= this.atMs.length) this.grow(nowMs)
    const slot = this.slot(hi, lo)
    if (this.atMs[slot] === -Infinity) this.entries += 1
    this.hi[slot] = hi
    this.lo[slot] = lo
    this.atMs[slot] = atMs
  }

  private grow(nowMs: number): void {
    const { hi, lo, atMs } = this
    const kept = atMs.reduce((count, firstMs) => (nowMs - firstMs <= HORIZON_MS ? count + 1 : count), 0)
    let size = SEEN_FIRST
    while (size < kept * 4) size *= 2
    this.hi = new Uint32Array(size)
    this.lo = new Uint32Array(size)
    this.atMs = new Float64Array(size).fill(-Infinity)
    this.entries = 0
    for (let at = 0; at < atMs.length; at++) {
      const firstMs = atMs[at] ?? -Infinity
      if (nowMs - firstMs <= HORIZON_MS) this.put(hi[at] ?? 0, lo[at] ?? 0, firstMs, nowMs)
    }
  }
}

/** What the records before one say of it. */
export interface Sight {
  readonly duplicate: boolean
  /** M(p, t) over earlier records, Unix ms; −Infinity if none. */
  readonly maxMs: number
}

const NOTHING: Sight = { duplicate: false, maxMs: -Infinity }

/** One partition, read from its first record. */
export class Prefix {
  /** R, Unix ms. */
  receivedMs = -Infinity
  heartbeatMs = -Infinity
  /** M of every tenant without heartbeats, Unix ms. */
  readonly tenants = new Map<string, number>()
  private readonly seen = new SeenTable()

  take(decoded: DecodedRecord): Sight {
    if (decoded.kind === "undecodable") return NOTHING
    if (decoded.kind === "event") return this.takeEvent(decoded.event)
    const { system, timeMs } = decoded.record
    this.receivedMs = Math.max(this.receivedMs, timeMs)
    if (system === "heartbeat") this.heartbeatMs = Math.max(this.heartbeatMs, timeMs)
    return NOTHING
  }

  private takeEvent({ id, tenantId, partitionKey, backfill, timeMs, receivedAtMs }: EventEnvelope): Sight {
    this.receivedMs = Math.max(this.receivedMs, receivedAtMs)
    const tenantMs = this.tenants.get(tenantId) ?? -Infinity
    if (backfill === undefined && timeMs > tenantMs) this.tenants.set(tenantId, timeMs)
    hashUtf8(JSON.stringify([tenantId, partitionKey, backfill ?? 0, id]), SEED, words)
    const [hi = 0, lo = 0] = words
    // An import entered at ∞ is always within the horizon; the name spaces of imports and live events differ by text.
    const duplicate = this.receivedMs - this.seen.firstMs(hi, lo) <= HORIZON_MS
    if (!duplicate) this.seen.put(hi, lo, backfill === undefined ? this.receivedMs : Infinity, this.receivedMs)
    return { duplicate, maxMs: Math.max(tenantMs, this.heartbeatMs) }
  }
}
