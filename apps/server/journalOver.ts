/** The journal of a rebuild as its thread has it: every call goes to the main thread, which keeps the event store. */
import type { Rebuild } from "@tidemark/domain/settings/rebuild/evolve"
import { JournalError } from "@tidemark/replay/carryOut"
import type { Journal } from "@tidemark/replay/carryOut"
import type { MessagePort } from "node:worker_threads"
import * as Effect from "effect/Effect"
import { STOP } from "./checkThread.ts"
import type { FromCheck, JournalAnswer, JournalCall, TenantsAnswer } from "./checkThread.ts"
import { journalOf } from "./rebuildJournal.ts"

/** Calls are numbered, so that answers find the one who asked. */
export const journalOver = (port: MessagePort): Journal => {
  const waiting = new Map<number, (answer: JournalAnswer) => void>()
  let calls = 0
  port.on("message", (said: JournalAnswer | TenantsAnswer | typeof STOP) => {
    if (said === STOP || "tenants" in said) return
    waiting.get(said.number)?.(said)
    waiting.delete(said.number)
  })
  const ask = (call: JournalCall): Effect.Effect<Rebuild, JournalError> =>
    Effect.callback((resume) => {
      calls += 1
      const number = calls
      waiting.set(number, (answer) => resume("rebuild" in answer ? Effect.succeed(answer.rebuild) : Effect.fail(new JournalError({ cause: answer.cause }))))
      port.postMessage({ kind: "journal", number, call } satisfies FromCheck)
      return Effect.sync(() => void waiting.delete(number))
    })
  return journalOf(ask)
}
