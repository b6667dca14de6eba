/**
 * The claim of an executor on a rebuild, where processes share the engines: made with an event, made again in time, and
 * lost only to another executor or to the end of its time. Rules: docs/semantics.md §8.
 */
import type { EventStoreUnavailableError } from "@tidemark/domain/ports/EventStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** One that is gone holds a rebuild up for that long; one that only stands still for longer loses time and nothing else. */
export const LEASE_MS = 30_000
/** An event store that did not answer is asked again after this time. */
const RETRY_MS = 1_000

/** What asking for it gave: claimed from now on; claimed before and with more than half of its time left; refused. */
export type Claimed = "anew" | "before" | "refused"

/** Time that a claim is sure to have left: one that is left as it is has half of it. */
const leftMs = (claimed: Exclude<Claimed, "refused">): number => (claimed === "anew" ? LEASE_MS : LEASE_MS / 2)

/**
 * Keeps a claim that was just asked for, as `first` says, while the work runs; ends when it is lost, and answers how. An event store that fails
 * or does not answer takes nothing away before the claim's own time is over: until then nobody else may work.
 */
export const keepClaim = Effect.fn("keepClaim")(function* (first: Exclude<Claimed, "refused">, claim: Effect.Effect<Claimed, EventStoreUnavailableError>) {
  let untilMs = (yield* Clock.currentTimeMillis) + leftMs(first)
  let waitMs = LEASE_MS / 4
  for (;;) {
    yield* Effect.sleep(waitMs)
    const askedMs = yield* Clock.currentTimeMillis
    if (askedMs >= untilMs) return "the event store did not answer until the claim ran out"
    const failed = Effect.succeed("failed" as const)
    const answer = yield* Effect.timeoutOption(Effect.catchTag(claim, "EventStoreUnavailableError", () => failed), untilMs - askedMs)
    const claimed = Option.getOrElse(answer, () => "failed" as const)
    if (claimed === "refused") return "another executor has taken it"
    // What was stored may be from any moment since it was asked.
    if (claimed !== "failed") untilMs = Math.max(untilMs, askedMs + leftMs(claimed))
    waitMs = claimed === "failed" ? Math.max(0, Math.min(RETRY_MS, untilMs - (yield* Clock.currentTimeMillis))) : LEASE_MS / 4
  }
})
