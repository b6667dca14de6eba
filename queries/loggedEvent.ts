/** An event with its place in the log. */
import { decodeRecord } from "@tidemark/domain/events/envelope"
import type { EventEnvelope } from "@tidemark/domain/events/event"

export interface LoggedEvent {
  readonly partition: number
  readonly offset: bigint
  readonly event: EventEnvelope
}

/** The event in a record's bytes; undefined for system records and what cannot be decoded. */
export const loggedEvent = (partition: number, offset: bigint, value: Uint8Array): LoggedEvent | undefined => {
  const decoded = decodeRecord(value)
  return decoded.kind === "event" ? { partition, offset, event: decoded.event } : undefined
}
