/** What the process and its projector threads tell each other. Plain data, copied between threads. */
import type { FlushReport, RereadReport } from "@tidemark/projections/runtime/observer"
import type { Halt } from "@tidemark/domain/ports/ReadModelStore"

/** An engine did not answer; the lane goes on from its checkpoint after `retryInMs`. */
export interface LaneFailure {
  readonly lane: number
  readonly cause: string
  readonly retryInMs: number
}

/** `appended`: the log grew. `stop`: flush, save the index, end. */
export type ToWorker = { readonly kind: "appended" } | { readonly kind: "stop" }

export type FromWorker =
  | { readonly kind: "committed"; readonly reports: readonly FlushReport[] }
  | { readonly kind: "halted"; readonly halt: Halt }
  | { readonly kind: "reread"; readonly reports: readonly RereadReport[] }
  | { readonly kind: "retrying"; readonly failure: LaneFailure }
  /** Another owner has taken a lane: what was not committed is dropped, and the thread ends next. */
  | { readonly kind: "fenced"; readonly detail: string }
  /** Flushed and checkpointed; the thread ends next. */
  | { readonly kind: "stopped" }

/** What a projector thread is started with. `settings` is what its entry opens the engines from. */
export interface WorkerStart {
  readonly settings: unknown
  readonly lanes: readonly number[]
}
