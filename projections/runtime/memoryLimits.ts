/** What a lane may hold in memory: after the read that reaches a limit it flushes. No number depends on them. */
import { READ_BYTES_MAX } from "./openLane.ts"

export interface MemoryLimits {
  /** Of one read of the log over all partitions of the lane; of each at least one record is read. */
  readonly readBytesMax: number
  /** Of the log, uncommitted. */
  readonly flushBytesMax: number
  /** Base rows, uncommitted, over all generations. */
  readonly flushRowsMax: number
}

/** Those of a lane that is told none. */
export const MEMORY_LIMITS: MemoryLimits = { readBytesMax: READ_BYTES_MAX, flushBytesMax: 64 << 20, flushRowsMax: 50_000 }
