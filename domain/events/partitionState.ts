/**
 * What one partition's prefix says: next offset, R, M of every tenant, and which events are duplicates.
 *
 * Derived from the log alone, so any reader of the same prefix holds the same state; it can be stored as segments
 * and continued from them. Rules: docs/semantics.md §3.2, §3.7, §4.
 */
import { hashUtf8 } from "../measures/hash.ts"
import type { ImportLookup, PartitionSegment } from "../ports/PartitionIndex.ts"
import { DuplicateTable } from "./duplicateTable.ts"
import { EntryLog } from "./entryLog.ts"
import type { DecodedRecord } from "./envelope.ts"
import type { EventEnvelope } from "./event.ts"
import { ScannedEvent } from "./scannedEvent.ts"

/** Dedupe horizon of live events, in R. */
export const HORIZON_MS = 86_400_000

/** What the prefix before a record says about it. */
export interface Observation {
  duplicate: boolean
  /** M(p, t) over earlier records for the event's tenant, −Infinity if none (and for records without a tenant). */
  maxEventTimeMs: number
}

interface Identity {
  readonly tenantId: string
  readonly partitionKey: string
  readonly backfill?: string | undefined
  readonly id: string
}

const NO_IMPORTS: ImportLookup = { has: () => false }
const UNIT = "\u001f"
const scratch = new Uint32Array(4)

/** The dedupe name of an event: tenant, partition key, import name or none, id, each with its length so that none runs into the next. */
export const identityText = (event: Identity): string =>
  `${event.tenantId.length}:${event.tenantId}${UNIT}${event.partitionKey.length}:${event.partitionKey}${UNIT}${event.backfill === undefined ? "-" : `${event.backfill.length}:${event.backfill}`}${UNIT}${event.id}`

const hashKey = (hi: number, lo: number): number => hi * 2 ** 21 + (lo >>> 11)

/** Import entries observed since some segment, by 64-bit hash. */
class RecentImports {
  private readonly buckets = new Map<number, number[]>()
  has(hi: number, lo: number): boolean {
    return this.buckets.get(hashKey(hi, lo))?.includes(lo) === true
  }
  add(hi: number, lo: number): void {
    const bucket = this.buckets.get(hashKey(hi, lo))
    if (bucket === undefined) this.buckets.set(hashKey(hi, lo), [lo])
    else bucket.push(lo)
  }
}

export class PartitionState {
  private readonly seed: number
  private readonly partition: number
  private readonly imports: ImportLookup
  private recentImports = new RecentImports()
  /** Import entries of segments taken and not yet known to be saved, oldest first. */
  private unsavedImports: readonly { readonly to: bigint; readonly entries: RecentImports }[] = []
  private readonly live = new DuplicateTable(HORIZON_MS)
  private readonly tenants = new Map<string, { maxMs: number }>()
  private heartbeatMs = -Infinity
  private receivedMs = -Infinity
  /** Offsets are safe integers; a bigint would be a new object with every record. */
  private next = 0
  private segmentFrom = 0
  private readonly newLive = new EntryLog()
  private readonly newImports = new EntryLog()

  /** `seed`: the log's hash seed. `imports`: stored entries; asked with the offset they have to lie below. */
  constructor(partition: number, seed: number, imports: ImportLookup = NO_IMPORTS) {
    this.partition = partition
    this.seed = seed
    this.imports = imports
  }

  /** Knows nothing of the records before `offset`: the log has lost them. */
  static startingAt(partition: number, seed: number, offset: bigint): PartitionState {
    const state = new PartitionState(partition, seed)
    state.next = Number(offset)
    state.segmentFrom = Number(offset)
    return state
  }

  /** Continues where stored segments (contiguous, oldest first) end. */
  static fromSegments(partition: number, seed: number, segments: readonly PartitionSegment[], imports: ImportLookup): PartitionState {
    const state = new PartitionState(partition, seed, imports)
    for (const segment of segments) {
      const { hi, lo, receivedMs } = segment.live
      for (let i = 0; i < hi.length; i++) state.live.add(hi[i] ?? 0, lo[i] ?? 0, receivedMs[i] ?? 0)
    }
    const last = segments.at(-1)
    if (last === undefined) return state
    for (const [tenantId, ms] of last.tenantMaxMs) state.tenants.set(tenantId, { maxMs: ms })
    state.heartbeatMs = last.heartbeatMaxMs
    state.receivedMs = last.receivedMaxMs
    state.next = Number(last.to)
    state.segmentFrom = Number(last.to)
    return state
  }

  /** Offset of the next record to observe. */
  get nextOffset(): bigint {
    return BigInt(this.next)
  }

  /** Records observed since the last segment was taken. */
  get unsegmented(): number {
    return this.next - this.segmentFrom
  }

  /** R: the largest receive time of the prefix, Unix ms; −Infinity if none. */
  get receivedMaxMs(): number {
    return this.receivedMs
  }

  /** Largest heartbeat time of the prefix, Unix ms; −Infinity if none. */
  get heartbeatMaxMs(): number {
    return this.heartbeatMs
  }

  /** Memory of the 24-hour part of the dedupe index once it has taken `more` live events, bytes. */
  dedupeBytesWith(more: number): number {
    return this.live.bytesWith(more)
  }

