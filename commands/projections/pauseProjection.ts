/** Stops a live projection where it stands, and lets it go on. It loses nothing: what comes meanwhile is folded afterwards. */
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { PAUSED, pauseOf, pausedIn } from "@tidemark/domain/ports/projectionPause"
import { InvalidSettingError } from "@tidemark/domain/settings/streams"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Act } from "../settings/decideAndAppend.ts"

/** Nothing of this name is served. */
export class ProjectionMissingError extends Schema.TaggedError<ProjectionMissingError>()("ProjectionMissingError", { projection: Schema.String }) {}

const TEXT_LENGTH_MAX = 500

/** Whether it is paused now. */
const look = Effect.fn("lookAtProjection")(function* (projection: string) {
  const store = yield* ReadModelStore
  return yield* Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* store.snapshot
    if ((yield* snapshot.pointer(projection)) === undefined) return yield* new ProjectionMissingError({ projection })
    return pausedIn(yield* snapshot.halts).has(projection)
  }))
})

/** The owners of the lanes flush what they hold and leave it within a second. Paused already: it stays as it was said first. */
export const pauseProjection = Effect.fn("pauseProjection")(function* (projection: string, { actor, reason }: Act) {
  if (reason.trim() === "" || reason.length > TEXT_LENGTH_MAX) return yield* new InvalidSettingError({ pointer: "/reason", detail: `expected 1 to ${TEXT_LENGTH_MAX} characters` })
  if (yield* look(projection)) return
  yield* (yield* ReadModelStore).recordHalt({ ...pauseOf(projection), code: PAUSED, detail: `by ${actor}: ${reason}`, atMs: yield* Clock.currentTimeMillis })
})

/** It is folded from its checkpoints within a second. Nothing to do where it is not paused. */
export const resumeProjection = Effect.fn("resumeProjection")(function* (projection: string) {
  if (yield* look(projection)) yield* (yield* ReadModelStore).clearHalt(pauseOf(projection))
})
