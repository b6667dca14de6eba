/**
 * Verification: is the log intact, do the counters add up, and is every read model what the log says?
 *
 * The full form recomputes each generation from the log by a path of its own (`verifyPrefix`, `verifyFold`), lane by
 * lane, up to its checkpoint as it stands in one snapshot of the store. Memory is bounded by `rowsMax` expected rows and
 * the dedupe entries of one partition (16 to 32 bytes an event within 24 h, or of any import): when a lane has more
 * rows, its log is read again for one share of the UTC days after another. A share is at least every 256th
 * day, however many rows these have. Rules: docs/semantics.md §4, §8.
 */
import { compileDefinition } from "@tidemark/domain/definitions/compile"
import { parseDefinition } from "@tidemark/domain/definitions/definition"
import type { CompiledProjection } from "@tidemark/domain/definitions/compile"
import { decodeRecord } from "@tidemark/domain/events/envelope"
import { hashSeedOf } from "@tidemark/domain/events/hashSeed"
import { hashHex } from "@tidemark/domain/measures/hash"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { LogBatch } from "@tidemark/domain/ports/EventLog"
import { LOG_FAULTS, logFaultText } from "@tidemark/domain/ports/logFault"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationRecord, LaneCheckpoint, PartitionCheckpoint, ReadSnapshot } from "@tidemark/domain/ports/ReadModelStore"
import { digestLabel, modelDigest } from "@tidemark/projections/runtime/modelDigest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { readStored } from "./storedRecords.ts"
import { LaneFold, TooManyRowsError } from "./verifyFold.ts"
import type { ExpectedCounters, Slice } from "./verifyFold.ts"
import { compareHeld, compareLedgers, compareTenantLedgers } from "./verifyLedgers.ts"
import type { TenantSums } from "./verifyLedgers.ts"
import { Prefix } from "./verifyPrefix.ts"
import { addCheck, compare, differencesOf, newModelCheck } from "./verifyReport.ts"
import type { ConservationFault, LogCheck, ModelCheck, VerifyReport } from "./verifyReport.ts"
import { DigestSums, compareKeyCounts, compareRows, digestHex } from "./verifyRows.ts"

export interface VerifyOptions {
  /** Recompute the read models too. */
  readonly full: boolean
  /** Tenants to look at beside those the log names: an extra row of another one would not be seen. */
  readonly tenants: readonly string[]
  /** Told about once a second while there is long work. */
  readonly progress: (line: string) => void
  /** Expected rows held at once; 200,000 when absent, about 200 MB. */
  readonly rowsMax?: number
}

const ROWS_MAX = 200_000
const SLICES_MAX = 256
const READ_BYTES_MAX = 1 << 20
const PROGRESS_EVERY_MS = 1_000
const OFFSET_MAX = (1n << 64n) - 2n
/** Findings about the log; that it does not answer is none. */

const checkLog = Effect.fn("checkLog")(function* (progress: (line: string) => void) {
  const log = yield* EventLog
  const checks: LogCheck[] = []
  for (let partition = 0; partition < log.identity.partitions; partition++) {
    yield* Effect.sync(() => progress(`log: partition ${partition} of ${log.identity.partitions}`))
    checks.push(yield* log.verify(partition).pipe(
      Effect.map(({ records, blocks }): LogCheck => ({ partition, records: records.toString(), blocks, error: null })),
      Effect.catchTag(LOG_FAULTS, (error) => Effect.succeed<LogCheck>({ partition, records: "0", blocks: 0, error: logFaultText(error) }))
    ))
  }
  return checks
})

