/** One window of one key, with everything that is known about it. */
import { OTHER } from "@tidemark/domain/definitions/dimensionText"
import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import type { MeasureFigure } from "@tidemark/domain/measures/measure"
import type { ReadModelStore, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { RESOLUTIONS, windowStart } from "@tidemark/domain/time/window"
import type { ResolutionName } from "@tidemark/domain/time/window"
import * as Effect from "effect/Effect"
import { dimensionIndex, isOther, labelled, storedText } from "./dimensions.ts"
import type { Dimension } from "./dimensions.ts"
import { BadArgumentError, ModelUnreadableError } from "./errors.ts"
import type { QueryError } from "./errors.ts"
import { MergedPartials, allParts } from "./mergePartials.ts"
import { openModel, provenanceOf } from "./openModel.ts"
import type { Provenance, ReadableModel } from "./openModel.ts"
import { resolutionOf } from "./resolution.ts"
import { correctionsOf, windowState } from "./windowState.ts"
import type { WindowState } from "./windowState.ts"

export interface WindowInput {
  readonly projection: string
  /** Every dimension once, in any order. */
  readonly key: readonly Dimension[]
  /** Start of the window. */
  readonly startMs: number
  readonly resolution: ResolutionName
}

export interface WindowAnswer extends Provenance {
  readonly key: readonly Dimension[]
  readonly startMs: number
  readonly endMs: number
  readonly resolution: ResolutionName
  readonly measures: readonly MeasureFigure[]
  readonly state: WindowState
  readonly revision: bigint
  readonly corrections: bigint
  readonly events: bigint
  /** Sum mod 2^64 of the id hashes of its events. */
  readonly fingerprint: bigint
}

/** Key texts in the definition's order. */
export const keyTexts = Effect.fn("keyTexts")(function* (model: ReadableModel<unknown>, key: readonly Dimension[]) {
  const texts: (string | undefined)[] = model.dimensions.map(() => undefined)
  for (const { name, value } of key) {
    const index = yield* dimensionIndex(model.projection, model.dimensions, name)
    if (texts[index] !== undefined) return yield* Effect.fail(new BadArgumentError({ argument: "key", detail: `names ${name} twice` }))
    texts[index] = storedText(model, value)
  }
  const complete: string[] = []
  for (const [index, text] of texts.entries()) {
    if (text === undefined) return yield* Effect.fail(new BadArgumentError({ argument: "key", detail: `lacks ${model.dimensions[index] ?? ""}` }))
    complete.push(text)
  }
  return complete
})

const lengthText = (name: ResolutionName, sizeMs: number): string => {
  if (name === "hour") return "an hour"
  return name === "minute" && sizeMs !== RESOLUTIONS[0].sizeMs ? `a window of ${sizeMs / 1_000} s` : `a ${name}`
}

/** The window in a model that is open, or null when it has no data. */
export const windowOf = <E>(model: ReadableModel<E>, input: WindowInput): Effect.Effect<WindowAnswer | null, QueryError | E> =>
  Effect.gen(function* () {
    const { projection, generation, dimensions, tenantId } = model
    const key = yield* keyTexts(model, input.key)
    const { sizeMs, code } = resolutionOf(input.resolution, model.definition)
    const startMs = input.startMs
    if (startMs !== windowStart(startMs, sizeMs)) return yield* Effect.fail(new BadArgumentError({ argument: "start", detail: `is not the start of ${lengthText(input.resolution, sizeMs)}` }))
    if (startMs < model.retainedFromMs) return null
    const merged = new MergedPartials(allParts(model.definition))
    let complete = true
    let unreadable: unknown
    const range = { projection, generation, tenantId, resolution: code, fromMs: startMs, toMs: startMs + sizeMs }
    const add = (row: StoredRow): void => {
      if (isOther(row.key)) complete = false
      if (row.key.every((text, index) => text === key[index])) merged.add(row)
    }
    const keyId = keyIdOf(tenantId, key)
    const otherId = keyIdOf(tenantId, dimensions.map(() => OTHER))
    for (const id of new Set([keyId, otherId])) {
      yield* model.rows.scan({ ...range, keyId: id }, (rows) => {
        try {
          if (unreadable === undefined) rows.forEach(add)
        } catch (cause) {
          unreadable = cause
        }
      })
    }
    if (unreadable !== undefined) return yield* Effect.fail(new ModelUnreadableError({ projection, generation, cause: unreadable }))
    if (merged.events === 0n) return null
    const endMs = startMs + sizeMs
    const state = windowState(endMs, model.watermarkMs, merged)
    return {
      ...provenanceOf(model),
      key: labelled(dimensions, key),
      startMs,
      endMs,
      resolution: input.resolution,
      measures: merged.figures(complete),
      state,
      revision: merged.revision,
      corrections: correctionsOf(state, merged),
      events: merged.events,
      fingerprint: merged.fingerprint
    }
  })

/** The window as it is, or null when it has no data. */
export const window = (input: WindowInput, tenantId: string): Effect.Effect<WindowAnswer | null, QueryError, ReadModelStore> =>
  Effect.scoped(Effect.flatMap(openModel(input.projection, tenantId), (model) => windowOf(model, input)))
