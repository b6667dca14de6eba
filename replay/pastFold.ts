/**
 * Base rows as they were at a position, folded again from the log with the definition, the deltas and the row states of
 * the runtime. What the records were (duplicate, late, held, released) was decided when they were folded first and stands
 * in the ledgers; it depends on earlier records only, so it was the same at the position. Rules: docs/semantics.md §3 to §5.
 *
 * Reads little: on-time events of a window lie between its first event and the record that closes it in the partition,
 * late ones where the ledger says. Only imports and releases are in no ledger: a row with any of these is read whole.
 */
import { createExtraction } from "@tidemark/domain/definitions/compile"
import type { CompiledProjection } from "@tidemark/domain/definitions/compile"
import { OTHER } from "@tidemark/domain/definitions/dimensionText"
import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import { decodeRecord } from "@tidemark/domain/events/envelope"
import type { DecodedRecord } from "@tidemark/domain/events/envelope"
import type { EventEnvelope } from "@tidemark/domain/events/event"
import { ScannedEvent } from "@tidemark/domain/events/scannedEvent"
import { hashUtf8 } from "@tidemark/domain/measures/hash"
import type { LogBatch } from "@tidemark/domain/ports/EventLog"
import type { LateEntry, ReadSnapshot, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { isClosed, windowStart } from "@tidemark/domain/time/window"
import { DeltaTable } from "@tidemark/projections/runtime/deltas"
import type { Delta } from "@tidemark/projections/runtime/deltas"
import * as Effect from "effect/Effect"
import { PartitionReader, PastMismatchError } from "./pastReading.ts"
import type { FoundRecords, ReadBudget } from "./pastReading.ts"

/** What a fold of the past needs to know. */
export interface PastFoldInput {
  readonly snapshot: ReadSnapshot
  readonly projection: string
  readonly generation: number
  readonly tenantId: string
  readonly compiled: CompiledProjection
  /** The log's hash seed. */
  readonly seed: number
  readonly budget: ReadBudget
}

/** One partition's part of the fold. */
export interface PartitionWork {
  readonly partition: number
  /** The position: records from here on are not folded. */
  readonly until: bigint
  /** The rows to fold that have a range in this partition. */
  readonly rows: readonly StoredRow[]
  /** Where one of them is an overflow row: the keys of its window that have a row of their own here, as `windowKey` names them. */
  readonly named: ReadonlySet<string>
}

export const windowKey = (windowStartMs: number, keyId: string): string => `${windowStartMs}:${keyId}`

/** One read of a ledger costs as much as so many records. */
const LEDGER_COST = 100

/** Held when it arrived, whatever became of it. Held for expiry, it is never released, and the ledger says held. */
const wasHeld = ({ outcome, lateByMs }: LateEntry, reviseWithinMs: number): boolean => outcome === "held" || lateByMs >= reviseWithinMs

/** A stretch of one partition in which a row's events lie. */
interface Stretch {
  readonly windowStartMs: number
  readonly windowEndMs: number
  readonly from: bigint
  readonly to: bigint
  /** Nothing but its end ends it. */
  readonly isWhole: boolean
}

interface Ledgers {
  readonly to: bigint
  /** Duplicates and dead letters. */
  readonly dropped: ReadonlySet<bigint>
  readonly late: ReadonlyMap<bigint, LateEntry>
}

const NO_LEDGERS: Ledgers = { to: 0n, dropped: new Set(), late: new Map() }

const byFrom = (a: Stretch, b: Stretch): number => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0)

