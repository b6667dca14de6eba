/** Whether lanes have a newer owner in the store: what a sleeper's commit is refused by. */
import { setTimeout as sleep } from "node:timers/promises"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"

const LOOK_EVERY_MS = 200

/** Epochs of these lanes in the served generations, by their names. */
const epochsOf = (lanes: readonly number[]) =>
  Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* (yield* ReadModelStore).snapshot
    const epochs = new Map<string, bigint>()
    for (const { projection, generation } of yield* snapshot.pointers) {
      for (const { lane, epoch } of yield* snapshot.checkpoints(projection, generation)) if (lanes.includes(lane.lane)) epochs.set(`${projection}/${generation}/${lane.lane}`, epoch)
    }
    return epochs
  }))

/** Completes once each of the lanes was taken over after the call, in every served generation; true unless `maxMs` pass first. */
export const takenOver = Effect.fn("takenOver")(function* (lanes: readonly number[], maxMs: number) {
  const untilMs = performance.now() + maxMs
  const before = yield* epochsOf(lanes)
  for (;;) {
    const now = yield* epochsOf(lanes)
    if ([...before].every(([name, epoch]) => (now.get(name) ?? epoch) > epoch)) return true
    if (performance.now() > untilMs) return false
    yield* Effect.promise(() => sleep(LOOK_EVERY_MS))
  }
})
