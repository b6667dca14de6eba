/** Events as they are stored. */
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { PartitionPosition } from "@tidemark/domain/ports/EventLog"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { QueryError } from "./errors.ts"
import type { EventFilter } from "./events.ts"
import { loggedEvent } from "./loggedEvent.ts"
import type { LoggedEvent } from "./loggedEvent.ts"
import { logEnds } from "./projections.ts"
import { compileFilter } from "./tailFilter.ts"

const TAIL_BYTES_MAX = 1 << 20
/** How long one read waits for an append, which ends it at once. */
const TAIL_WAIT_MS = 30_000

/**
 * Every matching event of the tenant as it becomes readable, from now on, none left out: the next read of the log waits
 * until the events of the last one were taken, so what is held is bounded by one read.
 */
export const eventTail = (filter: EventFilter | undefined, tenantId: string): Stream.Stream<LoggedEvent, QueryError, EventLog> =>
  Stream.unwrap(Effect.gen(function* () {
    const matches = compileFilter(filter ?? {})
    const log = yield* EventLog
    const next = new Map(yield* logEnds)
    const read = Effect.gen(function* () {
      const from = [...next].map(([partition, nextOffset]): PartitionPosition => ({ partition, nextOffset }))
      const matched: LoggedEvent[] = []
      for (const { partition, firstOffset, bytes, ends } of yield* log.read(from, { bytesMax: TAIL_BYTES_MAX, waitMaxMs: TAIL_WAIT_MS })) {
        next.set(partition, firstOffset + BigInt(ends.length))
        for (let at = 0; at < ends.length; at++) {
          const record = bytes.subarray(at === 0 ? 0 : ends[at - 1], ends[at])
          const logged = loggedEvent(partition, firstOffset + BigInt(at), record)
          if (logged !== undefined && logged.event.tenantId === tenantId && matches(logged.event, record)) matched.push(logged)
        }
      }
      return matched
    })
    return Stream.flatMap(Stream.fromEffectRepeat(read), (matched) => Stream.fromIterable(matched))
  }))
