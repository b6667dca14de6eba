/** Partials of lanes, keys or windows merged into one figure set. Every monoid is exact, so order does not matter. */
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { createAccumulator, decodeAccumulator, measureParts, mergeAccumulators, readMeasure } from "@tidemark/domain/measures/measure"
import type { Accumulator, MeasureFigure, MeasureSpec } from "@tidemark/domain/measures/measure"
import type { StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { BadArgumentError, UnknownMeasureError } from "./errors.ts"

/** One figure asked for: a part of the measure at `index` of the definition. */
export interface WantedPart {
  readonly part: string
  readonly name: string
  readonly spec: MeasureSpec
  readonly index: number
}

/** All parts of all measures, in the definition's order. */
export const allParts = (definition: ProjectionDefinition): readonly WantedPart[] =>
  Object.entries(definition.measures).flatMap(([name, spec], index) => measureParts(name, spec).map((part) => ({ part, name, spec, index })))

/** The parts named, in the order asked for. */
export const wantedParts = (definition: ProjectionDefinition, names: readonly string[]): Effect.Effect<readonly WantedPart[], UnknownMeasureError | BadArgumentError> => {
  if (names.length === 0) return Effect.fail(new BadArgumentError({ argument: "measures", detail: "names at least one measure" }))
  const all = allParts(definition)
  const wanted: WantedPart[] = []
  for (const name of names) {
    const part = all.find((candidate) => candidate.part === name)
    if (part === undefined) {
      return Effect.fail(new UnknownMeasureError({ projection: definition.name, measure: name, valid: all.map((candidate) => candidate.part) }))
    }
    wanted.push(part)
  }
  return Effect.succeed(wanted)
}

const MASK = (1n << 64n) - 1n

/** Running merge of partials; decodes only the measures that are asked for. */
export class MergedPartials {
  events = 0n
  lateEvents = 0n
  backfillEvents = 0n
  revision = 0n
  /** Sum mod 2^64. */
  fingerprint = 0n
  private readonly wanted: readonly WantedPart[]
  /** One accumulator per measure, however many of its parts are asked for. */
  private readonly merged = new Map<number, { readonly spec: MeasureSpec; readonly accumulator: Accumulator }>()

  constructor(wanted: readonly WantedPart[]) {
    this.wanted = wanted
    for (const { index, spec } of wanted) if (!this.merged.has(index)) this.merged.set(index, { spec, accumulator: createAccumulator(spec) })
  }

  /** Throws `MeasureBytesError` when the row's bytes are not canonical. */
  add(row: StoredRow): void {
    this.events += row.events
    this.lateEvents += row.lateEvents
    this.backfillEvents += row.backfillEvents
    this.revision += row.revision
    this.fingerprint = (this.fingerprint + row.fingerprint) & MASK
    for (const [index, { spec, accumulator }] of this.merged) {
      const bytes = row.measures[index]
      if (bytes !== undefined) mergeAccumulators(accumulator, decodeAccumulator(spec, bytes))
    }
  }

  /** Figures in the order asked for; without `complete` none of them is exact. */
  figures(complete: boolean): readonly MeasureFigure[] {
    return this.wanted.map(({ part, name, spec, index }) => {
      const accumulator = this.merged.get(index)?.accumulator ?? createAccumulator(spec)
      const figure = readMeasure(part, name, spec, accumulator)
      return complete ? figure : { ...figure, exact: false }
    })
  }
}