/** What is wrong with the counters of a partition, or undefined. `start`: first offset folded. */
const countersFault = ({ counters: c, nextOffset }: PartitionCheckpoint, start: bigint): string | undefined => {
  if (c.records !== nextOffset - start) return `${c.records} records counted between offsets ${start} and ${nextOffset}`
  if (c.records !== c.system + c.events) return `${c.records} records ≠ ${c.system} system + ${c.events} events`
  const ends = c.folded + c.held + c.duplicate + c.deadLettered + c.filtered
  if (c.events !== ends) return `${c.events} events ≠ ${c.folded} folded + ${c.held} held + ${c.duplicate} duplicate + ${c.deadLettered} dead-lettered + ${c.filtered} filtered`
  if (c.late !== c.applied + c.held || c.applied > c.folded) return `${c.late} late ≠ ${c.applied} applied + ${c.held} held, of ${c.folded} folded`
  return undefined
}

const startsOf = ({ coverage }: GenerationRecord): ReadonlyMap<number, bigint> => new Map(coverage.map(({ partition, nextOffset }) => [partition, nextOffset]))

const checkConservation = (record: GenerationRecord, checkpoints: readonly LaneCheckpoint[]): readonly ConservationFault[] => {
  const starts = startsOf(record)
  return checkpoints.flatMap(({ partitions }) => partitions).flatMap((checkpoint) => {
    const error = countersFault(checkpoint, starts.get(checkpoint.partition) ?? 0n)
    return error === undefined ? [] : [{ projection: record.projection, generation: record.generation, partition: checkpoint.partition, error }]
  })
}

const clocksText = (tenants: ReadonlyMap<string, number>): string => JSON.stringify([...tenants].sort(([a], [b]) => (a < b ? -1 : 1)))
const countersText = (counters: Readonly<Record<string, number | bigint>>): string => Object.entries(counters).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `${name}=${count}`).join()
const storedPrefixText = ({ lastRecordHash, counters, receivedMaxMs, heartbeatMaxMs, tenantMaxMs }: PartitionCheckpoint): string =>
  [lastRecordHash, countersText({ ...counters }), receivedMaxMs, heartbeatMaxMs, clocksText(tenantMaxMs)].join(" ")
const expectedPrefixText = (lastRecordHash: string, counters: ExpectedCounters, prefix: Prefix): string =>
  [lastRecordHash, countersText(counters), Number.isFinite(prefix.receivedMs) ? prefix.receivedMs : null, Number.isFinite(prefix.heartbeatMs) ? prefix.heartbeatMs : null, clocksText(prefix.tenants)].join(" ")

/** One generation being checked. */
interface Subject {
  readonly record: GenerationRecord
  readonly compiled: CompiledProjection
  readonly seed: number
  readonly snapshot: ReadSnapshot
  readonly starts: ReadonlyMap<number, bigint>
  readonly rowsMax: number
  readonly tell: (records: number) => Effect.Effect<void>
}

const WHOLE: Slice = { index: 0, of: 1 }
const firstSlice = ({ index }: Slice): boolean => index === 0

/** Takes the records of `batches` below `end`, and folds those from `start` on; answers the next offset and the hash of the last record taken. */
export const foldBatches = (batches: readonly LogBatch[], start: bigint, end: bigint, fold: LaneFold, prefix: Prefix): { readonly next: bigint; readonly hash: string } | undefined => {
  let last: { readonly next: bigint; readonly hash: string } | undefined
  for (const { bytes, ends, firstOffset } of batches) {
    for (let at = 0, offset = firstOffset; at < ends.length && offset < end; at++, offset++) {
      const record = bytes.subarray(at === 0 ? 0 : ends[at - 1], ends[at])
      const decoded = decodeRecord(record)
      const sight = prefix.take(decoded)
      if (offset >= start) fold.take(Number(offset), decoded, sight, prefix)
      last = { next: offset + 1n, hash: offset === end - 1n ? hashHex(record, 0) : "" }
    }
  }
  return last
}

