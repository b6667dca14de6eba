/**
 * One window folded again from its events by a path of its own, and held against what is stored. Nothing is shared with
 * the runtime but the definition's expressions and the accumulators. Rules: docs/semantics.md §8, §9.10.
 */
import { createExtraction } from "@tidemark/domain/definitions/compile"
import type { CompiledProjection, Extraction } from "@tidemark/domain/definitions/compile"
import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import { hashUtf8 } from "@tidemark/domain/measures/hash"
import type { Accumulator, MeasureSpec } from "@tidemark/domain/measures/measure"
import type { ReadSnapshot, ResolutionCode, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { comparedText, countsOf, figuresOf, measureOf } from "./windowFigures.ts"
import { proveWindow } from "./windowProof.ts"
import type { LineageEvent, ProofBounds } from "./windowProof.ts"
import { digestHex } from "./verifyRows.ts"

const MASK = (1n << 64n) - 1n

/** A window and key, of whichever generation. */
export interface WindowPlace {
  readonly tenantId: string
  readonly resolution: ResolutionCode
  readonly startMs: number
  readonly key: readonly string[]
}

/** Counts and measures of one window after some of its events. */
export class WindowFold {
  readonly out: Extraction = createExtraction()
  readonly accumulators: readonly Accumulator[]
  readonly compiled: CompiledProjection
  private readonly seed: number
  private readonly hash = new Uint32Array(4)
  private events = 0n
  private lateEvents = 0n
  private backfillEvents = 0n
  private fingerprint = 0n

  /** `seed`: the log's hash seed. */
  constructor(compiled: CompiledProjection, seed: number) {
    this.compiled = compiled
    this.accumulators = compiled.createAccumulators()
    this.seed = seed
  }

  /** Adds an event of the window; afterwards `out` holds what it added. */
  add({ event, late }: LineageEvent): void {
    const { compiled, out, hash } = this
    if (compiled.extract(event, out) !== "ok") return
    hashUtf8(event.id, this.seed, hash)
    this.fingerprint = (this.fingerprint + ((BigInt(hash[0] ?? 0) << 32n) | BigInt(hash[1] ?? 0))) & MASK
    this.events += 1n
    if (late !== null) this.lateEvents += 1n
    if (event.backfill !== undefined) this.backfillEvents += 1n
    compiled.apply(out, this.accumulators)
  }

  /** What is compared of the counts. */
  countsText(): string {
    return [this.events, this.lateEvents, this.backfillEvents, this.fingerprint].join()
  }

  /** What a measure is compared by with that of a definition that has it as `other`; "" for one this definition does not have. */
  measureText(name: string, other: MeasureSpec | undefined): string {
    const [accumulator, spec] = [this.accumulators[this.compiled.measureNames.indexOf(name)], this.compiled.definition.measures[name]]
    if (accumulator === undefined || spec === undefined) return ""
    return comparedText(spec, other, { bytes: digestHex(accumulator.encode()), figures: () => figuresOf(name, spec, accumulator) })
  }

  /** Figures as text, by name. */
  figures(): Readonly<Record<string, string>> {
    const { definition, measureNames } = this.compiled
    const measures = measureNames.flatMap((name, at) => {
      const [spec, state] = [definition.measures[name], this.accumulators[at]]
      return spec === undefined || state === undefined ? [] : figuresOf(name, spec, state)
    })
    return Object.fromEntries([["events", String(this.events)], ["lateEvents", String(this.lateEvents)], ["backfillEvents", String(this.backfillEvents)], ...measures])
  }

  /** What the stored rows of the window have otherwise, or undefined. */
  otherThan(rows: readonly StoredRow[]): string | undefined {
    const { definition, measureNames } = this.compiled
    const [stored, own] = [countsOf(rows), this.countsText()]
    if (stored !== own) return `its rows count ${stored}, its events give ${own} (events, late, imported, fingerprint)`
    const name = measureNames.find((one) => measureOf(definition, one, rows)?.bytes !== this.measureText(one, definition.measures[one]))
    return name === undefined ? undefined : `measure ${name} is not what its events give`
  }
}

/** The window's rows in every lane. */
export const rowsOf = Effect.fn("rowsOf")(function* (snapshot: ReadSnapshot, projection: string, generation: number, { tenantId, resolution, startMs, key }: WindowPlace) {
  const [rows = []] = yield* snapshot.partials(projection, generation, [{ tenantId, resolution, windowStartMs: startMs, keyId: keyIdOf(tenantId, key) }])
  return rows
})

/** Records that the rows' offset ranges span. */
export const spanOf = (rows: readonly StoredRow[]): bigint => rows.flatMap(({ offsets }) => offsets).reduce((sum, { min, max }) => sum + (max - min) + 1n, 0n)

/** One generation as it is folded again. */
export interface FoldedSide {
  readonly projection: string
  readonly generation: number
  readonly compiled: CompiledProjection
  /** The log's hash seed. */
  readonly seed: number
}

/**
 * Folds the window from its events, each handed to `visit` too, and answers what the stored rows have otherwise, or
 * undefined. Fails as `proveWindow` does: then nothing is known.
 */
export const refold = Effect.fn("refold")(function* (snapshot: ReadSnapshot, { projection, generation, compiled, seed }: FoldedSide, window: WindowPlace, bounds: ProofBounds, visit: (event: LineageEvent) => void = () => {}) {
  const rows = yield* rowsOf(snapshot, projection, generation, window)
  const fold = new WindowFold(compiled, seed)
  const proof = yield* proveWindow(snapshot, { projection, generation, seed, ...window }, bounds, (event) => {
    fold.add(event)
    visit(event)
  })
  if (proof.foundEvents !== proof.expectedEvents) return `its rows count ${proof.expectedEvents} events, the log holds ${proof.foundEvents}`
  return fold.otherThan(rows)
})
