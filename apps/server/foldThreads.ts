/** The lanes of a generation that is built, shared out among threads: no row or digest depends on how many there are. */
import { FoldingEndedError, foldHere } from "@tidemark/replay/foldHere"
import type { Fold, Folding } from "@tidemark/replay/foldHere"
import * as Effect from "effect/Effect"
import type { StartCheck } from "./checkThread.ts"

/** What a thread holds is flushed before it ends, ms. */
const FLUSH_MS_MAX = 60_000

/** Shares of the lanes, by turns; no more of them than there are lanes. */
const sharesOf = (lanes: readonly number[], threads: number): readonly (readonly number[])[] => {
  const count = Math.max(1, Math.min(threads, lanes.length))
  return Array.from({ length: count }, (_, share) => lanes.filter((_lane, at) => at % count === share))
}

/** One share in a thread of its own, until it was stopped and has flushed. */
const foldElsewhere = Effect.fn("foldElsewhere")(function* (startCheck: StartCheck, { id, lanes, stop, pace, halted }: Folding) {
  const told = { isStopping: false, end: (): Promise<unknown> => Promise.resolve() }
  const ended = Effect.callback<string | undefined>((resume) => {
    const end = startCheck({ kind: "fold", id, lanes, pace }, {
      message: (message) => void (message.kind === "halted" && halted(message)),
      exit: (cause) => resume(Effect.succeed(cause))
    })
    told.end = () => end(FLUSH_MS_MAX)
    return Effect.promise(told.end)
  })
  const stopping = Effect.promise(() => {
    told.isStopping = true
    return told.end()
  })
  const cause = yield* Effect.raceFirst(ended, Effect.andThen(stop, Effect.andThen(stopping, Effect.never)))
  if (cause !== undefined || !told.isStopping) return yield* new FoldingEndedError({ detail: `the thread of lanes ${lanes.join(", ")} ended: ${cause ?? "unasked"}` })
})

/** Folds the first share in the calling thread, and each of the others in a thread of its own. */
export const foldInThreads = (startCheck: StartCheck, threads: number): Fold => (folding) => {
  const [own = [], ...others] = sharesOf(folding.lanes, threads)
  const elsewhere = others.map((lanes) => foldElsewhere(startCheck, { ...folding, lanes }))
  return Effect.all([foldHere({ ...folding, lanes: own }), ...elsewhere], { concurrency: "unbounded", discard: true })
}
