/**
 * What must be stored for one lane of one generation, recomputed from the records of its partitions: rows of minute,
 * hour and day, ledgers, counters. Every event is added to its three windows by itself; nothing is merged, rolled up or
 * flushed, and no code is shared with the runtime but the definition's expressions and the accumulators.
 * Rules: docs/semantics.md §3 to §5.
 */
import { createExtraction } from "@tidemark/domain/definitions/compile"
import type { CompiledProjection } from "@tidemark/domain/definitions/compile"
import type { DecodedRecord } from "@tidemark/domain/events/envelope"
import type { EventEnvelope } from "@tidemark/domain/events/event"
import { formatDecimal } from "@tidemark/domain/measures/decimal"
import { hashHex, hashUtf8 } from "@tidemark/domain/measures/hash"
import { measureScale } from "@tidemark/domain/measures/measure"
import type { Accumulator } from "@tidemark/domain/measures/measure"
import type { DeadLetter, DuplicateEntry, KeyCount, LateEntry, ResolutionCode } from "@tidemark/domain/ports/ReadModelStore"
import type { Prefix, Sight } from "./verifyPrefix.ts"

const DAY_MS = 86_400_000
const SIZES_MS = [60_000, 3_600_000, DAY_MS] as const
const WORD = 2 ** 32

/** A row as it must be stored, its revision aside. */
export interface ExpectedRow {
  readonly tenantId: string
  readonly resolution: ResolutionCode
  readonly startMs: number
  readonly keyId: string
  readonly key: readonly string[]
  readonly accumulators: readonly Accumulator[]
  events: number
  lateEvents: number
  backfillEvents: number
  /** The two words of the fingerprint. */
  hi: number
  lo: number
  /** First and last offset, by partition. */
  readonly offsets: Map<number, { min: number; max: number }>
}

const COUNTERS = ["records", "system", "events", "folded", "held", "duplicate", "deadLettered", "filtered", "late", "applied"] as const
export type ExpectedCounters = Record<(typeof COUNTERS)[number], number>

/** The windows whose UTC day, counted from 1970, is `index` modulo `of`: one pass over the log recomputes these. */
export interface Slice {
  readonly index: number
  readonly of: number
}

/** The pass would hold more rows than it may; more slices are needed. */
export class TooManyRowsError extends Error {
  override readonly name = "TooManyRowsError"
}

const startOf = (ms: number, sizeMs: number): number => ms - (((ms % sizeMs) + sizeMs) % sizeMs)

/** Does the window start on one of the slice's days? */
export const inSlice = (startMs: number, { index, of }: Slice): boolean => (((startOf(startMs, DAY_MS) / DAY_MS) % of) + of) % of === index

/** Name of a row within a lane. */
export const rowName = (resolution: number, startMs: number, keyId: string): string => `${resolution} ${startMs} ${keyId}`

/** Name of a window's key count within a lane. */
export const keyCountName = ({ tenantId, windowStartMs, partition }: Omit<KeyCount, "keys">): string => `${windowStartMs} ${partition} ${tenantId}`

const keyIdOf = (tenantId: string, key: readonly string[]): string => hashHex([tenantId, ...key].map((part) => `${part.length}:${part}`).join(""), 0)

type Place = "applied" | "held" | "expired" | "on time"

export class LaneFold {
  /** By `rowName`. */
  readonly rows = new Map<string, ExpectedRow>()
  readonly tenants = new Set<string>()
  counters: ExpectedCounters = LaneFold.noCounters()
  /** Keys admitted in a base window by a partition, by `keyCountName`. */
  readonly keyCounts = new Map<string, KeyCount>()
  /** Entries since the caller cleared them; held ones are kept apart, for they may still be released. */
  applied: LateEntry[] = []
  duplicates: DuplicateEntry[] = []
  deadLetters: DeadLetter[] = []
  /** Of the current partition, by offset. */
  readonly held = new Map<number, LateEntry>()
  private partition = 0
  /** Keys of each base window of the current partition with the rows they count in. */
  private readonly windows = new Map<string, Map<string, readonly ExpectedRow[]>>()
  private readonly out = createExtraction()
  private readonly hash = new Uint32Array(4)
  private readonly compiled: CompiledProjection
  private readonly seed: number
  private readonly slice: Slice
  private readonly rowsMax: number

  /** `seed`: the log's hash seed. `rowsMax`: rows held at once. */
  constructor(compiled: CompiledProjection, seed: number, slice: Slice, rowsMax: number) {
    this.compiled = compiled
    this.seed = seed
    this.slice = slice
    this.rowsMax = rowsMax
  }