/** Reads one partition up to its checkpoint into `fold`. Ledgers and checkpoint are compared in the first slice only. */
const recomputePartition = Effect.fn("recomputePartition")(function* (subject: Subject, checkpoint: PartitionCheckpoint, fold: LaneFold, slice: Slice, model: ModelCheck, sums: TenantSums) {
  const log = yield* EventLog
  const { partition, nextOffset: end } = checkpoint
  const { snapshot, record: { projection, generation } } = subject
  const ledger = { projection, generation, partition }
  const start = subject.starts.get(partition) ?? 0n
  const prefix = new Prefix()
  fold.startPartition(partition)
  let next = (yield* log.bounds(partition)).start
  let lastHash = ""
  while (next < end) {
    const first = next
    const taken = foldBatches(yield* readStored(partition, next, READ_BYTES_MAX), start, end, fold, prefix)
    if (taken === undefined) break
    next = taken.next
    lastHash = taken.hash
    if (firstSlice(slice)) yield* compareLedgers(snapshot, { ...ledger, min: first, max: next - 1n }, fold, fold.held, model, sums)
    fold.applied = []
    fold.duplicates = []
    fold.deadLetters = []
    yield* subject.tell(Number(next - first))
  }
  if (!firstSlice(slice)) return
  model.records += Number(next)
  yield* compareLedgers(snapshot, { ...ledger, min: end, max: OFFSET_MAX }, fold, new Map(), model, sums)
  yield* compareHeld(snapshot, ledger, fold.held, model)
  const expected = next === end ? expectedPrefixText(lastHash, fold.counters, prefix) : `the log ends at offset ${next}`
  const stored = start === end && checkpoint.lastRecordHash === "" ? expected : storedPrefixText(checkpoint)
  compare(model, model.checkpoints, `checkpoint of partition ${partition} at offset ${end}`, stored, expected)
})

/** One lane in `of` slices; undefined when a slice has too many rows. */
const recomputeLane = Effect.fn("recomputeLane")(function* (subject: Subject, checkpoint: LaneCheckpoint, of: number, known: ReadonlySet<string>) {
  const { record: { projection, generation }, compiled, seed, snapshot } = subject
  const model = newModelCheck(projection, generation)
  const digest = new DigestSums()
  const sums: TenantSums = new Map()
  const tenants = new Set(known)
  for (let index = 0; index < of; index++) {
    const slice: Slice = { index, of }
    const fold = new LaneFold(compiled, seed, slice, of >= SLICES_MAX ? Infinity : subject.rowsMax)
    const fits = yield* Effect.suspend(() => Effect.forEach(checkpoint.partitions, (part) => recomputePartition(subject, part, fold, slice, model, sums), { discard: true })).pipe(
      Effect.as(true),
      Effect.catchDefect((defect) => (defect instanceof TooManyRowsError ? Effect.succeed(false) : Effect.die(defect)))
    )
    if (!fits) return undefined
    for (const tenantId of fold.tenants) tenants.add(tenantId)
    fold.dropExpired(checkpoint.partitions.map(({ receivedMaxMs }) => receivedMaxMs))
    for (const row of fold.rows.values()) digest.add(row)
    const lane = { projection, generation, lane: checkpoint.lane.lane }
    yield* compareRows(snapshot, lane, tenants, slice, fold.rows, model)
    yield* compareKeyCounts(snapshot, lane, tenants, slice, fold.keyCounts, model)
  }
  compare(model, model.digests, `digest of lane ${checkpoint.lane.lane}`, digestHex(checkpoint.digest), digest.hex())
  return { model, sums, tenants }
})

const addSums = (into: TenantSums, from: TenantSums): void => {
  for (const [name, { count, sum }] of from) {
    const known = into.get(name)
    into.set(name, { count: count + (known?.count ?? 0), sum: BigInt.asUintN(128, sum + (known?.sum ?? 0n)) })
  }
}

