/** How much of what ingest refused is kept. Apart from the port, so that reading a configuration loads nothing else. */

/** How much is kept; the entries received first are dropped first, and one that was dropped is as if it had never been. */
export interface RejectedLimits {
  /** Of all entries of one tenant, as they are stored. Every process that puts may exceed it by a tenth. */
  readonly bytesMax: number
  /** What was received longer ago than this is dropped when `prune` is called, ms. */
  readonly keepMs: number
}

const DAY_MS = 86_400_000

/** Limits of a log that is opened without any. */
export const REJECTED_LIMITS: RejectedLimits = { bytesMax: 256 << 20, keepMs: 30 * DAY_MS }
