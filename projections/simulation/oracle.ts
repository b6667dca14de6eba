/**
 * The batch oracle: from the raw records of a lane's partitions up to any position, what must be stored for them.
 *
 * A separate plain program: loops, maps, sets and bigints. It reads the records itself, has its own arithmetic, hash and
 * bytes, and shares no code with the fold it checks. Records are given once, in offset order of each partition; the
 * order between partitions does not matter. Rules: docs/semantics.md §3 to §5.
 */
import { oracleHash, oracleHash64 } from "./oracleHash.ts"
import { OracleMeasure, Unfoldable, oracleDecimalText } from "./oracleMeasures.ts"
import type { OracleProjection } from "./oracleProjections.ts"
import { readOracleRecord } from "./oracleRecord.ts"
import type { OracleEvent, OracleRecord } from "./oracleRecord.ts"

const HORIZON_MS = 86_400_000
const DAY_MS = 86_400_000
const SIZES_MS = [60_000, 3_600_000, 86_400_000] as const

/** A row as it must be stored, its revision aside. */
export interface OracleRow {
  readonly tenant: string
  readonly resolution: 0 | 1 | 2
  readonly startMs: number
  readonly keyId: string
  readonly key: readonly string[]
  readonly measures: readonly OracleMeasure[]
  events: bigint
  lateEvents: bigint
  backfillEvents: bigint
  fingerprint: bigint
  /** First and last offset, by partition. */
  readonly offsets: Map<number, { min: bigint; max: bigint }>
}

export interface OracleLate {
  readonly tenant: string
  readonly id: string
  readonly type: string
  readonly timeMs: number
  readonly startMs: number
  readonly key: readonly string[]
  readonly lateByMs: number
  outcome: "applied" | "held"
  readonly contribution: Readonly<Record<string, string>>
}

const COUNTER_NAMES = ["records", "system", "events", "folded", "held", "duplicate", "deadLettered", "filtered", "late", "applied"] as const
export type OracleCounters = Record<(typeof COUNTER_NAMES)[number], bigint>

/** What is known of one partition's prefix. */
export interface OraclePartition {
  nextOffset: bigint
  lastRecord: Uint8Array
  readonly counters: OracleCounters
  /** R. */
  receivedMs: number
  heartbeatMs: number
  readonly tenantMs: Map<string, number>
  /** Receive time R of the last event of this identity that was no duplicate. */
  readonly seen: Map<string, number>
  /** Keys admitted, by tenant and base window. */
  readonly admitted: Map<string, Set<string>>
  readonly late: Map<bigint, OracleLate>
  readonly duplicates: Map<bigint, string>
  readonly deadLetters: Map<bigint, { readonly tenant: string; readonly code: string; readonly pointer: string }>
}

interface Extracted {
  readonly key: readonly string[]
  readonly values: readonly (bigint | string | null)[]
}

const emptyPartition = (): OraclePartition => ({
  nextOffset: 0n, lastRecord: new Uint8Array(), counters: Object.fromEntries(COUNTER_NAMES.map((name) => [name, 0n])) as OracleCounters,
  receivedMs: -Infinity, heartbeatMs: -Infinity, tenantMs: new Map(), seen: new Map(), admitted: new Map(), late: new Map(), duplicates: new Map(), deadLetters: new Map()
})

/** Start of the window that holds the instant, before 1970 too. */
const startOf = (ms: number, sizeMs: number): number => ms - (((ms % sizeMs) + sizeMs) % sizeMs)

const oracleKeyId = (tenant: string, key: readonly string[]): string => oracleHash([tenant, ...key].map((part) => `${part.length}:${part}`).join(""), 0)

/** Name of a row within a lane. */
export const oracleRowName = (resolution: number, startMs: number, keyId: string): string => `${resolution}:${startMs}:${keyId}`

/** One lane of one projection. */
export class Oracle {
  readonly rows = new Map<string, OracleRow>()
  readonly partitions = new Map<number, OraclePartition>()
  /** The rows that changed since the caller cleared this, by name; the last of those that retention has taken out. */
  readonly changed = new Map<string, OracleRow>()
  /** Where a ledger got or changed an entry since the caller cleared this. */
  readonly entered: { readonly partition: number; readonly offset: bigint }[] = []
  /** Rows that retention has taken out so far. */
  dropped = 0
  private droppedFromMs = -Infinity
  private readonly projection: OracleProjection
  private readonly seed: number

  /** `seed`: hash seed of the log. */
  constructor(projection: OracleProjection, seed: number, partitions: readonly number[]) {
    this.projection = projection
    this.seed = seed
    for (const partition of partitions) this.partitions.set(partition, emptyPartition())
  }

  /** Takes the next record of a partition. */
  take(partition: number, bytes: Uint8Array): void {
    const prefix = this.partitions.get(partition)
    if (prefix === undefined) throw new RangeError(`partition ${partition} is not of this lane`)
    const offset = prefix.nextOffset
    prefix.nextOffset += 1n
    prefix.lastRecord = bytes
    prefix.counters.records += 1n
    this.takeRecord(partition, prefix, offset, readOracleRecord(bytes))
    this.dropExpired()
  }