  private static noCounters(): ExpectedCounters {
    return Object.fromEntries(COUNTERS.map((name) => [name, 0])) as ExpectedCounters
  }

  /** Takes out the rows and key counts that the lane's retention has dropped. Call it when every partition is folded. */
  dropExpired(receivedMaxMs: readonly (number | null)[]): void {
    const { retentionDays } = this.compiled.definition
    if (retentionDays === undefined || receivedMaxMs.length === 0) return
    let fromMs = Infinity
    for (const atMs of receivedMaxMs) fromMs = atMs === null ? -Infinity : Math.min(fromMs, startOf(atMs - retentionDays * DAY_MS, DAY_MS))
    for (const [name, { startMs }] of this.rows) if (startMs < fromMs) this.rows.delete(name)
    for (const [name, { windowStartMs }] of this.keyCounts) if (windowStartMs < fromMs) this.keyCounts.delete(name)
  }

  startPartition(partition: number): void {
    this.partition = partition
    this.counters = LaneFold.noCounters()
    this.windows.clear()
    this.held.clear()
  }

  /** Takes the next record of the partition, already taken by `prefix`. Throws `TooManyRowsError`. */
  take(offset: number, decoded: DecodedRecord, sight: Sight, prefix: Prefix): void {
    const { counters } = this
    counters.records += 1
    if (decoded.kind === "system") {
      counters.system += 1
      const { record } = decoded
      if (record.system === "late-applied" && record.partition === this.partition && record.original !== undefined) this.release(offset, Number(record.offset), record.original, prefix)
      return
    }
    counters.events += 1
    if (decoded.kind === "undecodable") return this.bury(offset, "", decoded.code, decoded.pointer)
    const { event } = decoded
    this.tenants.add(event.tenantId)
    if (!sight.duplicate) return this.takeFirst(offset, event, sight.maxMs, prefix)
    counters.duplicate += 1
    this.duplicates.push({ partition: this.partition, offset: BigInt(offset), tenantId: event.tenantId })
  }

  private takeFirst(offset: number, event: EventEnvelope, maxMs: number, prefix: Prefix): void {
    const { compiled, out, counters } = this
    const extracted = compiled.extract(event, out)
    if (extracted === "dead") return this.bury(offset, event.tenantId, out.code, out.pointer)
    if (extracted === "filtered") {
      counters.filtered += 1
      return
    }
    const startMs = startOf(event.timeMs, compiled.definition.window.sizeMs)
    const place = this.placeOf(event, startMs, maxMs, prefix)
    if (event.backfill !== undefined) {
      if (place === "expired") this.bury(offset, event.tenantId, "WINDOW_EXPIRED", "/time")
      else this.fold(offset, event, startMs, false)
      return
    }
    if (place !== "on time") this.enterLate(offset, event, startMs, maxMs, place === "applied" ? "applied" : "held")
    if (place === "applied" || place === "on time") this.fold(offset, event, startMs, place === "applied")
  }

  private placeOf({ backfill }: EventEnvelope, startMs: number, maxMs: number, prefix: Prefix): Place {
    const { sizeMs, outOfOrdernessMs, reviseWithinMs } = this.compiled.definition.window
    if (startMs < this.retainedFromMs(prefix)) return "expired"
    const overdueMs = maxMs - (startMs + sizeMs + outOfOrdernessMs)
    if (backfill !== undefined || overdueMs < 0) return "on time"
    return overdueMs < reviseWithinMs ? "applied" : "held"
  }

  private retainedFromMs({ receivedMs }: Prefix): number {
    const { retentionDays } = this.compiled.definition
    return retentionDays === undefined ? -Infinity : startOf(receivedMs - retentionDays * DAY_MS, DAY_MS)
  }

  private bury(offset: number, tenantId: string, code: string, pointer: string): void {
    this.counters.deadLettered += 1
    this.deadLetters.push({ partition: this.partition, offset: BigInt(offset), tenantId, code, pointer })
  }

  private enterLate(offset: number, event: EventEnvelope, startMs: number, maxMs: number, outcome: "applied" | "held"): void {
    const { sizeMs, outOfOrdernessMs } = this.compiled.definition.window
    const entry: LateEntry = {
      partition: this.partition, offset: BigInt(offset), tenantId: event.tenantId, eventId: event.id, eventType: event.type, eventTimeMs: event.timeMs,
      windowStartMs: startMs, key: [...this.out.key], lateByMs: Math.max(0, maxMs - startMs - sizeMs - outOfOrdernessMs), outcome, contribution: this.contribution()
    }
    this.counters.late += 1
    this.counters[outcome] += 1
    if (outcome === "held") this.held.set(offset, entry)
    else this.applied.push(entry)
  }

