/** What a checking thread does. */
import type { EventLog } from "@tidemark/domain/ports/EventLog"
import type { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { verify } from "@tidemark/replay/verify"
import { audit } from "@tidemark/replay/verifyAudit"
import type { MessagePort } from "node:worker_threads"
import { Effect } from "effect"
import type { Layer } from "effect"
import { STOP } from "./checkThread.ts"
import type { CheckTask, FromCheck } from "./checkThread.ts"

/** Ends with the report of a verification, or when it is told to stop; an audit ends in no other way. */
export const runCheck = async <E>(port: MessagePort, task: CheckTask, engines: Layer.Layer<EventLog | ReadModelStore, E>): Promise<void> => {
  const tell = (message: FromCheck) => port.postMessage(message)
  const stopped = new Promise<void>((resolve) => void port.on("message", (message) => message === STOP && resolve()))
  const work = task.kind === "audit"
    ? audit({ seed: task.seed, audited: (figures, difference) => tell({ kind: "audited", figures, difference }) })
    : Effect.map(verify({ full: task.full, tenants: task.tenants, progress: (line) => tell({ kind: "progress", line }) }), (report) => tell({ kind: "report", report }))
  await Effect.runPromise(Effect.raceFirst(Effect.provide(work, engines), Effect.promise(() => stopped)))
  port.close()
}