/** One partition's records on their way into the deltas of the rows. */
export class PartitionReading {
  readonly table: DeltaTable
  stretches: readonly Stretch[] = []
  /** Offsets of late events, ascending. */
  singles: readonly bigint[] = []
  private readonly input: PastFoldInput
  private readonly work: PartitionWork
  private readonly starts: ReadonlySet<number>
  /** Rows to fold by window and key id. */
  private readonly rows: ReadonlyMap<string, StoredRow>
  /** The row of each key text seen in a window; null: none that is folded. */
  private readonly placed = new Map<string, StoredRow | null>()
  private readonly out = createExtraction()
  private readonly hash = new Uint32Array(4)
  private readonly scanned = new ScannedEvent()
  private readonly event: DecodedRecord = { kind: "event", event: this.scanned }
  private readonly released = new Set<bigint>()
  /** M as far as it was seen; the true one may be later. */
  private maxMs = -Infinity
  /** Of `table`, once everything is folded. */
  private deltas: ReadonlyMap<string, Delta> | undefined

  constructor(input: PastFoldInput, work: PartitionWork) {
    this.input = input
    this.work = work
    this.table = new DeltaTable(input.compiled.createAccumulators)
    this.starts = new Set(work.rows.map(({ windowStartMs }) => windowStartMs))
    this.rows = new Map(work.rows.map((row) => [windowKey(row.windowStartMs, row.keyId), row]))
  }

  /** Looks the late events of the rows up in the ledger and adds their number to that of each row. */
  readonly findLate = Effect.fn("findLate")({ self: this }, function* (counts: Map<StoredRow, bigint>) {
    const { snapshot, projection, generation, tenantId, compiled, budget } = this.input
    const { partition, until, rows } = this.work
    const ranges = rows.filter(({ lateEvents }) => lateEvents > 0n).flatMap(({ offsets }) => offsets.filter((range) => range.partition === partition))
    const [first] = ranges
    if (first === undefined) return
    const hull = ranges.reduce((wide, { min, max }) => ({ min: min < wide.min ? min : wide.min, max: max > wide.max ? max : wide.max }), { min: first.min, max: first.max })
    const singles: bigint[] = []
    for (let { min } = hull; min <= hull.max; min += budget.limits.ledgerOffsets) {
      const max = min + budget.limits.ledgerOffsets <= hull.max ? min + budget.limits.ledgerOffsets - 1n : hull.max
      yield* budget.take(LEDGER_COST)
      for (const entry of yield* snapshot.lateIn({ projection, generation, partition, min, max })) {
        if (entry.tenantId !== tenantId || wasHeld(entry, compiled.definition.window.reviseWithinMs) || !this.starts.has(entry.windowStartMs)) continue
        const row = this.rowOf(entry.windowStartMs, entry.key)
        if (row === null) continue
        counts.set(row, (counts.get(row) ?? 0n) + 1n)
        if (entry.offset < until) singles.push(entry.offset)
      }
    }
    this.singles = singles.sort((a, b) => (a < b ? -1 : 1))
  })

  /** Lays out what is to be read. `counts`: late events of each row that the ledger knows; the others were released. */
  plan(counts: ReadonlyMap<StoredRow, bigint>): void {
    const { partition, until, rows } = this.work
    const { sizeMs } = this.input.compiled.definition.window
    const late = new Set(this.singles)
    const stretches: Stretch[] = []
    for (const row of rows) {
      const range = row.offsets.find((one) => one.partition === partition)
      if (range === undefined || range.min >= until) continue
      const isWhole = row.backfillEvents > 0n || row.lateEvents !== (counts.get(row) ?? 0n)
      // Once late, all that follows is late too.
      if (!isWhole && late.has(range.min)) continue
      const to = range.max < until ? range.max + 1n : until
      stretches.push({ windowStartMs: row.windowStartMs, windowEndMs: row.windowStartMs + sizeMs, from: range.min, to, isWhole })
    }
    this.stretches = stretches.sort(byFrom)
  }

  /** No on-time event of the stretch's window can come any more: M, as far as it was seen, has closed it. */
  isPast(stretch: Stretch, nextOffset: bigint): boolean {
    return nextOffset >= stretch.to || (!stretch.isWhole && isClosed(stretch.windowEndMs, this.maxMs, this.input.compiled.definition.window.outOfOrdernessMs))
  }

