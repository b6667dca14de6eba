/**
 * Appending: what has arrived while a send is under way shares the next one, one record batch per partition.
 *
 * Partitions are dealt to a few producers, and each has one send in flight: order within a partition follows, and a
 * producer's sequence numbers stay right. A producer whose send failed is never used again: kafkajs would give the
 * next records the sequence numbers of the lost ones, and the broker, which may hold those, would acknowledge
 * records it never stored.
 */
import { AppendRejectedError, AppendUnknownError, LogIdentityError } from "@tidemark/domain/ports/EventLog"
import type { AppendedAt, EventLogShape, LogRecord } from "@tidemark/domain/ports/EventLog"
import * as Effect from "effect/Effect"
import type { CompressionTypes, Message, Producer, RecordMetadata } from "kafkajs"
import type { AppendGuard } from "./appendGuard.ts"

type Outcome = Effect.Effect<readonly AppendedAt[], AppendRejectedError | AppendUnknownError>

interface Pending {
  readonly batch: readonly LogRecord[]
  readonly stored: AppendedAt[]
  readonly done: (outcome: Outcome) => void
  open: number
  /** A part of it was handed to a broker. */
  sent: boolean
  failure: { readonly unknown: boolean; readonly reason: string; readonly cause: unknown } | undefined
}

interface Entry {
  readonly pending: Pending
  readonly index: number
  readonly record: LogRecord
}

export interface AppenderOptions {
  readonly topic: string
  readonly partitions: number
  /** `max.message.bytes` of the topic: the largest record batch it takes. */
  readonly batchBytesMax: number
  readonly compression: CompressionTypes
  readonly makeProducer: () => Producer
  /** Tells whether the topic is still the log that was opened. */
  readonly guard: AppendGuard
}

const LANES = 2
/** Records waiting; beyond it appends are refused, so that an outage does not eat the memory. */
const QUEUE_BYTES_MAX = 128 * 1024 * 1024
/** One send of a producer over all of its partitions. */
const SEND_BYTES_MAX = 4 * 1024 * 1024
/** Sends of one producer begin at least this far apart, ms: a request costs client and broker as much as some dozens of records. */
const SEND_EVERY_MS = 5
/** But so many records do not wait for more. */
const GATHERED_MAX = 200
/** A record's frame in a batch: lengths, deltas, header. */
const FRAME_BYTES = 96
/** Share of the broker's limit that a batch may fill, counted before compression. */
const BATCH_FILL = 0.9
/** Sequence numbers are 32 bits wide, and kafkajs wraps them otherwise than the broker. */
const PRODUCER_RECORDS_MAX = 1_000_000_000

export const RECORD_HEADERS = { "content-type": "application/cloudevents+json" }

const bytesOf = ({ key, value }: LogRecord): number => key.length * 3 + value.length + FRAME_BYTES

const viewOf = (value: Uint8Array): Buffer => Buffer.from(value.buffer, value.byteOffset, value.byteLength)

/** The broker's clock at the append; −1 where the topic keeps the producer's time. */
const appendTimeMs = (text: string | undefined): number | undefined => (text === undefined || text.startsWith("-") ? undefined : Number(text))

const rejected = (reason: string, cause?: unknown) => new AppendRejectedError(cause === undefined ? { reason } : { reason, cause })

/** Answers a batch once each of its records is decided. */
const settle = (pending: Pending, records: number): void => {
  pending.open -= records
  if (pending.open > 0) return
  const { failure, sent } = pending
  if (failure === undefined) pending.done(Effect.succeed(pending.stored))
  else if (failure.unknown || sent) pending.done(Effect.fail(new AppendUnknownError({ reason: failure.reason, cause: failure.cause })))
  else pending.done(Effect.fail(rejected(failure.reason, failure.cause)))
}

/** Writes down where the records of a send lie. Throws when the broker does not say, or says what the log cannot be. */
const note = (answer: readonly RecordMetadata[], group: readonly Entry[], guard: AppendGuard): void => {
  const next = new Map(answer.flatMap(({ partition, baseOffset }) => (baseOffset === undefined ? [] : [[partition, BigInt(baseOffset)] as const])))
  const takenMs = new Map(answer.map(({ partition, logAppendTime }) => [partition, appendTimeMs(logAppendTime)] as const))
  const first = new Map(next)
  for (const { pending, index, record: { partition } } of group) {
    const offset = next.get(partition)
    if (offset === undefined) throw new Error(`the broker did not answer for partition ${partition}`)
    pending.stored[index] = { partition, offset, appendedAtMs: takenMs.get(partition) }
    next.set(partition, offset + 1n)
  }
  for (const [partition, baseOffset] of first) guard.stored(partition, baseOffset, Number((next.get(partition) ?? baseOffset) - baseOffset))
}

/** One producer with the queue of its partitions. */
class Sender {
  private readonly queue: Entry[] = []
  private producer: Producer | undefined
  private produced = 0
  private sentAtMs = Number.NEGATIVE_INFINITY
  private running: Promise<void> | undefined

  constructor(private readonly options: AppenderOptions, private readonly onDone: (bytes: number) => void) {}

  push(entry: Entry): void {
    this.queue.push(entry)
    this.running ??= Promise.resolve().then(() => this.run())
  }

  async close(): Promise<void> {
    await this.running
    await this.producer?.disconnect().catch(() => {})
  }

  private async run(): Promise<void> {
    // What arrives in the same turn of the event loop goes along.
    await new Promise(setImmediate)
    while (this.queue.length > 0) {
      await this.gather()
      const producer = (await this.isLost()) ? undefined : await this.connected()
      if (producer === undefined) continue
      const group = this.takeGroup()
      if (group.length > 0) await this.send(producer, group)
    }
    this.running = undefined
  }

