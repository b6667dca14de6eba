/**
 * One stored window held against the log: an hour or a day against the merge of its minutes, any window against its
 * events, which are found by lineage and folded again. All in one snapshot, streaming. Rules: docs/semantics.md §9.5, §9.10.
 */
import { compileDefinition, createExtraction } from "@tidemark/domain/definitions/compile"
import type { CompiledProjection } from "@tidemark/domain/definitions/compile"
import { parseDefinition } from "@tidemark/domain/definitions/definition"
import { hashSeedOf } from "@tidemark/domain/events/hashSeed"
import { MeasureBytesError } from "@tidemark/domain/measures/encoding"
import { createAccumulator, decodeAccumulator, mergeAccumulators } from "@tidemark/domain/measures/measure"
import type { Accumulator, MeasureSpec } from "@tidemark/domain/measures/measure"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { logFaultText } from "@tidemark/domain/ports/logFault"
import type { ReadSnapshot, ResolutionCode, StoreUnavailableError, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { RESOLUTIONS } from "@tidemark/domain/time/window"
import * as Effect from "effect/Effect"
import { MergedMinutes } from "./mergedMinutes.ts"
import { basePartials, proveWindow } from "./windowProof.ts"
import type { LineageTooLargeError, ProofBounds, ProofError, VisitEvent } from "./windowProof.ts"

/** One window and key as it was answered. */
export interface AuditedWindow {
  readonly projection: string
  readonly generation: number
  readonly tenantId: string
  readonly resolution: ResolutionCode
  readonly startMs: number
  readonly keyId: string
  readonly key: readonly string[]
}

/**
 * Why a window was not recomputed. `records`, `time`, `keys`: a bound of the work, as lineage names it. `retained`: the
 * log no longer holds its events. `definition`: this program cannot run the generation's definition.
 */
export const SKIP_REASONS = ["records", "time", "keys", "retained", "definition"] as const
export type SkipReason = (typeof SKIP_REASONS)[number]

export type AuditOutcome = { readonly kind: "audited"; readonly difference: string | undefined } | { readonly kind: "skipped"; readonly reason: SkipReason }

/** A snapshot is held as long as one window is read. */
export const AUDIT_BOUNDS: ProofBounds = { recordsMax: 5_000_000n, workMsMax: 30_000 }

const MINUTE: ResolutionCode = 0

const differs = (difference: string | undefined): AuditOutcome => ({ kind: "audited", difference })
const skipped = (reason: SkipReason): AuditOutcome => ({ kind: "skipped", reason })

const placeOf = ({ projection, generation, tenantId, resolution, startMs, key }: AuditedWindow): string =>
  `${projection} generation ${generation}, ${RESOLUTIONS[resolution].name} ${new Date(startMs).toISOString()}, key ${JSON.stringify(key)} of ${tenantId}`

const readRows = Effect.fn("readRows")(function* (snapshot: ReadSnapshot, { projection, generation, tenantId, resolution, startMs, keyId }: AuditedWindow) {
  const found: StoredRow[] = []
  yield* snapshot.scan({ projection, generation, tenantId, resolution, fromMs: startMs, toMs: startMs + 1, keyId }, (rows) => void found.push(...rows))
  return found
})

/** What an hour or a day and the merge of its minutes disagree on, or undefined; and one of the minutes, each as likely. */
const compareMinutes = Effect.fn("compareMinutes")(function* (snapshot: ReadSnapshot, compiled: CompiledProjection, window: AuditedWindow, rows: readonly StoredRow[], random: () => number) {
  const { resolution, startMs } = window
  const bases = { ...window, endMs: startMs + RESOLUTIONS[resolution].sizeMs, sizeMs: compiled.definition.window.sizeMs }
  const merged = new MergedMinutes(compiled.definition.measures)
  let seen = 0
  let chosenMs = startMs
  for (const row of yield* basePartials(snapshot, bases)) {
    merged.add(row)
    if (random() * ++seen < 1) chosenMs = row.windowStartMs
  }
  const minute: AuditedWindow = { ...window, resolution: MINUTE, startMs: chosenMs }
  return { difference: merged.difference(rows), minute }
})

/** The stored states merged; undefined when one of them cannot be read. */
const mergedOf = (spec: MeasureSpec, states: readonly Uint8Array[]): Accumulator | undefined => {
  const merged = createAccumulator(spec)
  try {
    for (const bytes of states) mergeAccumulators(merged, decodeAccumulator(spec, bytes))
    return merged
  } catch (error) {
    if (error instanceof MeasureBytesError) return undefined
    throw error
  }
}

/** Folds the events that lineage finds, to be compared with the stored rows. */
const makeRecount = (compiled: CompiledProjection) => {
  const accumulators = compiled.createAccumulators()
  const out = createExtraction()
  const counts = { imported: 0n, late: 0n }
  const visit: VisitEvent = ({ event, late }) => {
    if (event.backfill !== undefined) counts.imported += 1n
    if (late !== null) counts.late += 1n
    if (compiled.extract(event, out) === "ok") compiled.apply(out, accumulators)
  }
  /** What the stored rows and the events disagree on, or undefined. */
  const difference = (rows: readonly StoredRow[]): string | undefined => {
    for (const [at, [name, spec]] of Object.entries(compiled.definition.measures).entries()) {
      const wanted = accumulators[at]
      const merged = mergedOf(spec, rows.map(({ measures }) => measures[at] ?? new Uint8Array()))
      if (merged === undefined) return `measure ${name} cannot be read`
      if (rows.length > 0 && wanted !== undefined && Buffer.compare(merged.encode(), wanted.encode()) !== 0) return `measure ${name} differs`
    }
    if (rows.reduce((sum, { backfillEvents }) => sum + backfillEvents, 0n) !== counts.imported) return "the number of imported events differs"
    return rows.reduce((sum, { lateEvents }) => sum + lateEvents, 0n) === counts.late ? undefined : "the number of late events differs"
  }
  return { visit, difference }
}

/** A proof that could not be made: a finding, a reason to skip the window, or no answer at all. */
const unproved = (at: string, error: ProofError): Effect.Effect<AuditOutcome | LineageTooLargeError, ProofError> => {
  switch (error._tag) {
    case "LineageTooLargeError":
      return Effect.succeed(error)
    case "LineageUnavailableError":
      return Effect.succeed(skipped("definition"))
    case "OffsetOutOfRangeError":
      return Effect.succeed(error.wanted < error.start ? skipped("retained") : differs(`${at}: its events cannot be read: ${logFaultText(error)}`))
    case "LogCorruptError":
    case "LogGapError":
    case "LogIdentityError":
      return Effect.succeed(differs(`${at}: its events cannot be read: ${logFaultText(error)}`))
    case "LogUnavailableError":
    case "StoreUnavailableError":
      return Effect.fail(error)
  }
}

/** Recomputes a window from its events; answers the bound it is beyond, when it is beyond one. */
const recount = Effect.fn("recount")(function* (snapshot: ReadSnapshot, compiled: CompiledProjection, window: AuditedWindow, seed: number, rows: readonly StoredRow[], bounds: ProofBounds) {
  const at = placeOf(window)
  const { visit, difference } = makeRecount(compiled)
  const proof = yield* Effect.result(proveWindow(snapshot, { ...window, seed }, bounds, visit))
  if (proof._tag === "Failure") return yield* unproved(at, proof.failure)
  const { expectedEvents, foundEvents, fingerprintMatches } = proof.success
  if (foundEvents !== expectedEvents) return differs(`${at}: ${expectedEvents} events are counted, the log holds ${foundEvents}`)
  if (!fingerprintMatches) return differs(`${at}: the fingerprint differs`)
  const wrong = difference(rows)
  return differs(wrong === undefined ? undefined : `${at}: ${wrong}`)
})

/**
 * Audits one window. An hour or a day beyond the bounds is held against its minutes, and one of these against the log.
 * Fails only when log or store do not answer.
 */
export const auditWindow = Effect.fn("auditWindow")(function* (
  snapshot: ReadSnapshot, window: AuditedWindow, random: () => number, bounds: ProofBounds = AUDIT_BOUNDS
): Effect.fn.Return<AuditOutcome, ProofError | StoreUnavailableError, EventLog> {
  const seed = hashSeedOf((yield* EventLog).identity.logId)
  const record = yield* snapshot.generation(window.projection, window.generation)
  const compiled = yield* Effect.option(Effect.try(() => compileDefinition(parseDefinition(record?.definition ?? ""), seed)))
  if (compiled._tag === "None") return skipped("definition")
  const rows = yield* readRows(snapshot, window)
  if (window.resolution === MINUTE) {
    const outcome = yield* recount(snapshot, compiled.value, window, seed, rows, bounds)
    return "kind" in outcome ? outcome : skipped(outcome.bound)
  }
  const { difference, minute } = yield* compareMinutes(snapshot, compiled.value, window, rows, random)
  if (difference !== undefined) return differs(`${placeOf(window)}: ${difference}`)
  const outcome = yield* recount(snapshot, compiled.value, window, seed, rows, bounds)
  return "kind" in outcome ? outcome : yield* auditWindow(snapshot, minute, random, bounds)
})
