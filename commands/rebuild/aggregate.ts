/** How the rebuilds of a projection are read and changed. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { readRebuildEvent } from "@tidemark/domain/settings/rebuild/events"
import type { RebuildEvent } from "@tidemark/domain/settings/rebuild/events"
import { evolveRebuilds } from "@tidemark/domain/settings/rebuild/evolve"
import type { Rebuilds } from "@tidemark/domain/settings/rebuild/evolve"
import { rebuildStream } from "@tidemark/domain/settings/streams"
import { decideAndAppend, loadAggregate } from "../settings/decideAndAppend.ts"
import type { Act, Aggregate } from "../settings/decideAndAppend.ts"

const aggregateOf = (projection: string): Aggregate<Rebuilds, RebuildEvent> => ({ stream: rebuildStream(projection), read: readRebuildEvent, evolve: evolveRebuilds })

/** The projection's rebuilds, oldest first. */
export const loadRebuilds = Effect.fn("loadRebuilds")(function* (projection: string) {
  return (yield* loadAggregate(aggregateOf(projection))).state?.rebuilds ?? []
})

/** Decides on the stored rebuilds at the present time and appends. */
export const changeRebuilds = Effect.fn("changeRebuilds")(function* <Refusal extends Error>(
  projection: string, act: Act, decide: (state: Rebuilds | undefined, nowMs: number) => readonly RebuildEvent[] | Refusal
) {
  const nowMs = yield* Clock.currentTimeMillis
  return yield* decideAndAppend(aggregateOf(projection), act, (state) => decide(state, nowMs))
})
