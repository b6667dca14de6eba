/** Drops rejected events that have been kept long enough. */
import { RejectedLog } from "@tidemark/domain/ports/RejectedLog"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

const EVERY_MS = 3_600_000

/** At once and then every hour, until it is interrupted. What fails is tried again an hour later. */
export const rejectedRetention: Effect.Effect<never, never, RejectedLog> = Effect.gen(function* () {
  const log = yield* RejectedLog
  const step = Effect.flatMap(Clock.currentTimeMillis, log.prune)
  const survive = ({ cause }: { readonly cause: unknown }) => Effect.logWarning("old rejected events were not dropped", cause)
  return yield* Effect.forever(Effect.andThen(Effect.catch(Effect.asVoid(step), survive), Effect.sleep(EVERY_MS)))
})
