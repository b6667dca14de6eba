/**
 * What one subscription of a bus has not read yet: its newest `bufferMax` notifications. Older ones are dropped, and the
 * next `take` says so. Adapters differ in how notifications come; what a slow reader keeps is the same on each.
 */
import * as Effect from "effect/Effect"
import type { Notification, Subscription } from "./PubSub.ts"

export interface NotificationBuffer {
  readonly subscription: Subscription
  readonly receive: (notifications: readonly Notification[]) => void
  /** Notifications may have been lost: the reader is told to resync. */
  readonly overflow: () => void
  /** Drops everything; a `take` that waits or comes later is interrupted. */
  readonly end: () => void
}

/** An empty buffer. */
export const makeNotificationBuffer = (bufferMax: number): NotificationBuffer => {
  let kept: Notification[] = []
  let overflowed = false
  let ended = false
  const waiting = new Set<() => void>()
  const hasNews = () => kept.length > 0 || overflowed
  const wake = () => {
    // A reader that is resumed may run at once and wait again: it is not part of this round.
    const woken = [...waiting]
    waiting.clear()
    for (const resume of woken) resume()
  }
  const drain = () => {
    const drained = { notifications: kept, overflowed }
    kept = []
    overflowed = false
    return drained
  }
  // Looks again before it waits: news may have come since the caller looked.
  const change = Effect.callback<void>((resume) => {
    const ready = () => resume(Effect.void)
    if (hasNews() || ended) return ready()
    waiting.add(ready)
    return Effect.sync(() => void waiting.delete(ready))
  })
  const take = Effect.gen(function* () {
    while (!hasNews()) {
      if (ended) return yield* Effect.interrupt
      yield* change
    }
    return drain()
  })
  const receive = (notifications: readonly Notification[]) => {
    if (ended || notifications.length === 0) return
    kept = kept.concat(notifications)
    const excess = kept.length - bufferMax
    if (excess > 0) {
      kept.splice(0, excess)
      overflowed = true
    }
    wake()
  }
  const overflow = () => {
    if (ended) return
    overflowed = true
    wake()
  }
  const end = () => {
    ended = true
    drain()
    wake()
  }
  return { subscription: { take }, receive, overflow, end }
}
