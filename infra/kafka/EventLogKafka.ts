/**
 * The distributed event log: one Kafka topic.
 *
 * Appends go through idempotent producers with acks=all; reads name their offsets and join no group. Kafka's promises
 * become the port's only with the right settings, so they are checked when the log is opened. The clients are watched
 * here: a broker that goes away and comes back is found again, without a restart of ours.
 */
import { setTimeout as pause } from "node:timers/promises"
import { EventLog, LogCorruptError, LogGapError, LogIdentityError, LogUnavailableError, OffsetOutOfRangeError } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape, LogIdentity, LogReadError } from "@tidemark/domain/ports/EventLog"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { CompressionTypes } from "kafkajs"
import type { Kafka } from "kafkajs"
import { AppendGuard } from "./appendGuard.ts"
import { makeKafka, makeProducer } from "./kafkaClient.ts"
import { makeAppender } from "./logAppending.ts"
import { LogFetching } from "./logFetching.ts"
import { NotALogError, readIdentity, writeGenesis } from "./logIdentity.ts"
import { StaleLeaderError, TopicBrokers, TopicMissingError, parseBrokers } from "./topicBrokers.ts"
import type { TopicView } from "./topicBrokers.ts"
import { createTopic, inspectTopic } from "./topicSettings.ts"
import type { TopicFindings } from "./topicSettings.ts"

