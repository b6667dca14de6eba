import { randomUUID } from "node:crypto"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape } from "@tidemark/domain/ports/EventLog"
import * as Effect from "effect/Effect"
import kafkajs from "kafkajs"
import type { Admin, ITopicConfig } from "kafkajs"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { LogDurability, eventLogKafka } from "./EventLogKafka.ts"
import type { EventLogKafkaOptions } from "./EventLogKafka.ts"
import { makeKafka } from "./kafkaClient.ts"

const brokers = process.env["TIDEMARK_KAFKA_BROKERS"] ?? ""
const kafka = makeKafka(brokers, "faults")
const encoder = new TextEncoder()

const layer = (topic: string, changes: Partial<EventLogKafkaOptions> = {}) =>
  eventLogKafka({ brokers, topic, role: "writer", partitions: 1, lanes: 1, nowMs: () => 1_700_000_000_000, newLogId: randomUUID, ...changes })

const use = <A>(topic: string, action: (log: EventLogShape) => Effect.Effect<A, unknown>, changes: Partial<EventLogKafkaOptions> = {}): Promise<A> =>
  Effect.runPromise(Effect.gen(function* () { return yield* action(yield* EventLog) }).pipe(Effect.provide(layer(topic, changes))))

const refused = (topic: string, changes: Partial<EventLogKafkaOptions> = {}) =>
  Effect.runPromise(Effect.gen(function* () { return yield* EventLog }).pipe(Effect.provide(layer(topic, changes)), Effect.flip))

const append = (log: EventLogShape, ...texts: string[]) => log.append(texts.map((text) => ({ partition: 0, key: "k", value: encoder.encode(text) })))
/** What an append came to, with the reason of a failure. */
const told = (appending: ReturnType<EventLogShape["append"]>) => Effect.match(appending, { onSuccess: () => "stored", onFailure: ({ _tag, reason }) => `${_tag}: ${reason}` })
const read = (log: EventLogShape, nextOffset: bigint, waitMaxMs = 0) => log.read([{ partition: 0, nextOffset }], { bytesMax: 1 << 20, waitMaxMs })

