/** The served generation may stand still: a rebuild is the repair then, so it is not waited for. Rules: docs/semantics.md §8. */
import { pausedIn } from "@tidemark/domain/ports/projectionPause"
import type { GenerationId, Halt, ReadSnapshot } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"

/**
 * Why the generation does not go on by itself; undefined where it does. One whose projection is paused goes on when
 * somebody resumes it, halted or not: it is waited for.
 */
export const haltOf = Effect.fn("haltOf")(function* (snapshot: ReadSnapshot, { projection, generation }: GenerationId) {
  const halts = yield* snapshot.halts
  if (pausedIn(halts).has(projection)) return undefined
  return halts.find((one): one is Halt => one.projection === projection && one.generation === generation)
})
