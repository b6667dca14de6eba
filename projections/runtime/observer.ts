/** What the runtime tells whoever runs it, as plain data: counts for metrics, wake-ups for the outbox. */
import type { Halt, LaneId } from "@tidemark/domain/ports/ReadModelStore"

/** One commit of one generation in one lane. */
export interface FlushReport {
  readonly lane: LaneId
  /** From the start of the merge to the end of the commit, ms. */
  readonly durationMs: number
  /** Records of the log, events or not. */
  readonly records: number
  readonly rows: number
  readonly lateEvents: number
  readonly deadLetters: number
}

/** What a lane reads again of one projection after it was taken over. */
export interface RereadReport {
  readonly projection: string
  /** Of the log, events or not. */
  readonly records: number
}

export interface RuntimeObserver {
  readonly committed: (reports: readonly FlushReport[]) => void
  readonly halted: (halt: Halt) => void
  /** An engine did not answer; the lane goes on from its checkpoint after `retryInMs`. */
  readonly retrying: (failure: { readonly lane: number; readonly cause: string; readonly retryInMs: number }) => void
  /** A lane was taken over and reads these records again; never called when there are none. */
  readonly reread?: (reports: readonly RereadReport[]) => void
}
