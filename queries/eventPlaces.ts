/** Where one event counts in a read model, and which record released it when it had been held. */
import { OTHER } from "@tidemark/domain/definitions/dimensionText"
import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import { decodeRecord } from "@tidemark/domain/events/envelope"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { OffsetRange } from "@tidemark/domain/ports/ReadModelStore"
import { RESOLUTIONS, windowOf } from "@tidemark/domain/time/window"
import type { ResolutionName } from "@tidemark/domain/time/window"
import * as Effect from "effect/Effect"
import type { LoggedEvent } from "./loggedEvent.ts"
import { MergedPartials } from "./mergePartials.ts"
import type { OpenModel } from "./openModel.ts"
import { windowState } from "./windowState.ts"
import type { WindowState } from "./windowState.ts"

/** A window that an event belongs to, as it is now. */
export interface EventPlace {
  readonly resolution: ResolutionName
  readonly startMs: number
  readonly endMs: number
  /** As `window` answers it; null when retention hides the window. */
  readonly state: WindowState | null
  /** Of the whole window and key, this event among them if it counts. */
  readonly events: bigint
  readonly revision: bigint
}

export interface EventRow {
  /** Dimension texts of the row that counts the event, or would. */
  readonly key: readonly string[]
  /** Minute, or whatever the definition's shortest window is, hour, day. */
  readonly places: readonly EventPlace[]
  /** Offset ranges of the minute, all lanes. */
  readonly ranges: readonly OffsetRange[]
}

const readRow = Effect.fn("readEventRow")(function* (model: OpenModel, timeMs: number, key: readonly string[]) {
  const { projection, generation, tenantId, snapshot, watermarkMs, retainedFromMs, definition } = model
  const keyId = keyIdOf(tenantId, key)
  const windows = RESOLUTIONS.map(({ code, name, sizeMs }) => ({ code, resolution: name, ...windowOf(timeMs, code === 0 ? definition.window.sizeMs : sizeMs) }))
  const found = yield* snapshot.partials(projection, generation, windows.map(({ code, startMs }) => ({ tenantId, resolution: code, windowStartMs: startMs, keyId })))
  const places = windows.map(({ resolution, startMs, endMs }, at): EventPlace => {
    const merged = new MergedPartials([])
    for (const row of found[at] ?? []) merged.add(row)
    return { resolution, startMs, endMs, state: startMs < retainedFromMs ? null : windowState(endMs, watermarkMs, merged), events: merged.events, revision: merged.revision }
  })
  const row: EventRow = { key, places, ranges: (found[0] ?? []).flatMap(({ offsets }) => offsets) }
  return row
})

/**
 * The row that counted the event: under its own key where the event's partition admitted it, else `__other__`
 * (semantics §4). `countedIn` undefined: not counted, so its own key's row stands for where it would have gone.
 */
export const countingRow = Effect.fn("countingRow")(function* (model: OpenModel, timeMs: number, key: readonly string[], countedIn: number | undefined) {
  const own = yield* readRow(model, timeMs, [...key])
  return countedIn === undefined || own.ranges.some(({ partition }) => partition === countedIn) ? own : yield* readRow(model, timeMs, key.map(() => OTHER))
})

/** The record that released a held event. */
export interface EventRelease {
  readonly offset: bigint
  readonly atMs: number
  /** Who did it and why; null when the record does not say. */
  readonly actor: string | null
  readonly reason: string | null
}

/** Records looked at for a release, up to the last one that its row counts. */
const RELEASE_RECORDS_MAX = 100_000n
const READ_BYTES_MAX = 1 << 20

/** The record that released a held event; null when it is not among the last records its row counts. */
export const findRelease = Effect.fn("findRelease")(function* ({ partition, offset }: LoggedEvent, { ranges }: EventRow) {
  const log = yield* EventLog
  let last = offset
  for (const range of ranges) if (range.partition === partition && range.max > last) last = range.max
  let next = last - RELEASE_RECORDS_MAX > offset ? last - RELEASE_RECORDS_MAX : offset + 1n
  while (next <= last) {
    const batches = yield* log.read([{ partition, nextOffset: next }], { bytesMax: READ_BYTES_MAX, waitMaxMs: 0 })
    if (batches.length === 0) return null
    for (const { bytes, ends, firstOffset } of batches) {
      for (let at = 0; at < ends.length; at++) {
        const decoded = decodeRecord(bytes.subarray(ends[at - 1] ?? 0, ends[at]))
        if (decoded.kind !== "system" || decoded.record.system !== "late-applied" || decoded.record.offset !== offset || decoded.record.partition !== partition) continue
        const { timeMs: atMs, actor, reason } = decoded.record
        return { offset: firstOffset + BigInt(at), atMs, actor: actor ?? null, reason: reason ?? null } satisfies EventRelease
      }
      next = firstOffset + BigInt(ends.length)
    }
  }
  return null
})
