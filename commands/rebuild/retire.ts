/** Ends the ways back: after its time on standby, or once a later one has taken its place, a generation that is not served is dropped. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationId } from "@tidemark/domain/ports/ReadModelStore"
import { decideReplaced, decideRetire } from "@tidemark/domain/settings/rebuild/decide"
import type { Rebuild } from "@tidemark/domain/settings/rebuild/evolve"
import type { Act } from "../settings/decideAndAppend.ts"
import { changeRebuilds, loadRebuilds } from "./aggregate.ts"
import { followPointer } from "./cutOver.ts"
import { standbyOf } from "./standbyHalt.ts"

/**
 * Generations of retired rebuilds that are stored and neither served nor on standby: no way leads to them any more. None
 * while the stream does not tell of the pointer's last move: what is on standby is not known then.
 */
const leftOf = Effect.fn("leftOf")(function* (projection: string, rebuilds: readonly Rebuild[]) {
  const retired = rebuilds.filter(({ status }) => status === "retired")
  if (retired.length === 0) return []
  const store = yield* ReadModelStore
  const { pointer, records } = yield* Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => Effect.all({ pointer: snapshot.pointer(projection), records: snapshot.generations(projection) })))
  const told = rebuilds.reduce((latest, { pointerVersion }) => Math.max(latest, pointerVersion ?? 0), 0)
  if (pointer?.pointerVersion !== told) return []
  const wanted = new Set([pointer.generation, ...rebuilds.map(standbyOf)])
  const over = new Set(retired.flatMap(({ generation, fromGeneration }) => [generation, fromGeneration]))
  return records.filter(({ generation, isDropped }) => isDropped !== true && over.has(generation) && !wanted.has(generation)).map(({ generation }) => generation)
})

/** Answers false for one to which the pointer has moved at this very moment: it stays. */
const drop = Effect.fn("drop")(function* (id: GenerationId) {
  const store = yield* ReadModelStore
  yield* Effect.catchTag(store.follow(id, false), "GenerationMissingError", () => Effect.void)
  return yield* store.dropGeneration(id).pipe(Effect.as(true), Effect.catchTag("GenerationInUseError", () => Effect.succeed(false)))
})

/**
 * Drops what has been on standby for `standbyMs` since the last cut-over or rollback, and at once what a later rebuild has
 * replaced; answers the generations dropped. Repeatable: one that was interrupted is finished.
 */
export const retireStandby = Effect.fn("retireStandby")(function* (projection: string, standbyMs: number, act: Act) {
  yield* followPointer(projection, act)
  yield* changeRebuilds(projection, act, decideReplaced)
  const nowMs = yield* Clock.currentTimeMillis
  const rebuilds = yield* loadRebuilds(projection)
  const dropped: number[] = []
  for (const generation of yield* leftOf(projection, rebuilds)) if (yield* drop({ projection, generation })) dropped.push(generation)
  for (const rebuild of rebuilds) {
    const generation = standbyOf(rebuild)
    if (generation === undefined || nowMs < (rebuild.finishedAtMs ?? nowMs) + standbyMs || !(yield* drop({ projection, generation }))) continue
    yield* changeRebuilds(projection, act, (state, at) => decideRetire(state, rebuild.rebuildId, at))
    dropped.push(generation)
  }
  return dropped
})
