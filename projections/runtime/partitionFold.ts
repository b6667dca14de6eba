/**
 * One partition of one generation: classifies each record and folds what counts, in memory, until a flush takes it.
 *
 * No clock and no I/O: what a record becomes depends on the log's prefix alone. Rules: docs/semantics.md §3, §4, §5.
 */
import { createExtraction } from "@tidemark/domain/definitions/compile"
import type { CompiledProjection, Extraction } from "@tidemark/domain/definitions/compile"
import type { DecodedRecord } from "@tidemark/domain/events/envelope"
import type { EventEnvelope } from "@tidemark/domain/events/event"
import type { LateAppliedRecord } from "@tidemark/domain/events/systemRecords"
import { formatDecimal } from "@tidemark/domain/measures/decimal"
import { hashUtf8 } from "@tidemark/domain/measures/hash"
import { measureScale } from "@tidemark/domain/measures/measure"
import type { DeadLetter, DuplicateEntry, LateEntry } from "@tidemark/domain/ports/ReadModelStore"
import { isClosed, isPastRevision, windowStart } from "@tidemark/domain/time/window"
import { emptyTally } from "./conservation.ts"
import type { Tally } from "./conservation.ts"
import { DeltaTable } from "./deltas.ts"
import type { Counted } from "./deltas.ts"
import { retainedFromMs } from "./retention.ts"

/** A record with what its partition's prefix says of it. One object serves record after record: nothing of it is kept. */
export interface ObservedRecord {
  offset: number
  decoded: DecodedRecord
  duplicate: boolean
  /** M(p, t) over earlier records, Unix ms. */
  maxEventTimeMs: number
  /** R at this record, Unix ms. */
  receivedMaxMs: number
  /** 64-bit hash of the event's id, in halves; zero for records that are no event. */
  hashHi: number
  hashLo: number
}

/** What an event adds, by measure part, as decimal text. */
const contributionOf = (compiled: CompiledProjection, out: Extraction): Readonly<Record<string, string>> => {
  const contribution: Record<string, string> = {}
  for (const [at, [name, spec]] of Object.entries(compiled.definition.measures).entries()) {
    const value = out.values[at] ?? null
    if (value === null) continue
    if (spec.kind === "count" || spec.kind === "uniques" || typeof value === "string") contribution[name] = "1"
    else if (spec.kind === "quantiles") {
      contribution[`${name}.count`] = "1"
      contribution[`${name}.sum`] = formatDecimal(BigInt(value), measureScale(spec))
    } else contribution[name] = formatDecimal(BigInt(value), measureScale(spec))
  }
  return contribution
}

export class PartitionFold {
  readonly partition: number
  /** Next offset to fold. */
  next: number
  tally: Tally = emptyTally()
  readonly deltas: DeltaTable
  /** Late entries to be written, by the original's offset. */
  readonly late = new Map<number, LateEntry>()
  /** Of these, entries that were committed before and are replaced. */
  releasedCommitted = 0
  duplicates: DuplicateEntry[] = []
  deadLetters: DeadLetter[] = []
  /** Committed ledger entries of the originals that a batch about to be folded releases, by offset. */
  readonly committedLate = new Map<number, LateEntry>()
  private readonly compiled: CompiledProjection
  private readonly seed: number
  private readonly out = createExtraction()
  private readonly hash = new Uint32Array(4)

  /** Continues at `next`. `seed`: the log's hash seed. */
  constructor(compiled: CompiledProjection, partition: number, next: number, seed: number) {
    this.compiled = compiled
    this.partition = partition
    this.next = next
    this.seed = seed
    this.deltas = new DeltaTable(compiled.createAccumulators)
  }

  /** Takes the record at `next`. Throws `RangeError` when it is another one. */
  take(record: ObservedRecord): void {
    if (record.offset !== this.next) throw new RangeError(`offset ${record.offset} came where ${this.next} was expected`)
    this.next += 1
    const { tally } = this
    tally.records += 1
    const { decoded } = record
    if (decoded.kind === "system") {
      tally.system += 1
      if (decoded.record.system === "late-applied") this.release(decoded.record, record)
      return
    }
    tally.events += 1
    if (decoded.kind === "undecodable") this.bury(record.offset, "", decoded.code, decoded.pointer)
    else this.takeEvent(decoded.event, record)
  }