  /** What follows a send closely waits for more. */
  private async gather(): Promise<void> {
    const restMs = this.sentAtMs + SEND_EVERY_MS - performance.now()
    if (restMs > 0 && this.queue.length < GATHERED_MAX) await new Promise((resolve) => setTimeout(resolve, restMs))
    this.sentAtMs = performance.now()
  }

  /** The topic is another log by now: all that waits is refused. When no broker tells, the send shows what is. */
  private async isLost(): Promise<boolean> {
    try {
      await this.options.guard.confirm()
      return false
    } catch (error) {
      if (!(error instanceof LogIdentityError)) return false
      this.fail(this.queue.splice(0), { unknown: false, reason: error.detail, cause: error })
      return true
    }
  }

  /** A producer that is ready; without one, all that waits is refused: nothing of it was sent. */
  private async connected(): Promise<Producer | undefined> {
    if (this.producer !== undefined && this.produced < PRODUCER_RECORDS_MAX) return this.producer
    await this.retire()
    const producer = this.options.makeProducer()
    try {
      await producer.connect()
      this.producer = producer
      this.produced = 0
      return producer
    } catch (cause) {
      producer.disconnect().catch(() => {})
      this.fail(this.queue.splice(0), { unknown: false, reason: `no broker takes records for topic ${this.options.topic}`, cause })
      return undefined
    }
  }

  private async retire(): Promise<void> {
    const old = this.producer
    this.producer = undefined
    old?.disconnect().catch(() => {})
  }

  /** From the head of the queue: whole records, in order, within the limits of one send. */
  private takeGroup(): Entry[] {
    const batchMax = this.options.batchBytesMax * BATCH_FILL
    const used = new Map<number, number>()
    let total = 0
    let taken = 0
    for (const { record } of this.queue) {
      const bytes = bytesOf(record)
      const inPartition = (used.get(record.partition) ?? 0) + bytes
      if (taken > 0 && (inPartition > batchMax || total + bytes > SEND_BYTES_MAX)) break
      used.set(record.partition, inPartition)
      total += bytes
      taken += 1
    }
    const group = this.queue.splice(0, taken)
    // The rest of a batch that failed already is not sent.
    const dropped = group.filter(({ pending }) => pending.failure !== undefined)
    if (dropped.length === 0) return group
    this.finish(dropped)
    return group.filter(({ pending }) => pending.failure === undefined)
  }

  private async send(producer: Producer, group: readonly Entry[]): Promise<void> {
    const { topic, compression, guard } = this.options
    const messages: Message[] = group.map(({ record: { partition, key, value } }) => ({ partition, key, value: viewOf(value), headers: RECORD_HEADERS }))
    for (const { pending } of group) pending.sent = true
    this.produced += group.length
    try {
      note(await producer.send({ topic, acks: -1, compression, messages }), group, guard)
      // A send may outlast an outage, and the topic that took it may be another one.
      await guard.confirm()
    } catch (cause) {
      guard.doubt()
      await this.retire()
      this.fail(group, { unknown: true, reason: cause instanceof LogIdentityError ? cause.detail : `whether topic ${topic} holds the records is not known`, cause })
      return
    }
    this.finish(group)
  }

  private fail(entries: readonly Entry[], failure: NonNullable<Pending["failure"]>): void {
    for (const { pending } of entries) pending.failure ??= failure
    this.finish(entries)
  }

  private finish(entries: readonly Entry[]): void {
    let bytes = 0
    for (const { pending, record } of entries) {
      bytes += bytesOf(record)
      settle(pending, 1)
    }
    this.onDone(bytes)
  }
}

/** The writer's side of the log. `close` waits until everything queued is answered. */
export const makeAppender = (options: AppenderOptions): { readonly append: EventLogShape["append"]; readonly close: () => Promise<void> } => {
  const { partitions, batchBytesMax } = options
  let waiting = 0
  const senders = Array.from({ length: Math.min(LANES, partitions) }, () => new Sender(options, (bytes) => void (waiting -= bytes)))
  let closed = false

  const refusal = (batch: readonly LogRecord[], bytes: number): string | undefined => {
    const wrong = batch.find(({ partition }) => !Number.isInteger(partition) || partition < 0 || partition >= partitions)
    if (wrong !== undefined) return `partition ${wrong.partition} is not one of ${partitions}`
    const large = batch.find((record) => bytesOf(record) > batchBytesMax * BATCH_FILL)
    if (large !== undefined) return `a record of ${large.value.length} bytes is larger than topic ${options.topic} takes (max.message.bytes ${batchBytesMax})`
    if (closed) return "the log is closed"
    return waiting + bytes > QUEUE_BYTES_MAX ? `${waiting} bytes wait for the brokers of topic ${options.topic} already` : undefined
  }

  const append: EventLogShape["append"] = (batch) => {
    if (batch.length === 0) return Effect.succeed([])
    return Effect.callback<readonly AppendedAt[], AppendRejectedError | AppendUnknownError>((resume) => {
      const bytes = batch.reduce((sum, record) => sum + bytesOf(record), 0)
      const reason = refusal(batch, bytes)
      if (reason !== undefined) {
        resume(Effect.fail(rejected(reason)))
        return
      }
      waiting += bytes
      const pending: Pending = { batch, stored: Array.from({ length: batch.length }), done: resume, open: batch.length, sent: false, failure: undefined }
      batch.forEach((record, index) => senders[record.partition % senders.length]?.push({ pending, index, record }))
    })
  }
  const close = async (): Promise<void> => {
    closed = true
    await Promise.all(senders.map((sender) => sender.close()))
  }
  return { append, close }
}