describe("the Kafka log", () => {
  const made: string[] = []
  let admin: Admin
  const newTopic = (): string => {
    const topic = `fault-${randomUUID()}`
    made.push(topic)
    return topic
  }
  const create = async (topic: ITopicConfig, settings: Record<string, string> = {}): Promise<void> => {
    await admin.createTopics({ topics: [{ ...topic, configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })) }] })
  }
  beforeAll(async () => {
    admin = kafka.admin()
    await admin.connect()
  })
  afterAll(async () => {
    const existing = await admin.listTopics()
    await admin.deleteTopics({ topics: made.filter((topic) => existing.includes(topic)) })
    await admin.disconnect()
  })

  it("says that the offset is gone, with both bounds, when retention has passed it, and jumps nowhere", async () => {
    const topic = newTopic()
    const seen = await use(topic, (log) =>
      Effect.gen(function* () {
        yield* append(log, "a", "b", "c", "d")
        yield* Effect.promise(() => admin.fetchTopicOffsets(topic))
        yield* Effect.promise(() => admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: "3" }] }))
        return { error: yield* Effect.flip(read(log, 2n)), waiting: yield* Effect.flip(read(log, 2n, 10_000)), bounds: yield* log.bounds(0), rest: yield* read(log, 3n) }
      }))
    expect(seen.error).toMatchObject({ _tag: "OffsetOutOfRangeError", partition: 0, wanted: 2n, start: 3n, end: 5n })
    expect(seen.waiting).toMatchObject({ _tag: "OffsetOutOfRangeError" })
    expect(seen.bounds).toEqual({ start: 3n, end: 5n })
    expect(seen.rest[0]).toMatchObject({ firstOffset: 3n })
  })

  it("notices that its topic was deleted and made anew, while it runs and when it is opened", async () => {
    const topic = newTopic()
    const error = await use(topic, (log) =>
      Effect.gen(function* () {
        yield* append(log, "a", "b")
        yield* Effect.promise(() => admin.deleteTopics({ topics: [topic] }))
        yield* Effect.promise(() => create({ topic, numPartitions: 1 }, { "retention.ms": "-1" }))
        return yield* Effect.flip(read(log, 1n, 20_000))
      }))
    expect(error).toMatchObject({ _tag: "LogIdentityError", detail: expect.stringContaining("made anew") as string })
    expect(await refused(topic)).toMatchObject({ _tag: "KafkaLogError", code: "LOG_IDENTITY", message: expect.stringContaining("is empty") as string })
  })

  it("acknowledges nothing more once its topic was deleted and made anew, whatever the new one takes", async () => {
    const topic = newTopic()
    const answers = await use(topic, (log) =>
      Effect.gen(function* () {
        const before = yield* told(append(log, "a", "b"))
        yield* Effect.promise(() => admin.deleteTopics({ topics: [topic] }))
        yield* Effect.promise(() => create({ topic, numPartitions: 1 }, { "retention.ms": "-1" }))
        const after: string[] = []
        // At once, while what was known of the topic is fresh, and later, when the new topic is longer than the log was.
        for (const text of ["c", "d", "e"]) {
          after.push(yield* told(append(log, text)))
          yield* Effect.promise(() => kafkaSend(topic, 0, "foreign", 20))
        }
        return { before, after }
      }))
    expect(answers.before).toBe("stored")
    expect(answers.after).toEqual([expect.stringMatching(/AppendUnknownError|AppendRejectedError/), expect.stringContaining("AppendRejectedError"), expect.stringContaining("AppendRejectedError")])
    for (const text of answers.after.slice(1)) expect(text).toMatch(/made anew|another log/)
  })

  it("refuses to append to a topic that got more partitions, as it refuses to read it", async () => {
    const topic = newTopic()
    const error = await use(topic, (log) =>
      Effect.gen(function* () {
        yield* append(log, "a")
        yield* Effect.promise(() => admin.createPartitions({ topicPartitions: [{ topic, count: 2 }] }))
        for (const deadlineMs = performance.now() + 20_000; performance.now() < deadlineMs;) {
          const answer = yield* told(append(log, "b"))
          if (answer !== "stored") return answer
        }
        return "all were acknowledged"
      }))
    expect(error).toMatch(/AppendRejectedError|AppendUnknownError/)
    expect(error).toContain("2 partitions, not 1")
  })

  it("refuses a topic that got more partitions than its log was made with", async () => {
    const topic = newTopic()
    await use(topic, (log) => append(log, "a"))
    await admin.createPartitions({ topicPartitions: [{ topic, count: 2 }] })
    await kafkaSend(topic, 1, "not a genesis record")
    expect(await refused(topic)).toMatchObject({ code: "LOG_IDENTITY" })
  })

  it("reads up to the mark of a foreign transaction and then reports a gap, also at the log's end", async () => {
    const topic = newTopic()
    const seen = await use(topic, (log) =>
      Effect.gen(function* () {
        yield* append(log, "a")
        yield* Effect.promise(async () => {
          const producer = kafka.producer({ transactionalId: randomUUID(), idempotent: true, maxInFlightRequests: 1 })
          await producer.connect()
          const transaction = await producer.transaction()
          await transaction.send({ topic, messages: [{ partition: 0, value: "foreign" }] })
          await transaction.abort()
          await producer.disconnect()
        })
        const before = yield* read(log, 1n)
        const atEnd = yield* Effect.flip(read(log, 3n, 5_000))
        yield* append(log, "b")
        return { before, atEnd, inside: yield* Effect.flip(read(log, 3n)), verified: yield* Effect.flip(log.verify(0)) }
      }))
    expect(seen.before).toMatchObject([{ firstOffset: 1n, ends: { length: 2 } }])
    for (const error of [seen.atEnd, seen.inside, seen.verified]) expect(error).toMatchObject({ _tag: "LogGapError", partition: 0, wanted: 3n, found: 4n })
  })

  it("gives two processes that start at once the same log", async () => {
    const topic = newTopic()
    const identities = await Promise.all([1, 2, 3].map(() => use(topic, (log) => Effect.succeed(log.identity), { partitions: 3 })))
    expect(new Set(identities.map(({ logId }) => logId)).size).toBe(1)
    expect(await use(topic, (log) => Effect.all([log.bounds(0), log.bounds(1), log.bounds(2)]))).toEqual(Array.from({ length: 3 }, () => ({ start: 0n, end: 1n })))
  })

  it("refuses, naming topic and setting, what would break its promises", async () => {
    const compacted = newTopic()
    await create({ topic: compacted, numPartitions: 1 }, { "cleanup.policy": "compact" })
    expect(await refused(compacted)).toMatchObject({ code: "SETTING", message: expect.stringMatching(`Topic ${compacted} has cleanup.policy=compact: set it to delete`) as string })
    const unclean = newTopic()
    await create({ topic: unclean, numPartitions: 1 }, { "unclean.leader.election.enable": "true" })
    expect(await refused(unclean)).toMatchObject({ code: "SETTING", message: expect.stringContaining("unclean.leader.election.enable=true") as string })
  })

  it("creates its topic with endless retention and append times, and tells what one broker cannot promise", async () => {
    const topic = newTopic()
    const told = await Effect.runPromise(Effect.gen(function* () { return yield* LogDurability }).pipe(Effect.provide(layer(topic))))
    expect(told).toMatchObject({ durability: "single-broker", warnings: [expect.stringContaining("min.insync.replicas=1")] })
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }] })
    const settings = Object.fromEntries(resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]) ?? [])
    expect(settings).toMatchObject({ "cleanup.policy": "delete", "retention.ms": "-1", "message.timestamp.type": "LogAppendTime" })
    await admin.alterConfigs({ validateOnly: false, resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name: "retention.ms", value: "86400000" }, { name: "message.timestamp.type", value: "LogAppendTime" }] }] })
    const after = await Effect.runPromise(Effect.gen(function* () { return yield* LogDurability }).pipe(Effect.provide(layer(topic))))
    expect(after.warnings).toContainEqual(expect.stringContaining("retention.ms=86400000"))
  })

  it("says in one sentence that no broker answers, and that there is no log to read yet", async () => {
    expect(await refused("any", { brokers: "127.0.0.1:1" })).toMatchObject({ code: "UNREACHABLE", message: expect.stringContaining("127.0.0.1:1 (TIDEMARK_KAFKA_BROKERS)") as string })
    expect(await refused(newTopic(), { role: "reader" })).toMatchObject({ code: "NO_LOG" })
  })

  it("refuses a record larger than the topic takes and stores nothing of its batch", async () => {
    const seen = await use(newTopic(), (log) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(append(log, "small", "x".repeat(2_000_000)))
        return { error, bounds: yield* log.bounds(0) }
      }))
    expect(seen).toMatchObject({ error: { _tag: "AppendRejectedError" }, bounds: { end: 1n } })
  })

  it("stores a batch larger than one request in order, compressed or not", async () => {
    for (const changes of [{}, { compression: "gzip" as const }]) {
      const texts = Array.from({ length: 12_000 }, (_, i) => `${i}:${"y".repeat(300)}`)
      const topic = newTopic()
      const back = await use(topic, (log) =>
        Effect.gen(function* () {
          const stored = yield* append(log, ...texts)
          const all: string[] = []
          for (let next = 1n; next < 12_001n;) {
            const [batch] = yield* read(log, next)
            for (let i = 0; i < (batch?.ends.length ?? 0); i++) all.push(new TextDecoder().decode(batch?.bytes.subarray(i === 0 ? 0 : batch.ends[i - 1], batch.ends[i])))
            next += BigInt(batch?.ends.length ?? 0)
          }
          return { stored, all }
        }), changes)
      expect(back.stored.map(({ offset }) => offset)).toEqual(texts.map((_, i) => BigInt(i + 1)))
      expect(back.all).toEqual(texts)
    }
  })

  it("gives a consumer group every record with its key and content type", async () => {
    const topic = newTopic()
    await use(topic, (log) => append(log, "a"))
    const consumer = kafka.consumer({ groupId: randomUUID() })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    const seen: string[] = []
    await new Promise<void>((resolve) => void consumer.run({ eachMessage: async ({ message }) => {
      seen.push(`${message.key?.toString()} ${message.headers?.["content-type"]?.toString()}`)
      if (message.offset === "1") resolve()
    } }))
    await consumer.disconnect()
    expect(seen[1]).toBe("k application/cloudevents+json")
  })
})

const kafkaSend = async (topic: string, partition: number, value: string, times = 1): Promise<void> => {
  const producer = kafka.producer()
  await producer.connect()
  await producer.send({ topic, messages: Array.from({ length: times }, () => ({ partition, value })) })
  await producer.disconnect()
}
