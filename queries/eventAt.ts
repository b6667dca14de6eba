/** The one record at a place of the log. */
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { StoredAt } from "@tidemark/domain/ports/EventLog"
import * as Effect from "effect/Effect"
import { loggedEvent } from "./loggedEvent.ts"

/** The tenant's event there; undefined when the place holds none, or another tenant's. Fails when the log no longer has it. */
export const eventAt = Effect.fn("eventAt")(function* ({ partition, offset }: StoredAt, tenantId: string) {
  const log = yield* EventLog
  if (partition < 0 || partition >= log.identity.partitions || offset >= (yield* log.bounds(partition)).end) return undefined
  const [batch] = yield* log.read([{ partition, nextOffset: offset }], { bytesMax: 1, waitMaxMs: 0 })
  const logged = batch === undefined ? undefined : loggedEvent(partition, offset, batch.bytes.subarray(0, batch.ends[0]))
  return logged?.event.tenantId === tenantId ? logged : undefined
})
