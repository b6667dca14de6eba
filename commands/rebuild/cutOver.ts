/**
 * Moves a projection to its rebuilt generation, and back. The pointer in the read models is the truth: what the event
 * stream says follows it, and is put right by `followPointer` when a process ends between the two.
 */
import * as Effect from "effect/Effect"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { Pointer } from "@tidemark/domain/ports/ReadModelStore"
import { RebuildMissingError, RebuildStatusError, decideCutOver, decideMoved, decideMovedBack } from "@tidemark/domain/settings/rebuild/decide"
import type { Act } from "../settings/decideAndAppend.ts"
import { changeRebuilds, loadRebuilds } from "./aggregate.ts"
import type { RebuildPlace } from "./steerRebuild.ts"

const pointerOf = Effect.fn("pointerOf")(function* (projection: string) {
  const store = yield* ReadModelStore
  return yield* Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => snapshot.pointer(projection)))
})

/** Moves the pointer to the generation; nothing to do when it is there. */
const moveTo = Effect.fn("moveTo")(function* (projection: string, generation: number) {
  const store = yield* ReadModelStore
  const pointer = yield* pointerOf(projection)
  if (pointer?.generation === generation) return pointer
  const moved: Pointer = yield* store.flip(projection, generation, pointer?.pointerVersion ?? 0)
  return moved
})

/**
 * Fails with ParityDiffersError while the differences are neither none nor accepted, with TargetBehindError while the
 * new generation has not folded what the old one has; then nothing has moved.
 */
export const cutOver = Effect.fn("cutOver")(function* ({ projection, rebuildId }: RebuildPlace, acceptNote: string | undefined, act: Act) {
  yield* changeRebuilds(projection, act, (state, nowMs) => decideCutOver(state, rebuildId, acceptNote, nowMs))
  const rebuild = (yield* loadRebuilds(projection)).find((one) => one.rebuildId === rebuildId)
  if (rebuild === undefined) return yield* new RebuildMissingError({ rebuildId })
  const pointer = yield* moveTo(projection, rebuild.generation)
  yield* changeRebuilds(projection, act, (state, nowMs) => decideMoved(state, rebuildId, pointer.pointerVersion, nowMs))
  return pointer
})

/** Moves the pointer back to the generation that the active rebuild replaced. */
export const rollBack = Effect.fn("rollBack")(function* (projection: string, act: Act) {
  const served = yield* pointerOf(projection)
  // An earlier rebuild, whose generation was replaced in turn, is no way back.
  const rebuild = (yield* loadRebuilds(projection)).findLast(({ status, generation }) => status === "active" && generation === served?.generation)
  if (rebuild === undefined) return yield* new RebuildStatusError({ rebuildId: "", status: "none is active", wanted: "active" })
  const pointer = yield* moveTo(projection, rebuild.fromGeneration)
  yield* changeRebuilds(projection, act, (state, nowMs) => decideMovedBack(state, rebuild.rebuildId, pointer.pointerVersion, nowMs))
  return pointer
})

/** Has the event stream say what the pointer says, after a process ended between the two. */
export const followPointer = Effect.fn("followPointer")(function* (projection: string, act: Act) {
  const pointer = yield* pointerOf(projection)
  const rebuild = (yield* loadRebuilds(projection)).at(-1)
  if (pointer === undefined || rebuild === undefined) return
  const { rebuildId, status, generation, fromGeneration } = rebuild
  if (pointer.generation === generation && (status === "ready" || status === "standby")) yield* changeRebuilds(projection, act, (state, nowMs) => decideMoved(state, rebuildId, pointer.pointerVersion, nowMs))
  if (pointer.generation === fromGeneration && status === "active") yield* changeRebuilds(projection, act, (state, nowMs) => decideMovedBack(state, rebuildId, pointer.pointerVersion, nowMs))
})
