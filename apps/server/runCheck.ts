/** What a checking thread does. */
import type { EventLog } from "@tidemark/domain/ports/EventLog"
import type { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import type { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { carryOut } from "@tidemark/replay/carryOut"
import { foldHere } from "@tidemark/replay/foldHere"
import { verify } from "@tidemark/replay/verify"
import { audit } from "@tidemark/replay/verifyAudit"
import type { MessagePort } from "node:worker_threads"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { STOP } from "./checkThread.ts"
import type { CheckTask, FromCheck, StartCheck } from "./checkThread.ts"
import { foldInThreads } from "./foldThreads.ts"
import { journalOver } from "./journalOver.ts"
import { tenantsOver } from "./tenantsOver.ts"

/** A generation is built up to this many records behind the end of the log; its lanes' owners fold the rest. */
const LAG_MAX = 1_000n

/** Differing windows that are listed and stored, over all tenants, about 1 KB each; all are counted. */
const DIFFERENCES_LISTED = 5_000

/**
 * Ends with the report of a verification, when a rebuild waits for a person, or when it is told to stop; an audit ends in
 * no other way, and a share of a rebuild flushes first. `startCheck`: how a rebuild gets more threads.
 */
export const runCheck = async <E>(port: MessagePort, task: CheckTask, engines: Layer.Layer<EventLog | ReadModelStore | PartitionIndex, E>, startCheck: StartCheck): Promise<void> => {
  const tell = (message: FromCheck) => port.postMessage(message)
  const stopped = new Promise<void>((resolve) => void port.on("message", (message) => message === STOP && resolve()))
  const asked = Effect.promise(() => stopped)
  const work = (): Effect.Effect<unknown, unknown, EventLog | ReadModelStore | PartitionIndex> => {
    switch (task.kind) {
      case "audit":
        return audit({ seed: task.seed, tenants: tenantsOver(port), audited: (figures, difference) => tell({ kind: "audited", figures, difference }) })
      case "verify":
        return Effect.map(verify({ full: task.full, tenants: task.tenants, progress: (line) => tell({ kind: "progress", line }) }), (report) => tell({ kind: "report", report }))
      case "rebuild":
        return carryOut({
          journal: journalOver(port), lanes: task.lanes, tenants: tenantsOver(port), lagMax: LAG_MAX, differencesMax: DIFFERENCES_LISTED,
          pace: task.pace, fold: foldInThreads(startCheck, task.threads)
        })
      case "fold":
        return foldHere({ id: task.id, lanes: task.lanes, pace: task.pace, stop: asked, halted: ({ code, detail }) => tell({ kind: "halted", code, detail }) })
    }
  }
  const worked = Effect.provide(work(), engines)
  await Effect.runPromise(task.kind === "fold" ? worked : Effect.raceFirst(worked, asked))
  port.close()
}
