/** Pauses, resumes, slows, compares again and aborts a rebuild. The executor notices and acts on it. */
import * as Effect from "effect/Effect"
import { decideAbort, decideCap, decideCompareAgain, decidePause, decideResume } from "@tidemark/domain/settings/rebuild/decide"
import type { Act } from "../settings/decideAndAppend.ts"
import { changeRebuilds } from "./aggregate.ts"

/** Which rebuild of which projection. */
export interface RebuildPlace {
  readonly projection: string
  readonly rebuildId: string
}

export const pauseRebuild = Effect.fn("pauseRebuild")(({ projection, rebuildId }: RebuildPlace, act: Act) => changeRebuilds(projection, act, (state, nowMs) => decidePause(state, rebuildId, nowMs)))

export const resumeRebuild = Effect.fn("resumeRebuild")(({ projection, rebuildId }: RebuildPlace, act: Act) => changeRebuilds(projection, act, (state, nowMs) => decideResume(state, rebuildId, nowMs)))

export const abortRebuild = Effect.fn("abortRebuild")(({ projection, rebuildId }: RebuildPlace, act: Act) => changeRebuilds(projection, act, (state, nowMs) => decideAbort(state, rebuildId, nowMs)))

/** Has a ready rebuild compared once more, as the numbers stand then. */
export const compareAgain = Effect.fn("compareAgain")(({ projection, rebuildId }: RebuildPlace, act: Act) => changeRebuilds(projection, act, (state, nowMs) => decideCompareAgain(state, rebuildId, nowMs)))

/** Events a second that it may fold from now on; null: as many as others leave room for. */
export const capRebuild = Effect.fn("capRebuild")(({ projection, rebuildId }: RebuildPlace, eventsPerSecondMax: number | null, act: Act) =>
  changeRebuilds(projection, act, (state, nowMs) => decideCap(state, rebuildId, eventsPerSecondMax, nowMs)))