  /** Forgets what a flush has committed. */
  clear(): void {
    this.tally = emptyTally()
    this.deltas.clear()
    this.late.clear()
    this.committedLate.clear()
    this.releasedCommitted = 0
    this.duplicates = []
    this.deadLetters = []
  }

  private bury(offset: number, tenantId: string, code: string, pointer: string): void {
    this.tally.deadLettered += 1
    this.deadLetters.push({ partition: this.partition, offset: BigInt(offset), tenantId, code, pointer })
  }

  /** Windows that start before this have expired at R = `receivedMaxMs`. */
  private retainedFromMs(receivedMaxMs: number): number {
    return retainedFromMs(this.compiled.definition.retentionDays, receivedMaxMs)
  }

  private takeEvent(event: EventEnvelope, record: ObservedRecord): void {
    const { tally, out } = this
    if (record.duplicate) {
      tally.duplicate += 1
      this.duplicates.push({ partition: this.partition, offset: BigInt(record.offset), tenantId: event.tenantId })
      return
    }
    const extracted = this.compiled.extract(event, out)
    if (extracted === "filtered") {
      tally.filtered += 1
      return
    }
    if (extracted === "dead") return this.bury(record.offset, event.tenantId, out.code, out.pointer)
    const { sizeMs, outOfOrdernessMs, reviseWithinMs } = this.compiled.definition.window
    const startMs = windowStart(event.timeMs, sizeMs)
    const expired = startMs < this.retainedFromMs(record.receivedMaxMs)
    const backfill = event.backfill !== undefined
    if (backfill && expired) return this.bury(record.offset, event.tenantId, "WINDOW_EXPIRED", "/time")
    const late = !backfill && (expired || isClosed(startMs + sizeMs, record.maxEventTimeMs, outOfOrdernessMs))
    const held = late && (expired || isPastRevision(startMs + sizeMs, record.maxEventTimeMs, outOfOrdernessMs, reviseWithinMs))
    if (late) {
      tally.late += 1
      if (held) tally.held += 1
      else tally.applied += 1
      this.enterLate(event, record, startMs, held)
    }
    if (!held) this.fold(event, startMs, record, late, backfill)
  }

  private enterLate(event: EventEnvelope, record: ObservedRecord, startMs: number, held: boolean): void {
    const { sizeMs, outOfOrdernessMs } = this.compiled.definition.window
    this.late.set(record.offset, {
      partition: this.partition,
      offset: BigInt(record.offset),
      tenantId: event.tenantId,
      eventId: event.id,
      eventType: event.type,
      eventTimeMs: event.timeMs,
      windowStartMs: startMs,
      key: [...this.out.key],
      // A window can expire before M has passed it: then it is late by nothing.
      lateByMs: Math.max(0, record.maxEventTimeMs - (startMs + sizeMs + outOfOrdernessMs)),
      outcome: held ? "held" : "applied",
      contribution: contributionOf(this.compiled, this.out)
    })
  }

  private fold(event: EventEnvelope, startMs: number, counted: Counted, late: boolean, backfill: boolean): void {
    this.tally.folded += 1
    this.compiled.apply(this.out, this.deltas.count(event.tenantId, startMs, this.out.key, counted, late, backfill))
  }

  /** Folds a held event at the offset of the record that releases it, once. */
  private release(released: LateAppliedRecord, record: ObservedRecord): void {
    const { original, partition } = released
    const offset = Number(released.offset)
    if (original === undefined || partition !== this.partition) return
    const pending = this.late.get(offset)
    const entry = pending ?? this.committedLate.get(offset)
    if (entry?.outcome !== "held" || this.compiled.extract(original, this.out) !== "ok") return
    const startMs = windowStart(original.timeMs, this.compiled.definition.window.sizeMs)
    if (startMs < this.retainedFromMs(record.receivedMaxMs)) return
    this.late.set(offset, { ...entry, outcome: "applied" })
    if (pending === undefined) this.releasedCommitted += 1
    this.tally.held -= 1
    this.tally.applied += 1
    hashUtf8(original.id, this.seed, this.hash)
    this.fold(original, startMs, { offset: record.offset, hashHi: this.hash[0] ?? 0, hashLo: this.hash[1] ?? 0 }, true, false)
  }
}