  /** A row goes once every partition of the lane has passed its retention. */
  private dropExpired(): void {
    if (this.projection.retentionDays === undefined) return
    const prefixes = [...this.partitions.values()]
    if (prefixes.some(({ receivedMs }) => receivedMs === -Infinity)) return
    const fromMs = Math.min(...prefixes.map((prefix) => this.retainedFrom(prefix)))
    if (fromMs <= this.droppedFromMs) return
    this.droppedFromMs = fromMs
    for (const [name, row] of this.rows) {
      if (row.startMs >= fromMs) continue
      this.rows.delete(name)
      this.changed.set(name, row)
      this.dropped += 1
    }
  }

  private takeRecord(partition: number, prefix: OraclePartition, offset: bigint, record: OracleRecord): void {
    const { counters } = prefix
    if (record.kind === "event") return this.takeEvent(partition, prefix, offset, record)
    if (record.kind === "unreadable") {
      counters.events += 1n
      return this.bury(partition, prefix, offset, "", "ENVELOPE", record.pointer)
    }
    counters.system += 1n
    if (record.timeMs > prefix.receivedMs) prefix.receivedMs = record.timeMs
    if (record.kind === "heartbeat" && record.timeMs > prefix.heartbeatMs) prefix.heartbeatMs = record.timeMs
    if (record.kind === "release" && record.partition === partition) this.release(partition, prefix, offset, record.offset, record.original)
  }

  private takeEvent(partition: number, prefix: OraclePartition, offset: bigint, event: OracleEvent): void {
    const { counters } = prefix
    counters.events += 1n
    if (event.receivedMs > prefix.receivedMs) prefix.receivedMs = event.receivedMs
    const maxMs = Math.max(prefix.tenantMs.get(event.tenant) ?? -Infinity, prefix.heartbeatMs)
    if (event.backfill === undefined) prefix.tenantMs.set(event.tenant, Math.max(prefix.tenantMs.get(event.tenant) ?? -Infinity, event.timeMs))
    if (this.isDuplicate(prefix, event)) {
      counters.duplicate += 1n
      this.entered.push({ partition, offset })
      prefix.duplicates.set(offset, event.tenant)
      return
    }
    let extracted: Extracted | undefined
    try {
      extracted = this.extract(event)
    } catch (fault) {
      if (!(fault instanceof Unfoldable)) throw fault
      return this.bury(partition, prefix, offset, event.tenant, fault.code, fault.pointer)
    }
    if (extracted === undefined) counters.filtered += 1n
    else this.place(partition, prefix, offset, event, extracted, maxMs)
  }

  private isDuplicate(prefix: OraclePartition, event: OracleEvent): boolean {
    const identity = JSON.stringify([event.tenant, event.partitionKey, event.backfill ?? null, event.id])
    const before = prefix.seen.get(identity)
    const repeats = before !== undefined && (event.backfill !== undefined || prefix.receivedMs - before <= HORIZON_MS)
    if (!repeats) prefix.seen.set(identity, prefix.receivedMs)
    return repeats
  }

  /** Expired, held or folded. */
  private place(partition: number, prefix: OraclePartition, offset: bigint, event: OracleEvent, extracted: Extracted, maxMs: number): void {
    const { sizeMs, outOfOrdernessMs, reviseWithinMs } = this.projection
    const startMs = startOf(event.timeMs, sizeMs)
    const closesMs = startMs + sizeMs + outOfOrdernessMs
    const expired = startMs < this.retainedFrom(prefix)
    if (event.backfill !== undefined) {
      if (expired) this.bury(partition, prefix, offset, event.tenant, "WINDOW_EXPIRED", "/time")
      else this.fold(partition, prefix, offset, event, extracted, false)
      return
    }
    const late = expired || maxMs >= closesMs
    const held = expired || maxMs >= closesMs + reviseWithinMs
    if (late) {
      prefix.counters.late += 1n
      prefix.counters[held ? "held" : "applied"] += 1n
      this.entered.push({ partition, offset })
      prefix.late.set(offset, {
        tenant: event.tenant, id: event.id, type: event.type, timeMs: event.timeMs, startMs, key: extracted.key,
        lateByMs: maxMs > closesMs ? maxMs - closesMs : 0, outcome: held ? "held" : "applied", contribution: this.contribution(extracted)
      })
    }
    if (!held) this.fold(partition, prefix, offset, event, extracted, late)
  }

  private release(partition: number, prefix: OraclePartition, offset: bigint, original: bigint, event: OracleEvent): void {
    const entry = prefix.late.get(original)
    if (entry === undefined || entry.outcome !== "held" || startOf(event.timeMs, this.projection.sizeMs) < this.retainedFrom(prefix)) return
    const extracted = this.extract(event)
    if (extracted === undefined) return
    this.entered.push({ partition, offset: original })
    entry.outcome = "applied"
    prefix.counters.held -= 1n
    prefix.counters.applied += 1n
    this.fold(partition, prefix, offset, event, extracted, true)
  }