const recomputeGeneration = Effect.fn("recomputeGeneration")(function* (subject: Subject, checkpoints: readonly LaneCheckpoint[], tenants: ReadonlySet<string>, model: ModelCheck) {
  const { projection, generation } = subject.record
  const sums: TenantSums = new Map()
  const all = new Set(tenants)
  const examined = new Map<number, ReadonlySet<string>>()
  for (const checkpoint of checkpoints) {
    for (let of = 1; ; of *= 4) {
      const found = yield* recomputeLane(subject, checkpoint, of, tenants)
      if (found === undefined) continue
      addCheck(model, found.model)
      addSums(sums, found.sums)
      examined.set(checkpoint.lane.lane, found.tenants)
      for (const tenantId of found.tenants) all.add(tenantId)
      break
    }
  }
  // A tenant that only some lanes know has no rows and no keys in the others.
  for (const [lane, seen] of examined) {
    const rest = [...all].filter((tenantId) => !seen.has(tenantId))
    yield* compareRows(subject.snapshot, { projection, generation, lane }, rest, WHOLE, new Map(), model)
    yield* compareKeyCounts(subject.snapshot, { projection, generation, lane }, rest, WHOLE, new Map(), model)
  }
  yield* compareTenantLedgers(subject.snapshot, { projection, generation }, new Set([...all, ""]), sums, model)
  const { digest, unaccounted } = yield* modelDigest(subject.snapshot, subject.record, all)
  if (unaccounted.length === 0) model.modelDigest = digestLabel(digest)
})

/** One generation recomputed from the log up to its checkpoint: rows, ledgers, counters, digests. What is found wrong stands in the answer. */
export const checkModel = Effect.fn("checkModel")(function* (snapshot: ReadSnapshot, record: GenerationRecord, checkpoints: readonly LaneCheckpoint[], options: VerifyOptions) {
  const { identity } = yield* EventLog
  const { projection, generation } = record
  const model = newModelCheck(projection, generation)
  const seed = hashSeedOf(identity.logId)
  const compiled = yield* Effect.result(Effect.try({ try: () => compileDefinition(parseDefinition(record.definition), seed), catch: String }))
  if (compiled._tag === "Failure") model.error = `its definition cannot be run: ${compiled.failure}`
  else if (record.logId !== identity.logId) model.error = `it was built from log ${record.logId}, this is log ${identity.logId}`
  if (compiled._tag === "Failure" || model.error !== null) return model
  const total = checkpoints.flatMap(({ partitions }) => partitions).reduce((sum, { nextOffset }) => sum + Number(nextOffset), 0)
  let done = 0
  let toldMs = 0
  const tell = (records: number) => Effect.map(Clock.currentTimeMillis, (nowMs) => {
    done += records
    if (nowMs - toldMs < PROGRESS_EVERY_MS) return
    toldMs = nowMs
    options.progress(`${projection} generation ${generation}: ${done} of ${total} records${done > total ? ", in several passes" : ""}`)
  })
  const tenants = new Set([...options.tenants, ...checkpoints.flatMap(({ partitions }) => partitions.flatMap(({ tenantMaxMs }) => [...tenantMaxMs.keys()]))])
  const subject: Subject = { record, compiled: compiled.success, seed, snapshot, starts: startsOf(record), rowsMax: options.rowsMax ?? ROWS_MAX, tell }
  yield* recomputeGeneration(subject, checkpoints, tenants, model).pipe(
    Effect.catchTag(LOG_FAULTS, (error) => Effect.sync(() => void (model.error = logFaultText(error))))
  )
  return model
})

/** Fails only when log or store do not answer; everything found wrong stands in the report. */
export const verify = (options: VerifyOptions) =>
  Effect.scoped(Effect.gen(function* () {
    const log = yield* checkLog(options.progress)
    const snapshot = yield* (yield* ReadModelStore).snapshot
    const conservation: ConservationFault[] = []
    const models: ModelCheck[] = []
    for (const { projection } of yield* snapshot.pointers) {
      for (const record of yield* snapshot.generations(projection)) {
        const checkpoints = yield* snapshot.checkpoints(projection, record.generation)
        conservation.push(...checkConservation(record, checkpoints))
        if (options.full) models.push(yield* checkModel(snapshot, record, checkpoints, options))
      }
    }
    const ok = conservation.length === 0 && log.every(({ error }) => error === null) && models.every((model) => model.error === null && differencesOf(model) === 0)
    const report: VerifyReport = { ok, log, conservation, models: options.full ? models : null }
    return report
  }))