  private contribution(): Readonly<Record<string, string>> {
    const parts: Record<string, string> = {}
    for (const [at, name] of this.compiled.measureNames.entries()) {
      const spec = this.compiled.definition.measures[name]
      const value = this.out.values[at] ?? null
      if (spec === undefined || value === null) continue
      if (spec.kind === "quantiles") parts[`${name}.count`] = "1"
      const isCounted = typeof value === "string" || spec.kind === "count"
      parts[spec.kind === "quantiles" ? `${name}.sum` : name] = isCounted ? "1" : formatDecimal(BigInt(value), measureScale(spec))
    }
    return parts
  }

  private release(offset: number, original: number, event: EventEnvelope, prefix: Prefix): void {
    const entry = this.held.get(original)
    const startMs = startOf(event.timeMs, this.compiled.definition.window.sizeMs)
    if (entry?.outcome !== "held" || startMs < this.retainedFromMs(prefix) || this.compiled.extract(event, this.out) !== "ok") return
    this.held.set(original, { ...entry, outcome: "applied" })
    this.counters.held -= 1
    this.counters.applied += 1
    this.fold(offset, event, startMs, true)
  }

  private fold(offset: number, event: EventEnvelope, startMs: number, late: boolean): void {
    this.counters.folded += 1
    if (!inSlice(startMs, this.slice)) return
    hashUtf8(event.id, this.seed, this.hash)
    const [hi = 0, lo = 0] = this.hash
    for (const row of this.rowsOf(event.tenantId, startMs)) {
      row.events += 1
      if (late) row.lateEvents += 1
      if (event.backfill !== undefined) row.backfillEvents += 1
      row.lo += lo
      row.hi = (row.hi + hi + (row.lo >= WORD ? 1 : 0)) % WORD
      row.lo %= WORD
      const range = row.offsets.get(this.partition)
      if (range === undefined) row.offsets.set(this.partition, { min: offset, max: offset })
      else range.max = offset
      this.compiled.apply(this.out, row.accumulators)
    }
  }

  /** The three rows the extracted key counts in; once the window has its keys, those of the overflow key. */
  private rowsOf(tenantId: string, startMs: number): readonly ExpectedRow[] {
    const windowName = `${startMs} ${tenantId}`
    let keys = this.windows.get(windowName)
    if (keys === undefined) this.windows.set(windowName, (keys = new Map()))
    const keyName = JSON.stringify(this.out.key)
    let rows = keys.get(keyName)
    if (rows !== undefined) return rows
    const isAdmitted = keys.size < this.compiled.definition.keyMax
    const overflow = isAdmitted ? undefined : keys.get("")
    if (overflow !== undefined) return overflow
    const key = isAdmitted ? [...this.out.key] : this.out.key.map(() => "__other__")
    const keyId = keyIdOf(tenantId, key)
    if (isAdmitted) this.countKey(tenantId, startMs, keys.size + 1)
    rows = ([0, 1, 2] as const).map((resolution) => this.row(tenantId, resolution, resolution === 0 ? startMs : startOf(startMs, SIZES_MS[resolution]), keyId, key))
    keys.set(isAdmitted ? keyName : "", rows)
    return rows
  }

  private countKey(tenantId: string, windowStartMs: number, keys: number): void {
    const count: KeyCount = { tenantId, windowStartMs, partition: this.partition, keys }
    this.keyCounts.set(keyCountName(count), count)
  }

  private row(tenantId: string, resolution: ResolutionCode, startMs: number, keyId: string, key: readonly string[]): ExpectedRow {
    const name = rowName(resolution, startMs, keyId)
    const known = this.rows.get(name)
    if (known !== undefined) return known
    if (this.rows.size >= this.rowsMax) throw new TooManyRowsError(`more than ${this.rowsMax} rows in one pass`)
    const row: ExpectedRow = {
      tenantId, resolution, startMs, keyId, key, accumulators: this.compiled.createAccumulators(), events: 0, lateEvents: 0, backfillEvents: 0, hi: 0, lo: 0, offsets: new Map()
    }
    this.rows.set(name, row)
    return row
  }
}
