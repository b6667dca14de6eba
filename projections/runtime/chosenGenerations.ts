/**
 * Which generations the owner of a lane folds: the active ones and those that are followed (a shadow that has caught up,
 * a standby), all from one reader and in one transaction per flush; or one generation that is being built.
 * Rules: docs/semantics.md §4, §8.
 */
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationId, GenerationRecord, ReadSnapshot } from "@tidemark/domain/ports/ReadModelStore"
import { pausedIn } from "@tidemark/domain/ports/projectionPause"
import * as Effect from "effect/Effect"

/** "served": active and followed ones of projections that nobody has paused, as they change. Else the one that is being built, which nobody else folds. */
export type Choice = "served" | GenerationId

const servedIds = Effect.fn("servedIds")(function* (snapshot: ReadSnapshot) {
  const active = (yield* snapshot.pointers).map(({ projection, generation }): GenerationId => ({ projection, generation }))
  const followed = (yield* snapshot.following).filter((one) => !active.some((other) => other.projection === one.projection && other.generation === one.generation))
  const paused = pausedIn(yield* snapshot.halts)
  return [...active, ...followed].filter(({ projection }) => !paused.has(projection))
})

/** Records of the chosen generations, the active ones first. */
export const chosenGenerations = (choice: Choice) =>
  Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* (yield* ReadModelStore).snapshot
    const records: GenerationRecord[] = []
    for (const { projection, generation } of choice === "served" ? yield* servedIds(snapshot) : [choice]) {
      const record = yield* snapshot.generation(projection, generation)
      if (record !== undefined && record.isDropped !== true) records.push(record)
    }
    return records
  }))

/** The same text for the same choice, whichever of them is active. */
export const choiceText = (ids: readonly GenerationId[]): string => ids.map(({ projection, generation }) => `${generation} ${projection}`).sort().join("\n")

/** Text of what is to be folded now. A generation that is being built never changes. */
export const currentChoice = (choice: Choice) =>
  choice === "served"
    ? Effect.scoped(Effect.gen(function* () { return choiceText(yield* servedIds(yield* (yield* ReadModelStore).snapshot)) }))
    : Effect.succeed(choiceText([choice]))