  /** Windows that start before this are hidden from reads, and may be stored or not. */
  shownFrom(): number {
    return Math.max(...[...this.partitions.values()].map((prefix) => this.retainedFrom(prefix)))
  }

  private retainedFrom(prefix: OraclePartition): number {
    const { retentionDays } = this.projection
    return retentionDays === undefined ? -Infinity : startOf(prefix.receivedMs - retentionDays * DAY_MS, DAY_MS)
  }

  private bury(partition: number, prefix: OraclePartition, offset: bigint, tenant: string, code: string, pointer: string): void {
    prefix.counters.deadLettered += 1n
    this.entered.push({ partition, offset })
    prefix.deadLetters.set(offset, { tenant, code, pointer })
  }

  /** Undefined when the projection does not take the event. Throws `Unfoldable`. */
  private extract(event: OracleEvent): Extracted | undefined {
    const { handles, payloadOf, keeps, dimensions, measures } = this.projection
    if (!handles(event.type)) return undefined
    const data = payloadOf(event)
    if (!keeps(data)) return undefined
    const key = dimensions.map(({ name, valueOf }) => this.dimension(valueOf(event, data), `/key/${name}`))
    return { key, values: measures.map(({ valueOf }) => valueOf(event, data)) }
  }

  private dimension(value: unknown, pointer: string): string {
    if (value === null || value === undefined) return "(none)"
    if (typeof value === "object") throw new Unfoldable("EXPRESSION", pointer)
    if (typeof value !== "string") return JSON.stringify(value)
    const text = /^\\*\(none\)$|^\\*__other__$/.test(value) ? `\\${value}` : value
    const bytes = new TextEncoder().encode(text)
    if (bytes.length <= this.projection.textBytesMax) return text
    let prefix = ""
    for (const letter of text) {
      if (new TextEncoder().encode(prefix + letter).length > this.projection.textBytesMax - 35) break
      prefix += letter
    }
    return `${prefix}…${oracleHash(text, this.seed)}`
  }

  private contribution({ values }: Extracted): Readonly<Record<string, string>> {
    const parts: Record<string, string> = {}
    for (const [at, { name, kind }] of this.projection.measures.entries()) {
      const value = values[at]
      if (value === null || value === undefined) continue
      if (kind === "quantiles") parts[`${name}.count`] = "1"
      parts[kind === "quantiles" ? `${name}.sum` : name] = typeof value === "string" || kind === "count" ? "1" : oracleDecimalText(value)
    }
    return parts
  }

  private fold(partition: number, prefix: OraclePartition, offset: bigint, event: OracleEvent, { key, values }: Extracted, late: boolean): void {
    prefix.counters.folded += 1n
    const startMs = startOf(event.timeMs, this.projection.sizeMs)
    const counted = this.admit(prefix, event.tenant, startMs, key)
    for (const resolution of [0, 1, 2] as const) {
      const row = this.row(event.tenant, resolution, resolution === 0 ? startMs : startOf(startMs, SIZES_MS[resolution]), counted)
      row.events += 1n
      if (late) row.lateEvents += 1n
      if (event.backfill !== undefined) row.backfillEvents += 1n
      row.fingerprint = (row.fingerprint + oracleHash64(event.id, this.seed)) % 2n ** 64n
      const range = row.offsets.get(partition)
      row.offsets.set(partition, { min: range === undefined || offset < range.min ? offset : range.min, max: range === undefined || offset > range.max ? offset : range.max })
      for (const [at, measure] of row.measures.entries()) measure.add(values[at] ?? null)
    }
  }

  /** The key under which an event counts: its own, or the overflow key once the window has its keys. */
  private admit(prefix: OraclePartition, tenant: string, startMs: number, key: readonly string[]): readonly string[] {
    const window = `${startMs} ${tenant}`
    const name = JSON.stringify(key)
    const admitted = prefix.admitted.get(window) ?? new Set<string>()
    prefix.admitted.set(window, admitted)
    if (!admitted.has(name) && admitted.size >= this.projection.keyMax) return key.map(() => "__other__")
    admitted.add(name)
    return key
  }

  private row(tenant: string, resolution: 0 | 1 | 2, startMs: number, key: readonly string[]): OracleRow {
    const keyId = oracleKeyId(tenant, key)
    const name = oracleRowName(resolution, startMs, keyId)
    let row = this.rows.get(name)
    if (row === undefined) {
      const measures = this.projection.measures.map(({ kind }) => new OracleMeasure(kind, this.seed))
      row = { tenant, resolution, startMs, keyId, key, measures, events: 0n, lateEvents: 0n, backfillEvents: 0n, fingerprint: 0n, offsets: new Map() }
      this.rows.set(name, row)
    }
    this.changed.set(name, row)
    return row
  }
}
