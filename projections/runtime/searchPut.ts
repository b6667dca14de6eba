/** Puts documents until each of them is resolved: stored, superseded, or kept aside as refused. */
import type { SearchUnavailableError } from "@tidemark/domain/ports/SearchIndex"
import type { PutOutcome, WindowDocument, WindowIndexShape, WindowModel } from "@tidemark/domain/ports/WindowIndex"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"

/** The index holds another content under the same revision. Never overwrite it: one of the two is wrong. */
export class SearchConflictError extends Schema.TaggedError<SearchConflictError>()("SearchConflictError", {
  projection: Schema.String,
  generation: Schema.Int,
  detail: Schema.String
}) {}

const BACKOFF_FIRST_MS = 100
const BACKOFF_MAX_MS = 10_000

/** Doubles up to 10 s, by half of it at random, so that several publishers do not come back together. */
const backoff = (attempt: number): Effect.Effect<void> =>
  Effect.flatMap(Random.next, (part) => Effect.sleep(Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(attempt, 10)) * (0.5 + part / 2)))

interface Refused {
  readonly document: WindowDocument
  readonly reason: string
}

interface Sorted {
  readonly again: readonly WindowDocument[]
  readonly cause: string
  readonly refused: readonly Refused[]
  readonly conflict: string | undefined
}

const sortOutcomes = (documents: readonly WindowDocument[], outcomes: readonly PutOutcome[]): Sorted => {
  const again: WindowDocument[] = []
  const refused: Refused[] = []
  let cause = ""
  let conflict: string | undefined
  for (const [index, document] of documents.entries()) {
    const outcome = outcomes[index] ?? { kind: "again", cause: "no outcome" }
    if (outcome.kind === "again") {
      again.push(document)
      cause = outcome.cause
    } else if (outcome.kind === "refused") refused.push({ document, reason: outcome.reason })
    else if (outcome.kind === "conflict") conflict ??= outcome.detail
  }
  return { again, cause, refused, conflict }
}

/** Answers the number of documents that were refused and kept aside. `retrying` hears why some have to be sent again. */
export const putUntilResolved = (
  index: WindowIndexShape, model: WindowModel, documents: readonly WindowDocument[], retrying: (cause: string, nowMs: number) => void
): Effect.Effect<number, SearchUnavailableError | SearchConflictError> =>
  Effect.gen(function* () {
    let left = documents
    let refused = 0
    for (let attempt = 0; left.length > 0; attempt++) {
      const sorted = sortOutcomes(left, yield* index.put(model, left))
      if (sorted.refused.length > 0) yield* index.keepRefused(model, sorted.refused)
      refused += sorted.refused.length
      if (sorted.conflict !== undefined) return yield* new SearchConflictError({ projection: model.projection, generation: model.generation, detail: sorted.conflict })
      left = sorted.again
      if (left.length === 0) break
      retrying(sorted.cause, yield* Clock.currentTimeMillis)
      yield* backoff(attempt)
    }
    return refused
  })
