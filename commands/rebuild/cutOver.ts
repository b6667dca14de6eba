/**
 * Moves a projection to its rebuilt generation, and back. The pointer in the read models is the truth: what the event
 * stream says follows it, and is put right by `followPointer` when a process ends between the two.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { pointerTopic } from "@tidemark/domain/ports/hintTopic"
import { PubSub } from "@tidemark/domain/ports/PubSub"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { Pointer } from "@tidemark/domain/ports/ReadModelStore"
import { RebuildMissingError, RebuildStatusError, decideCutOver, decideMoved, decideMovedBack } from "@tidemark/domain/settings/rebuild/decide"
import type { Act } from "../settings/decideAndAppend.ts"
import { changeRebuilds, loadRebuilds } from "./aggregate.ts"
import { StandbyHaltedError, haltOf } from "./standbyHalt.ts"
import type { RebuildPlace } from "./steerRebuild.ts"

const pointerOf = Effect.fn("pointerOf")(function* (projection: string) {
  const store = yield* ReadModelStore
  return yield* Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => snapshot.pointer(projection)))
})

/**
 * Has those who follow the projection look again: until the next record is folded nothing else would. A bus that is away
 * changes nothing: it tells its subscribers to resync when it is back.
 */
const announce = Effect.fn("announce")(function* ({ projection, pointerVersion }: Pointer) {
  yield* Effect.ignore((yield* PubSub).publish(pointerTopic(projection), [{ key: projection, version: String(pointerVersion) }]))
})

/**
 * A generation that stood level when it was compared may fall behind for a moment: the owners of the lanes look twice a
 * second what they are to fold, and a lane is taken over lane by lane. It is waited for so long, ms.
 */
const BEHIND_MS_MAX = 3_000
const BEHIND_EVERY_MS = 50

/** Nothing moves while it is waited; should somebody else move the pointer meanwhile, this flip meets another version. */
const flipOnceLevel = Effect.fn("flipOnceLevel")(function* (projection: string, generation: number, expectedVersion: number) {
  const { flip } = yield* ReadModelStore
  const untilMs = (yield* Clock.currentTimeMillis) + BEHIND_MS_MAX
  for (;;) {
    const flipped = yield* Effect.result(flip(projection, generation, expectedVersion))
    if (Result.isSuccess(flipped)) return flipped.success
    if (flipped.failure._tag !== "TargetBehindError") return yield* Effect.fail(flipped.failure)
    if ((yield* Clock.currentTimeMillis) >= untilMs) {
      // Looked at last: a halt from before a restart is taken back once its lane is taken over.
      const halt = yield* haltOf({ projection, generation })
      return yield* Effect.fail(halt === undefined ? flipped.failure : new StandbyHaltedError({ projection, generation, haltCode: halt.code, detail: halt.detail }))
    }
    yield* Effect.sleep(BEHIND_EVERY_MS)
  }
})

/**
 * Moves the pointer from where it was found to the generation, unless it is there, and says so; again when asked again, as
 * the first word may not have got out. Fails with PointerConflictError when it has moved since it was found.
 */
const moveTo = Effect.fn("moveTo")(function* (projection: string, generation: number, found: Pointer | undefined) {
  const pointer: Pointer = found?.generation === generation ? found : yield* flipOnceLevel(projection, generation, found?.pointerVersion ?? 0)
  yield* announce(pointer)
  return pointer
})

/**
 * Fails with ParityDiffersError while the differences are neither none nor accepted, with RebuildStatusError where the
 * served generation is not the one that it was compared with, with TargetBehindError where the new generation has not
 * folded what the old one has within 3 s, with StandbyHaltedError where it never will because it has halted; then nothing has moved.
 */
export const cutOver = Effect.fn("cutOver")(function* ({ projection, rebuildId }: RebuildPlace, acceptNote: string | undefined, act: Act) {
  // Looked at before the decision: should it move afterwards, the flip meets another version.
  const found = yield* pointerOf(projection)
  yield* changeRebuilds(projection, act, (state, nowMs) => decideCutOver(state, rebuildId, acceptNote, found?.generation, nowMs))
  const rebuild = (yield* loadRebuilds(projection)).find((one) => one.rebuildId === rebuildId)
  if (rebuild === undefined) return yield* new RebuildMissingError({ rebuildId })
  const pointer = yield* moveTo(projection, rebuild.generation, found)
  yield* changeRebuilds(projection, act, (state, nowMs) => decideMoved(state, rebuildId, pointer.pointerVersion, nowMs))
  return pointer
})

/** Moves the pointer back to the generation that the active rebuild replaced. Refused as a cut-over is while either stands in its way. */
export const rollBack = Effect.fn("rollBack")(function* (projection: string, act: Act) {
  const served = yield* pointerOf(projection)
  // An earlier rebuild, whose generation was replaced in turn, is no way back.
  const rebuild = (yield* loadRebuilds(projection)).findLast(({ status, generation }) => status === "active" && generation === served?.generation)
  if (rebuild === undefined) return yield* new RebuildStatusError({ rebuildId: "", status: "none is active", wanted: "active" })
  const pointer = yield* moveTo(projection, rebuild.fromGeneration, served)
  yield* changeRebuilds(projection, act, (state, nowMs) => decideMovedBack(state, rebuild.rebuildId, pointer.pointerVersion, nowMs))
  return pointer
})

/** Has the event stream say what the pointer says, and tells the bus, after a process ended between the two. */
export const followPointer = Effect.fn("followPointer")(function* (projection: string, act: Act) {
  const pointer = yield* pointerOf(projection)
  if (pointer === undefined) return
  for (const { rebuildId, status, generation, fromGeneration, pointerVersion } of yield* loadRebuilds(projection)) {
    if ((pointerVersion ?? 0) >= pointer.pointerVersion) continue
    const isAhead = pointer.generation === generation && ["ready", "standby", "aborted"].includes(status)
    const isBack = pointer.generation === fromGeneration && status === "active"
    if (!isAhead && !isBack) continue
    yield* announce(pointer)
    const decide = isAhead ? decideMoved : decideMovedBack
    yield* changeRebuilds(projection, act, (state, nowMs) => decide(state, rebuildId, pointer.pointerVersion, nowMs))
  }
})
