/** Tells when the log has grown: a log that announces its appends, and a bell that rings at most once in a while. */
import type { EventLogShape } from "@tidemark/domain/ports/EventLog"
import * as Effect from "effect/Effect"

/** The same log; `onAppended` is called after every append, also after one whose outcome is unknown. */
export const announceAppends = (log: EventLogShape, onAppended: () => void): EventLogShape => ({
  ...log,
  append: (batch) => Effect.ensuring(log.append(batch), Effect.sync(onAppended))
})

/** Rings at once, then at most every `everyMs`; the last call is never lost. `stop` forgets a ring that is still due. */
export const makeBell = (everyMs: number, ring: () => void): { readonly pull: () => void; readonly stop: () => void } => {
  let timer: NodeJS.Timeout | undefined
  let due = false
  const rest = () => {
    timer = setTimeout(() => {
      timer = undefined
      if (!due) return
      due = false
      ring()
      rest()
    }, everyMs)
  }
  return {
    pull: () => {
      if (timer !== undefined) due = true
      else {
        ring()
        rest()
      }
    },
    stop: () => {
      clearTimeout(timer)
      due = false
    }
  }
}