  /** Folds the records found up to `to`, of which the ledgers say what they were. */
  readonly foldAll = Effect.fn("foldAll")({ self: this }, function* ({ batch, first }: FoundRecords, to: bigint, ledgers: Ledgers) {
    for (let at = first; at < batch.ends.length; at++) {
      const offset = batch.firstOffset + BigInt(at)
      if (offset >= to) return
      const decoded = this.decode(batch, at)
      this.observe(decoded)
      if (decoded.kind === "event") {
        const late = ledgers.late.get(offset)
        if (ledgers.dropped.has(offset) || (late !== undefined && wasHeld(late, this.input.compiled.definition.window.reviseWithinMs))) continue
        this.count(decoded.event, offset, late !== undefined)
      } else if (decoded.kind === "system" && decoded.record.system === "late-applied") {
        const { original, offset: of, partition } = decoded.record
        if (original === undefined || partition !== this.work.partition || of >= offset || this.released.has(of)) continue
        if (!this.starts.has(windowStart(original.timeMs, this.input.compiled.definition.window.sizeMs))) continue
        this.released.add(of)
        if (yield* this.wasReleased(of)) this.count(original, offset, true)
      }
    }
  })

  /** What was folded into the row; undefined when nothing was. */
  deltaOf({ windowStartMs, keyId }: StoredRow): Delta | undefined {
    this.deltas ??= new Map(this.table.windows().flatMap((window) => [...window.keys.values()].map((delta) => [windowKey(window.windowStartMs, delta.keyId), delta] as const)))
    return this.deltas.get(windowKey(windowStartMs, keyId))
  }

  /** Folds the late events of `singles` that the batch holds. */
  foldSingles({ batch }: FoundRecords, singles: readonly bigint[]): void {
    for (const offset of singles) {
      const decoded = this.decode(batch, Number(offset - batch.firstOffset))
      if (decoded.kind === "event") this.count(decoded.event, offset, true)
    }
  }

  private decode({ bytes, ends }: LogBatch, at: number): DecodedRecord {
    const from = at === 0 ? 0 : (ends[at - 1] ?? 0)
    const to = ends[at] ?? from
    return this.scanned.scan(bytes, from, to) ? this.event : decodeRecord(bytes.subarray(from, to))
  }

  private observe(decoded: DecodedRecord): void {
    if (decoded.kind === "event") {
      const { tenantId, backfill, timeMs } = decoded.event
      if (timeMs > this.maxMs && tenantId === this.input.tenantId && backfill === undefined) this.maxMs = timeMs
    } else if (decoded.kind === "system" && decoded.record.system === "heartbeat") this.maxMs = Math.max(this.maxMs, decoded.record.timeMs)
  }

  /** The first release after a held event is the one that counted, unless its window had expired: then the ledger still says held. */
  private readonly wasReleased = Effect.fn("wasReleased")({ self: this }, function* (offset: bigint) {
    const { snapshot, projection, generation, compiled } = this.input
    const [entry] = yield* snapshot.lateIn({ projection, generation, partition: this.work.partition, min: offset, max: offset })
    return entry?.outcome === "applied" && entry.lateByMs >= compiled.definition.window.reviseWithinMs
  })

  /** The row in which this key of this window counts, if it is folded; null when it is not. */
  private rowOf(windowStartMs: number, key: readonly string[]): StoredRow | null {
    const text = `${windowStartMs}:${JSON.stringify(key)}`
    let row = this.placed.get(text)
    if (row !== undefined) return row
    const { tenantId, compiled } = this.input
    const own = windowKey(windowStartMs, keyIdOf(tenantId, key))
    const other = windowKey(windowStartMs, keyIdOf(tenantId, compiled.dimensionNames.map(() => OTHER)))
    row = this.rows.get(own) ?? (this.work.named.has(own) ? null : (this.rows.get(other) ?? null))
    this.placed.set(text, row)
    return row
  }