/** The log cannot be opened; the message is one sentence that says what to do. */
export class KafkaLogError extends Schema.TaggedError<KafkaLogError>()("KafkaLogError", {
  /** `LOG_IDENTITY`: not the log it should be; `SETTING`: a topic's setting breaks a promise; `NO_LOG`: a reader came before the first writer. */
  code: Schema.Literals(["UNREACHABLE", "LOG_IDENTITY", "SETTING", "NO_LOG"]),
  message: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {}

export interface EventLogKafkaOptions {
  /** "host:port,host:port". */
  readonly brokers: string
  readonly topic: string
  readonly role: "writer" | "reader"
  /** Used when the topic is created; afterwards the stored numbers win. */
  readonly partitions: number
  readonly lanes: number
  /** Replicas of a topic created here; the broker's default when absent. */
  readonly replicas?: number
  /** Of what is appended; gzip trades CPU for network and disk. None when absent. */
  readonly compression?: "gzip"
  readonly nowMs: () => number
  readonly newLogId: () => string
}

/** What the brokers promise about what the log acknowledged. */
export interface LogDurabilityShape {
  /** `single-broker`: the loss of one broker's disk can lose acknowledged events. */
  readonly durability: TopicFindings["durability"]
  /** Sentences for an operator. */
  readonly warnings: readonly string[]
}

export class LogDurability extends Context.Service<LogDurability, LogDurabilityShape>()("tidemark/LogDurability") {}

const CLIENT_ID = "tidemark"
const VERIFY_BYTES = 4 * 1024 * 1024

const isReadError = (error: unknown): error is LogReadError =>
  error instanceof LogCorruptError || error instanceof OffsetOutOfRangeError || error instanceof LogGapError || error instanceof LogIdentityError

const toReadError = (error: unknown): LogReadError => (isReadError(error) ? error : new LogUnavailableError({ cause: error }))

const openError = ({ brokers, topic }: EventLogKafkaOptions, error: unknown): KafkaLogError => {
  if (error instanceof KafkaLogError) return error
  if (error instanceof NotALogError) return new KafkaLogError({ code: "LOG_IDENTITY", message: `${error.message}.` })
  if (error instanceof TopicMissingError) return new KafkaLogError({ code: "NO_LOG", message: `Topic ${topic} does not exist at ${brokers}: start a process with the role ingest first.` })
  if (isReadError(error)) return new KafkaLogError({ code: "LOG_IDENTITY", message: `Topic ${topic} cannot be read from its start: ${error.message}`, cause: error })
  return new KafkaLogError({ code: "UNREACHABLE", message: `Kafka at ${brokers} (TIDEMARK_KAFKA_BROKERS) does not answer: ${(error as Error).message}`, cause: error })
}

/** The topic as it is, created first when it is missing and this process may write. */
const prepareTopic = async (options: EventLogKafkaOptions, kafka: Kafka, brokers: TopicBrokers): Promise<TopicFindings> => {
  const { topic, role, partitions, lanes } = options
  const admin = kafka.admin()
  await admin.connect()
  try {
    let view: TopicView
    try {
      view = await brokers.describe()
    } catch (error) {
      if (!(error instanceof TopicMissingError) || role === "reader") throw error
      const created = await createTopic(admin, topic, partitions, options.replicas)
      if (created) await writeGenesis(makeProducer(kafka), topic, { logId: options.newLogId(), partitions, lanes, createdAtMs: options.nowMs() })
      view = await brokers.describe()
    }
    const findings = await inspectTopic(admin, topic, view)
    if (findings.refusals.length > 0) throw new KafkaLogError({ code: "SETTING", message: findings.refusals.join(" ") })
    return findings
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

const verifyPartition = async (brokers: TopicBrokers, fetching: LogFetching, partition: number, from = 0n): Promise<{ readonly records: bigint; readonly blocks: number }> => {
  const { start, end } = await brokers.bounds(partition)
  const first = from > start ? from : start
  let next = first
  let blocks = 0
  while (next < end) {
    const [found] = await fetching.fetch([{ partition, nextOffset: next }], VERIFY_BYTES, 0)
    // The broker has records up to `end` and shows none: they are missing, not late.
    if (found === undefined) throw new LogGapError({ partition, wanted: next, found: end })
    next += BigInt(found.batch.ends.length)
    blocks += found.stored
  }
  return { records: next - first, blocks }
}

/** One past the last offset of each partition. */
const endsOf = async (brokers: TopicBrokers, partitions: number): Promise<bigint[]> => {
  const ends: bigint[] = []
  for (let partition = 0; partition < partitions; partition++) ends.push((await brokers.bounds(partition)).end)
  return ends
}

interface Opened {
  readonly log: EventLogShape
  readonly durability: LogDurabilityShape
  readonly close: () => Promise<void>
}

const open = async (options: EventLogKafkaOptions): Promise<Opened> => {
  const { topic, role } = options
  const kafka = makeKafka(options.brokers, CLIENT_ID)
  const brokers = new TopicBrokers(parseBrokers(options.brokers), topic, CLIENT_ID)
  try {
    const { batchBytesMax, durability, warnings } = await prepareTopic(options, kafka, brokers)
    const fetching = new LogFetching(brokers)
    const identity: LogIdentity = await readIdentity(brokers, fetching)
    brokers.pin(identity.logId, await brokers.describe())
    const compression = options.compression === "gzip" ? CompressionTypes.GZIP : CompressionTypes.None
    const guard = new AppendGuard(brokers, identity.logId, role === "writer" ? await endsOf(brokers, identity.partitions) : [])
    const appender = makeAppender({ topic, partitions: identity.partitions, batchBytesMax, compression, guard, makeProducer: () => makeProducer(kafka) })
    const log: EventLogShape = {
      identity,
      append: role === "writer" ? appender.append : () => Effect.die(new Error("this log was opened for reading")),
      read: (from, wanted) => Effect.tryPromise({ try: (signal) => fetching.read(from, wanted, signal), catch: toReadError }),
      bounds: (partition) => Effect.tryPromise({ try: () => brokers.bounds(partition), catch: (cause) => new LogUnavailableError({ cause }) }),
      verify: (partition, from) => Effect.tryPromise({ try: () => verifyPartition(brokers, fetching, partition, from), catch: toReadError })
    }
    const close = async () => {
      await appender.close()
      await brokers.close()
    }
    return { log, durability: { durability, warnings }, close }
  } catch (error) {
    await brokers.close()
    throw error
  }
}

/** How long a topic that somebody creates right now may take to have leaders. */
const LEADERS_MS_MAX = 10_000
const LEADERS_EVERY_MS = 200

/** Several processes may start at once: all but the one that creates the topic meet it half made. */
const openPatiently = async (options: EventLogKafkaOptions): Promise<Opened> => {
  const deadlineMs = performance.now() + LEADERS_MS_MAX
  for (;;) {
    try {
      return await open(options)
    } catch (error) {
      if (!(error instanceof StaleLeaderError) || performance.now() > deadlineMs) throw error
      await pause(LEADERS_EVERY_MS)
    }
  }
}

const openLog = (options: EventLogKafkaOptions): Effect.Effect<Context.Context<EventLog | LogDurability>, KafkaLogError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.tryPromise({ try: () => openPatiently(options), catch: (error) => openError(options, error) }),
    ({ close }) => Effect.promise(close)
  ).pipe(Effect.map(({ log, durability }) => Context.make(EventLog, log).pipe(Context.add(LogDurability, durability))))

/** The log in topic `options.topic`, closed with the scope: what was appended is answered first. */
export const eventLogKafka = (options: EventLogKafkaOptions): Layer.Layer<EventLog | LogDurability, KafkaLogError> => Layer.effectContext(openLog(options))
