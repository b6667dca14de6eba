/** Ends the way back: after its time on standby the generation that is not served is dropped. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { decideRetire } from "@tidemark/domain/settings/rebuild/decide"
import type { Rebuild } from "@tidemark/domain/settings/rebuild/evolve"
import type { Act } from "../settings/decideAndAppend.ts"
import { changeRebuilds, loadRebuilds } from "./aggregate.ts"
import { followPointer } from "./cutOver.ts"

/** The side of a finished rebuild that is not served; undefined while there is none. */
const standbyOf = ({ status, generation, fromGeneration }: Rebuild): number | undefined => (status === "active" ? fromGeneration : status === "standby" ? generation : undefined)

/**
 * Drops what has been on standby for `standbyMs` since the last cut-over or rollback; answers the generation dropped.
 * Repeatable: one that was interrupted is finished. One to which the pointer moves at this very moment stays.
 */
export const retireStandby = Effect.fn("retireStandby")(function* (projection: string, standbyMs: number, act: Act) {
  yield* followPointer(projection, act)
  const nowMs = yield* Clock.currentTimeMillis
  const rebuild = (yield* loadRebuilds(projection)).findLast((one) => standbyOf(one) !== undefined)
  const generation = rebuild === undefined ? undefined : standbyOf(rebuild)
  if (rebuild === undefined || generation === undefined || nowMs < (rebuild.finishedAtMs ?? nowMs) + standbyMs) return undefined
  const store = yield* ReadModelStore
  yield* Effect.catchTag(store.follow({ projection, generation }, false), "GenerationMissingError", () => Effect.void)
  const isDropped = yield* store.dropGeneration({ projection, generation }).pipe(Effect.as(true), Effect.catchTag("GenerationInUseError", () => Effect.succeed(false)))
  if (!isDropped) return undefined
  yield* changeRebuilds(projection, act, (state, at) => decideRetire(state, rebuild.rebuildId, at))
  return generation
})