  /** Gives back the memory of entries beyond the horizon; none inside it goes. */
  expireDedupe(): void {
    this.live.expire(this.receivedMs)
  }

  /** M of every tenant without heartbeats. A copy. */
  tenantMaxMs(): ReadonlyMap<string, number> {
    return new Map(Array.from(this.tenants, ([tenantId, { maxMs }]) => [tenantId, maxMs]))
  }

  /** M(p, t), Unix ms; −Infinity if nothing was seen. */
  maxEventTimeMs(tenantId: string): number {
    return Math.max(this.tenants.get(tenantId)?.maxMs ?? -Infinity, this.heartbeatMs)
  }

  /** Would an event with this identity, received now, be a duplicate? Records nothing. */
  isDuplicate(event: Identity, receivedAtMs: number): boolean {
    hashUtf8(identityText(event), this.seed, scratch)
    return this.seenBefore(scratch[0] ?? 0, scratch[1] ?? 0, event.backfill !== undefined, Math.max(this.receivedMs, receivedAtMs), this.next)
  }

  /** Takes the record at `nextOffset` into the state and says what the prefix before it means for it, in `into` where that is given. */
  observe(decoded: DecodedRecord, into: Observation = { duplicate: false, maxEventTimeMs: -Infinity }): Observation {
    const offset = this.next
    this.next = offset + 1
    into.duplicate = false
    into.maxEventTimeMs = -Infinity
    if (decoded.kind === "event") this.observeEvent(decoded.event, offset, into)
    else if (decoded.kind === "system") {
      const { record } = decoded
      if (record.timeMs > this.receivedMs) this.receivedMs = record.timeMs
      if (record.system === "heartbeat" && record.timeMs > this.heartbeatMs) this.heartbeatMs = record.timeMs
    }
    return into
  }

  private observeEvent(event: EventEnvelope, offset: number, into: Observation): void {
    if (event.receivedAtMs > this.receivedMs) this.receivedMs = event.receivedAtMs
    const imported = event.backfill !== undefined
    into.maxEventTimeMs = this.moveTenant(event.tenantId, imported ? -Infinity : event.timeMs)
    if (event instanceof ScannedEvent) event.hashIdentity(this.seed, scratch)
    else hashUtf8(identityText(event), this.seed, scratch)
    const { receivedMs } = this
    if (imported) into.duplicate = !this.addImport(scratch[0]!, scratch[1]!, offset)
    else {
      // Signed: see `DuplicateTable`.
      const hi = scratch[0]! | 0
      const lo = scratch[1]! | 0
      into.duplicate = this.live.has(hi, lo, receivedMs)
      if (into.duplicate) return
      this.live.add(hi, lo, receivedMs)
      this.newLive.add(hi, lo, receivedMs, offset)
    }
  }

  /** False when it was imported before. */
  private addImport(hi: number, lo: number, offset: number): boolean {
    if (this.importedBefore(hi, lo, offset)) return false
    this.recentImports.add(hi, lo)
    this.newImports.add(hi, lo, this.receivedMs, offset)
    return true
  }

  /** Moves the tenant's clock to `timeMs` if that is later; answers M(p, t) as it was before. */
  private moveTenant(tenantId: string, timeMs: number): number {
    const clock = this.tenants.get(tenantId)
    if (clock === undefined) {
      if (timeMs > -Infinity) this.tenants.set(tenantId, { maxMs: timeMs })
      return this.heartbeatMs
    }
    const { maxMs } = clock
    if (timeMs > maxMs) clock.maxMs = timeMs
    return Math.max(maxMs, this.heartbeatMs)
  }

  private seenBefore(hi: number, lo: number, imported: boolean, nowMs: number, before: number): boolean {
    return imported ? this.importedBefore(hi, lo, before) : this.live.has(hi, lo, nowMs)
  }

  private importedBefore(hi: number, lo: number, before: number): boolean {
    return this.recentImports.has(hi, lo) || this.unsavedImports.some(({ entries }) => entries.has(hi, lo)) || this.imports.has(hi, lo, before)
  }

  /**
   * What was observed since the last call (or the stored prefix), to be saved; undefined when nothing was. Its import
   * entries stay in memory until `segmentSaved`.
   */
  takeSegment(): PartitionSegment | undefined {
    if (this.next === this.segmentFrom) return undefined
    const { newLive, newImports } = this
    const segment: PartitionSegment = {
      partition: this.partition,
      from: BigInt(this.segmentFrom),
      to: BigInt(this.next),
      receivedMaxMs: this.receivedMs,
      heartbeatMaxMs: this.heartbeatMs,
      tenantMaxMs: this.tenantMaxMs(),
      live: newLive.take(),
      imports: newImports.take()
    }
    if (segment.imports.hi.length > 0) {
      this.unsavedImports = [...this.unsavedImports, { to: segment.to, entries: this.recentImports }]
      this.recentImports = new RecentImports()
    }
    this.segmentFrom = this.next
    return segment
  }

  /**
   * The segment, and every one taken before it, is saved in the index that answers `imports`: their import entries
   * leave memory. Call it only after the save succeeded.
   */
  segmentSaved(segment: Pick<PartitionSegment, "to">): void {
    this.unsavedImports = this.unsavedImports.filter(({ to }) => to > segment.to)
  }
}
