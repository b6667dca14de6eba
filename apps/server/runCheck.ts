/** What a checking thread does. */
import type { EventLog } from "@tidemark/domain/ports/EventLog"
import type { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { verify } from "@tidemark/replay/verify"
import { audit } from "@tidemark/replay/verifyAudit"
import type { MessagePort } from "node:worker_threads"
import { Effect } from "effect"
import type { Layer } from "effect"
import type { CheckTask, FromCheck } from "./checkThread.ts"

/** Ends with the report of a verification; never, when the task is the audit. */
export const runCheck = async <E>(port: MessagePort, task: CheckTask, engines: Layer.Layer<EventLog | ReadModelStore, E>): Promise<void> => {
  const tell = (message: FromCheck) => port.postMessage(message)
  if (task.kind === "audit") return Effect.runPromise(audit({ seed: task.seed, audited: (figures, difference) => tell({ kind: "audited", figures, difference }) }).pipe(Effect.provide(engines)))
  const { full, tenants } = task
  const report = await Effect.runPromise(verify({ full, tenants, progress: (line) => tell({ kind: "progress", line }) }).pipe(Effect.provide(engines)))
  tell({ kind: "report", report })
}
