/**
 * Heartbeats, so that watermarks move on while nothing happens: to every partition every 5 s while any partition had
 * an event in the last 2 minutes, else every 60 s. Rules: docs/semantics.md §3.3.
 *
 * Several emitters do no harm. When the log does not take them, the next ones are tried as usual.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { decodeRecord } from "@tidemark/domain/events/envelope"
import { encodeHeartbeat } from "@tidemark/domain/events/systemRecords"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape } from "@tidemark/domain/ports/EventLog"

export const BUSY_EVERY_MS = 5_000
export const IDLE_EVERY_MS = 60_000
/** How long after an event the log counts as busy. */
export const BUSY_FOR_MS = 120_000

/** A timer may fire this early and still count. */
const JITTER_MS = 100
const READ_BYTES_MAX = 1_048_576
/** Records looked at when a partition is first read: enough to be behind the heartbeats of the last 2 minutes. */
const TAIL_RECORDS = 64n

interface Watched {
  readonly partition: number
  /** Next offset to look at; undefined before the first look. */
  nextOffset: bigint | undefined
}

const receivedAtMsOf = (bytes: Uint8Array): number => {
  const decoded = decodeRecord(bytes)
  return decoded.kind === "event" ? decoded.event.receivedAtMs : -Infinity
}

/** Largest receive time of the events that are new in a partition, −Infinity if none. Whoever appended them. */
const latestEventMs = Effect.fn(function* (log: EventLogShape, watched: Watched) {
  const { start, end } = yield* log.bounds(watched.partition)
  const tail = end - TAIL_RECORDS
  const from = watched.nextOffset ?? (tail > start ? tail : start)
  watched.nextOffset = end
  // Much is new: its end says enough.
  let nextOffset = tail > from ? tail : from
  let latest = -Infinity
  while (nextOffset < end) {
    const batches = yield* log.read([{ partition: watched.partition, nextOffset }], { bytesMax: READ_BYTES_MAX, waitMaxMs: 0 })
    const before = nextOffset
    for (const { firstOffset, bytes, ends } of batches) {
      for (let i = 0; i < ends.length; i++) latest = Math.max(latest, receivedAtMsOf(bytes.subarray(ends[i - 1] ?? 0, ends[i])))
      nextOffset = firstOffset + BigInt(ends.length)
    }
    if (nextOffset === before) return latest
  }
  return latest
})

const appendHeartbeats = Effect.fn(function* (log: EventLogShape) {
  const value = encodeHeartbeat(yield* Clock.currentTimeMillis)
  yield* log.append(Array.from({ length: log.identity.partitions }, (_, partition) => ({ partition, key: "", value })))
})

/** Appends heartbeats until it is interrupted. Looks for events every 5 s, so the quiet rhythm ends within 5 s of one. */
export const heartbeats: Effect.Effect<never, never, EventLog> = Effect.gen(function* () {
  const log = yield* EventLog
  const watched: readonly Watched[] = Array.from({ length: log.identity.partitions }, (_, partition) => ({ partition, nextOffset: undefined }))
  let eventMs = -Infinity
  let beatMs = -Infinity
  const step = Effect.gen(function* () {
    for (const one of watched) eventMs = Math.max(eventMs, yield* latestEventMs(log, one))
    const nowMs = yield* Clock.currentTimeMillis
    const everyMs = nowMs - eventMs <= BUSY_FOR_MS ? BUSY_EVERY_MS : IDLE_EVERY_MS
    if (nowMs >= beatMs && nowMs - beatMs < everyMs - JITTER_MS) return
    yield* appendHeartbeats(log)
    beatMs = nowMs
  })
  const survive = (error: { readonly _tag: string }) => Effect.logWarning(`heartbeats were not appended: ${error._tag}`)
  return yield* Effect.forever(Effect.catch(step, survive).pipe(Effect.andThen(Effect.sleep(BUSY_EVERY_MS))))
})
