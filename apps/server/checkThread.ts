/**
 * Verification, audit and rebuilds run in threads of their own: they read the stores beside the server and never hold it up.
 * A thread is started with plain data and answers with plain data.
 */
import { inspect } from "node:util"
import { Worker } from "node:worker_threads"
import type { Rebuild } from "@tidemark/domain/settings/rebuild/evolve"
import type { GenerationId } from "@tidemark/domain/ports/ReadModelStore"
import type { PaceMemory } from "@tidemark/replay/pace"
import type { DifferenceEvent } from "@tidemark/domain/settings/rebuild/differences"
import type { Parity } from "@tidemark/replay/parity"
import type { AuditFigures } from "@tidemark/replay/verifyAudit"
import type { VerifyReport } from "@tidemark/replay/verifyReport"

/** `seed`: of the audit's choice of windows. `threads`: that fold a rebuild, at most. */
export type CheckTask =
  | { readonly kind: "verify"; readonly full: boolean; readonly tenants: readonly string[] }
  | { readonly kind: "audit"; readonly seed: number }
  | { readonly kind: "rebuild"; readonly lanes: readonly number[]; readonly threads: number; readonly pace: PaceMemory }
  /** A share of the lanes of a rebuild, for the thread of that rebuild. */
  | { readonly kind: "fold"; readonly id: GenerationId; readonly lanes: readonly number[]; readonly pace: PaceMemory }

/** What a rebuilding thread asks of its journal, which the main thread keeps. */
export type JournalCall =
  | { readonly call: "load" }
  | { readonly call: "moved"; readonly to: "preparing" | "building" | "catching_up" | "verifying" }
  | { readonly call: "listed"; readonly comparisonId: string; readonly tenantId: string; readonly event: DifferenceEvent; readonly after: number }
  | { readonly call: "verified"; readonly comparisonId: string; readonly found: Parity }
  | { readonly call: "failed"; readonly error: string }

/** The answer to the call of this number: the rebuild as it is now, or why the journal does not answer. */
export type JournalAnswer = { readonly number: number } & ({ readonly rebuild: Rebuild } | { readonly cause: string })

/** The tenants that the main thread knows by then. */
export interface TenantsAnswer {
  readonly tenants: readonly string[]
}

/** `tenants`: asks for them, since a thread that runs for long sees others come. */
export type FromCheck =
  | { readonly kind: "tenants" }
  | { readonly kind: "progress"; readonly line: string }
  | { readonly kind: "report"; readonly report: VerifyReport }
  | { readonly kind: "audited"; readonly figures: AuditFigures; readonly difference: string | undefined }
  | { readonly kind: "halted"; readonly code: string; readonly detail: string }
  | { readonly kind: "journal"; readonly number: number; readonly call: JournalCall }

/** What a thread is started with. `settings` is what its entry opens the engines from. */
export interface CheckStart {
  readonly settings: unknown
  readonly task: CheckTask
}

export interface CheckEvents {
  readonly message: (message: FromCheck, answer: (answer: JournalAnswer | TenantsAnswer) => void) => void
  /** Ended; `cause` is undefined when it ended by itself. */
  readonly exit: (cause: string | undefined) => void
}

/** To a checking thread: end where you are. */
export const STOP = "stop"

/** Ending a thread from outside while it opens or reads LMDB aborts the whole process: it gets this long to end by itself, ms. */
const STOP_MS_MAX = 5_000

/** Starts a task; answers the way to end it early, which resolves once it has ended, from outside after `stopMsMax`. */
export type StartCheck = (task: CheckTask, events: CheckEvents) => (stopMsMax?: number) => Promise<unknown>

/** Threads that run `entry`, a module that calls `runCheck`; `settings` must be plain data. `execArgv`: Node's flags for them; those of the process when absent. */
export const checksOf = (entry: URL, settings: unknown, execArgv?: string[]): StartCheck => (task, { message, exit }) => {
  let cause: string | undefined
  const worker = new Worker(entry, { workerData: { settings, task } satisfies CheckStart, name: task.kind, ...(execArgv === undefined ? {} : { execArgv }) })
  worker.on("message", (said: FromCheck) => message(said, (answer) => worker.postMessage(answer)))
  worker.on("error", (error: unknown) => (cause = error instanceof Error ? error.message : inspect(error)))
  const ended = new Promise<void>((resolve) => {
    worker.on("exit", (code) => {
      exit(cause ?? (code === 0 ? undefined : `exit code ${code}`))
      resolve()
    })
  })
  return async (stopMsMax = STOP_MS_MAX) => {
    worker.postMessage(STOP)
    const timer = setTimeout(() => void worker.terminate(), stopMsMax)
    await ended
    clearTimeout(timer)
  }
}
