/**
 * When a lane flushes. A flush writes hour and day of every key once, however much it covers.
 *
 * A lane that keeps up flushes by the clock, and less often where a flush takes long. One that falls behind waits longer with each flush in a row. One that begins
 * far behind replays, and flushes by work done, so that a slow machine writes no more rows for the same log than a fast
 * one. Always bounded in bytes, rows and time: a crash costs that much replay and no more.
 */
import { MEMORY_LIMITS } from "./memoryLimits.ts"
import type { MemoryLimits } from "./memoryLimits.ts"

/** Least time between two flushes of a lane that keeps up, ms. */
const FLUSH_EVERY_MS = 50
/** Such a lane rests this many times as long as its last flush took: what all lanes write is what the store can take. */
const REST_FACTOR = 3
/** But no longer, ms: a subscriber waits for it. */
const FLUSH_EVERY_MS_MAX = 250
/** A lane that falls behind flushes at least this often, ms: each flush in a row doubles the time to the next. */
const FLUSH_BACKLOG_MS = 500
const FLUSH_BACKLOG_MS_MAX = 4_000
/** A lane that replays flushes at least this often, ms. */
const FLUSH_REPLAY_MS = 10_000
/** A lane that begins with more records than this before it replays, until it has drained once. */
const REPLAY_RECORDS = 50_000

export class FlushSchedule {
  /** Time of the last flush, or of the start, ms. */
  lastMs: number
  /** Of the log, since then. */
  private bytes = 0
  /** Time to the next flush while the lane keeps up, ms. */
  private everyMs = FLUSH_EVERY_MS
  /** Longest time to the next flush while the lane is behind, ms. */
  private behindMs: number
  private readonly limits: MemoryLimits

  /** `behind`: records between where the lane begins and the log's end. */
  constructor(startMs: number, behind: number, limits = MEMORY_LIMITS) {
    this.limits = limits
    this.lastMs = startMs
    this.behindMs = behind > REPLAY_RECORDS ? FLUSH_REPLAY_MS : FLUSH_BACKLOG_MS
  }

  /** So many bytes of the log were folded. */
  folded(bytes: number): void {
    this.bytes += bytes
  }

  /** How long a lane that has drained may wait for more before it flushes what it holds, ms. */
  restMs(nowMs: number): number {
    return Math.max(0, this.lastMs + this.everyMs - nowMs)
  }

  /** Whether what is folded, `rows` base rows, is to be flushed now. `drained`: nothing more was in the log. */
  isDue(nowMs: number, drained: boolean, rows: number): boolean {
    if (drained) this.behindMs = FLUSH_BACKLOG_MS
    return this.bytes >= this.limits.flushBytesMax || rows >= this.limits.flushRowsMax || nowMs - this.lastMs >= (drained ? this.everyMs : this.behindMs)
  }

  /** Everything folded is committed, which took `tookMs`. `drained`: as of the last read. */
  flushed(nowMs: number, drained: boolean, tookMs: number): void {
    this.everyMs = Math.min(Math.max(FLUSH_EVERY_MS, REST_FACTOR * tookMs), FLUSH_EVERY_MS_MAX)
    if (!drained && this.behindMs < FLUSH_BACKLOG_MS_MAX) this.behindMs *= 2
    this.bytes = 0
    this.lastMs = nowMs
  }
}
