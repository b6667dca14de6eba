/**
 * Where an event is stored: its partition key, and Kafka's murmur2 of it, so that any Kafka producer agrees.
 *
 * Rules: docs/semantics.md §1, §2.
 */

export interface EventIdentity {
  readonly id: string
  readonly userId?: string | undefined
  readonly anonymousId?: string | undefined
  readonly sessionId?: string | undefined
}

/** `<tenant>:` + user id, else anonymous id, else session id, else event id. */
export const partitionKeyOf = (tenantId: string, event: EventIdentity): string =>
  `${tenantId}:${event.userId ?? event.anonymousId ?? event.sessionId ?? event.id}`

const M = 0x5bd1e995
const SEED = 0x9747b28c

/** Kafka's murmur2 of bytes, as a signed 32-bit integer. */
export const murmur2 = (data: Uint8Array): number => {
  const length = data.length
  let h = SEED ^ length
  let i = 0
  for (; i + 4 <= length; i += 4) {
    let k = (data[i] ?? 0) | ((data[i + 1] ?? 0) << 8) | ((data[i + 2] ?? 0) << 16) | ((data[i + 3] ?? 0) << 24)
    k = Math.imul(k, M)
    k ^= k >>> 24
    h = Math.imul(h, M) ^ Math.imul(k, M)
  }
  const rest = length - i
  if (rest === 3) h ^= (data[i + 2] ?? 0) << 16
  if (rest >= 2) h ^= (data[i + 1] ?? 0) << 8
  if (rest >= 1) h = Math.imul(h ^ (data[i] ?? 0), M)
  h ^= h >>> 13
  h = Math.imul(h, M)
  return h ^ (h >>> 15)
}

const encoder = new TextEncoder()

/** Partition of a key: Kafka's default partitioner. `partitions` ≥ 1. */
export const kafkaPartition = (key: string, partitions: number): number => (murmur2(encoder.encode(key)) & 0x7fffffff) % partitions

/** Lane of a partition: partition mod L. */
export const laneOf = (partition: number, lanes: number): number => partition % lanes

/** Partitions of a lane, ascending. */
export const partitionsOfLane = (lane: number, lanes: number, partitions: number): readonly number[] =>
  Array.from({ length: partitions }, (_, partition) => partition).filter((partition) => laneOf(partition, lanes) === lane)