  private count(event: EventEnvelope, offset: bigint, late: boolean): void {
    const { tenantId, compiled, seed } = this.input
    if (event.tenantId !== tenantId) return
    const windowStartMs = windowStart(event.timeMs, compiled.definition.window.sizeMs)
    if (!this.starts.has(windowStartMs) || compiled.extract(event, this.out) !== "ok") return
    const row = this.rowOf(windowStartMs, this.out.key)
    if (row === null) return
    hashUtf8(event.id, seed, this.hash)
    const counted = { offset: Number(offset), hashHi: this.hash[0] ?? 0, hashLo: this.hash[1] ?? 0 }
    compiled.apply(this.out, this.table.count(tenantId, windowStartMs, row.key, counted, late, event.backfill !== undefined))
  }
}

/** What the ledgers say of the offsets from `min` on. */
const readLedgers = Effect.fn("readLedgers")(function* ({ snapshot, projection, generation, budget }: PastFoldInput, { partition, until }: PartitionWork, min: bigint) {
  const { ledgerOffsets } = budget.limits
  const to = min + ledgerOffsets < until ? min + ledgerOffsets : until
  const range = { projection, generation, partition, min, max: to - 1n }
  const dropped = new Set<bigint>()
  for (const { offset } of yield* snapshot.duplicatesIn(range)) dropped.add(offset)
  for (const { offset } of yield* snapshot.deadLettersIn(range)) dropped.add(offset)
  const ledgers: Ledgers = { to, dropped, late: new Map((yield* snapshot.lateIn(range)).map((entry) => [entry.offset, entry] as const)) }
  return ledgers
})

const recordsAt = Effect.fn("recordsAt")(function* (reader: PartitionReader, { partition }: PartitionWork, offset: bigint, bytesMax?: number) {
  const found = yield* reader.from(offset, bytesMax)
  return found ?? (yield* new PastMismatchError({ detail: `partition ${partition} holds no record at ${offset}` }))
})

const endOf = ({ batch: { firstOffset, ends } }: FoundRecords): bigint => firstOffset + BigInt(ends.length)

/** Folds the rows' events below the position in one partition; the reading is planned. */
export const foldPartition = Effect.fn("foldPartition")(function* (input: PastFoldInput, work: PartitionWork, reading: PartitionReading) {
  const { until } = work
  const { stretches, singles } = reading
  const reader = new PartitionReader(work.partition, input.budget)
  let open: Stretch[] = []
  let ledgers = NO_LEDGERS
  let [stretchAt, singleAt] = [0, 0]
  let nextOffset = 0n
  for (;;) {
    for (let next = stretches[stretchAt]; next !== undefined && next.from <= nextOffset; next = stretches[++stretchAt]) open.push(next)
    while ((singles[singleAt] ?? until) < nextOffset) singleAt += 1
    open = open.filter((stretch) => !reading.isPast(stretch, nextOffset))
    if (open.length > 0) {
      const found = yield* recordsAt(reader, work, nextOffset)
      if (nextOffset >= ledgers.to) ledgers = yield* readLedgers(input, work, nextOffset)
      const to = endOf(found) < ledgers.to ? endOf(found) : ledgers.to
      yield* reading.foldAll(found, to, ledgers)
      nextOffset = to
      continue
    }
    const from = stretches[stretchAt]?.from ?? until
    const single = singles[singleAt] ?? until
    if (from === until && single === until) return
    if (from <= single) {
      nextOffset = from
      continue
    }
    const found = yield* recordsAt(reader, work, single, input.budget.limits.scatteredBytesMax)
    const within = singles.slice(singleAt, singleAt + found.batch.ends.length).filter((offset) => offset < endOf(found) && offset < from)
    reading.foldSingles(found, within)
    nextOffset = (within.at(-1) ?? single) + 1n
  }
})
