/** Which log a topic holds: written once, as the first record of every partition, by whoever created the topic. */
import { setTimeout as pause } from "node:timers/promises"
import { encodeLogCreated, readSystemRecord } from "@tidemark/domain/events/systemRecords"
import type { LogCreatedRecord } from "@tidemark/domain/events/systemRecords"
import type { LogIdentity } from "@tidemark/domain/ports/EventLog"
import type { Producer } from "kafkajs"
import { RECORD_HEADERS } from "./logAppending.ts"
import type { LogFetching } from "./logFetching.ts"
import type { TopicBrokers } from "./topicBrokers.ts"

/** How long the creator of the topic may take to write the first records. */
const GENESIS_MS_MAX = 10_000
const LOOK_EVERY_MS = 100

/** The topic is no log, or not a whole one. */
export class NotALogError extends Error {}

/** Writes the first record of every partition of a topic just created. */
export const writeGenesis = async (producer: Producer, topic: string, { logId, partitions, lanes, createdAtMs }: LogIdentity): Promise<void> => {
  const messages = Array.from({ length: partitions }, (_, partition) => ({
    partition, key: logId, headers: RECORD_HEADERS,
    value: Buffer.from(encodeLogCreated({ timeMs: createdAtMs, logId, partitions, lanes, partition }))
  }))
  await producer.connect()
  try {
    await producer.send({ topic, acks: -1, messages })
  } finally {
    await producer.disconnect().catch(() => {})
  }
}

const decode = (bytes: Uint8Array): LogCreatedRecord | undefined => {
  try {
    const fields = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>
    const record = readSystemRecord(fields, String(fields["type"]))
    return record?.system === "created" ? record : undefined
  } catch {
    return undefined
  }
}

/** First record of a partition; undefined when retention removed it. */
const genesisOf = async (brokers: TopicBrokers, fetching: LogFetching, partition: number): Promise<LogCreatedRecord | undefined> => {
  const deadlineMs = performance.now() + GENESIS_MS_MAX
  for (;;) {
    const { start, end } = await brokers.bounds(partition)
    if (start > 0n) return undefined
    if (end > start) break
    if (performance.now() > deadlineMs) throw new NotALogError(`partition ${partition} of topic ${brokers.topic} is empty, and a log's partitions begin with a record of their log: if the topic was just created and never used, delete it and start again`)
    await pause(LOOK_EVERY_MS)
  }
  const [first] = await fetching.fetch([{ partition, nextOffset: 0n }], 1, 0)
  const record = first === undefined ? undefined : decode(first.batch.bytes.subarray(0, first.batch.ends[0]))
  if (record === undefined) throw new NotALogError(`partition ${partition} of topic ${brokers.topic} does not begin with a record of its log: another program wrote to it first`)
  return record
}

/** Reads the identity from the first records and checks that they agree with each other and with the topic. */
export const readIdentity = async (brokers: TopicBrokers, fetching: LogFetching): Promise<LogIdentity> => {
  const { partitions } = await brokers.describe()
  let identity: LogIdentity | undefined
  for (const { partition } of partitions) {
    const record = await genesisOf(brokers, fetching, partition)
    if (record === undefined) continue
    identity ??= { logId: record.logId, partitions: record.partitions, lanes: record.lanes, createdAtMs: record.timeMs }
    if (record.logId !== identity.logId || record.partition !== partition) {
      throw new NotALogError(`partition ${partition} of topic ${brokers.topic} begins as partition ${record.partition} of log ${record.logId}, not of log ${identity.logId}`)
    }
  }
  if (identity === undefined) throw new NotALogError(`no partition of topic ${brokers.topic} holds its first record any more, so it is not known which log it is`)
  if (identity.partitions !== partitions.length) {
    throw new NotALogError(`topic ${brokers.topic} has ${partitions.length} partitions and was made with ${identity.partitions}: events would change their partition`)
  }
  return identity
}
