/** A way back or forth that nothing will open: the generation it leads to has halted. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { haltIn } from "@tidemark/domain/ports/projectionPause"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationId } from "@tidemark/domain/ports/ReadModelStore"
import type { Rebuild } from "@tidemark/domain/settings/rebuild/evolve"

/** The generation is behind the served one and has halted, for that reason: it will not catch up. Build another one. */
export class StandbyHaltedError extends Schema.TaggedError<StandbyHaltedError>()("StandbyHaltedError", { projection: Schema.String, generation: Schema.Int, haltCode: Schema.String, detail: Schema.String }) {}

/** Why the generation has halted; undefined while it goes on, or is only paused. */
export const haltOf = Effect.fn("haltOf")(function* (id: GenerationId) {
  const halts = yield* Effect.scoped(Effect.flatMap((yield* ReadModelStore).snapshot, (snapshot) => snapshot.halts))
  return haltIn(halts, id)
})

/** The side of a finished rebuild that is not served; undefined while there is none. */
export const standbyOf = ({ status, generation, fromGeneration }: Rebuild): number | undefined => (status === "active" ? fromGeneration : status === "standby" ? generation : undefined)

/** Why what stands by of the rebuild has halted; undefined where nothing stands by, or it goes on. */
export const standbyHalt = Effect.fn("standbyHalt")(function* (rebuild: Rebuild) {
  const generation = standbyOf(rebuild)
  return generation === undefined ? undefined : yield* haltOf({ projection: rebuild.projection, generation })
})
