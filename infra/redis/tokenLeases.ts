/**
 * Tokens of shared buckets taken ahead: a process that took many of a bucket within the last moment takes about as many
 * more with its next call, and asks nobody until they are spent or a moment has passed.
 *
 * Only of a bucket that stays more than half full are any taken ahead (the bucket sees to it), and never more than a
 * twentieth of it: near its limit each token is asked for, and what a process took and did not spend refuses nobody.
 */

/** How long tokens taken ahead may be spent, and over how long use is counted, ms. */
const LEASE_MS = 100
/** Part of a bucket that is taken ahead at most. */
const LEASE_PART = 1 / 20
/** Fewer are not worth it: buckets of few tokens, and those of which few are spent, are asked each time. */
const LEASE_MIN = 10
/** Buckets known; beyond it those that were not used last go. */
const BUCKETS_MAX = 10_000

interface Held {
  tokens: number
  untilMs: number
  /** In the bucket, when it was asked last. */
  left: number
  /** Spent since `countedFromMs`, and in the moment before it. */
  spent: number
  spentBefore: number
  countedFromMs: number
  /** A call that takes some ahead is under way. */
  isAsked: boolean
}

export class TokenLeases {
  private readonly held = new Map<string, Held>()

  private of(id: string, nowMs: number): Held {
    const found = this.held.get(id) ?? { tokens: 0, untilMs: -Infinity, left: 0, spent: 0, spentBefore: 0, countedFromMs: nowMs, isAsked: false }
    if (nowMs >= found.countedFromMs + LEASE_MS) {
      found.spentBefore = nowMs < found.countedFromMs + 2 * LEASE_MS ? found.spent : 0
      found.spent = 0
      found.countedFromMs = nowMs
    }
    return found
  }

  /** So many tokens are wanted now: what is taken ahead goes by it. */
  want(id: string, count: number, nowMs: number): void {
    const held = this.of(id, nowMs)
    this.held.delete(id)
    this.held.set(id, held)
    if (this.held.size > BUCKETS_MAX) for (const oldest of this.held.keys()) {
      this.held.delete(oldest)
      break
    }
    held.spent += count
  }

  /** Spends tokens that were taken ahead; answers how many are left, here and in the bucket, or undefined when the bucket has to be asked. */
  spend(id: string, count: number, nowMs: number): number | undefined {
    const held = this.held.get(id)
    if (held === undefined || nowMs >= held.untilMs || held.tokens < count) return undefined
    held.tokens -= count
    return held.left + held.tokens
  }

  /** How many the next call takes ahead of a bucket of `capacity`; `hold` has to follow when it is answered, or failed. */
  ahead(id: string, capacity: number, nowMs: number): number {
    const held = this.of(id, nowMs)
    const wanted = Math.min(Math.floor(capacity * LEASE_PART), Math.max(held.spent, held.spentBefore))
    if (held.isAsked || wanted < LEASE_MIN) return 0
    held.isAsked = true
    return wanted
  }

  /** The call that wanted `wanted` ahead is over: the bucket gave `tokens` of them, and has `left` now. */
  hold(id: string, wanted: number, tokens: number, left: number, nowMs: number): void {
    const held = this.held.get(id)
    if (held === undefined) return
    held.left = left
    if (wanted === 0) return
    held.isAsked = false
    held.tokens = tokens + (nowMs < held.untilMs ? held.tokens : 0)
    held.untilMs = nowMs + LEASE_MS
  }
}
