/**
 * Copies the events of a log into the search index, straight from the log, with checkpoints of its own beside the
 * documents. A document's id is its place, and what is there already is left: it may be stopped anywhere, and several at
 * once do no harm. A checkpoint is written only after what lies below it is stored and searchable.
 */
import { decodeRecord } from "@tidemark/domain/events/envelope"
import type { EventLogShape, LogBatch, LogReadError } from "@tidemark/domain/ports/EventLog"
import { describeLogFault } from "@tidemark/domain/ports/logFault"
import { EventIndexHaltedError } from "@tidemark/domain/ports/EventIndexing"
import type { EventIndexer, EventIndexerOptions, EventIndexerStatus } from "@tidemark/domain/ports/EventIndexing"
import type { SearchUnavailableError } from "@tidemark/domain/ports/SearchIndex"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { isAgain, sendBulk } from "./bulk.ts"
import type { BulkItem } from "./bulk.ts"
import type { Elasticsearch } from "./elasticsearchClient.ts"
import { orUnavailable } from "./elasticsearchClient.ts"
import type { RefusedEvent } from "./eventCheckpoints.ts"
import { EventCheckpoints } from "./eventCheckpoints.ts"
import { EVENT_SHAPE, EventNames, eventDocument, maybeDocument } from "./eventDocuments.ts"
import { Indices, writeAlias } from "./indices.ts"

const READ_BYTES = 512 * 1024
const READ_WAIT_MS = 500
/** What was stored is made searchable at most this often while more comes, ms. */
const REFRESH_EVERY_MS = 1_000
/** Near the log's end what comes is gathered this long, ms: a request costs the engine as much as some dozens of events. */
const GATHER_MS = 1_000
const EVENTS_PER_SECOND_MAX = 6_000
const RETRY_FIRST_MS = 200
const RETRY_MAX_MS = 10_000

interface Pending {
  readonly partition: number
  readonly offset: bigint
  readonly index: string
  readonly source: string
  /** What is sent when the engine refuses the source. */
  readonly maybe: () => string
}

const eventsOf = (batches: readonly LogBatch[], names: EventNames, position: Map<number, bigint>): readonly Pending[] => {
  const pending: Pending[] = []
  for (const { partition, firstOffset, bytes, ends } of batches) {
    for (let i = 0; i < ends.length; i++) {
      const value = bytes.subarray(i === 0 ? 0 : ends[i - 1], ends[i])
      const decoded = decodeRecord(value)
      const offset = firstOffset + BigInt(i)
      if (decoded.kind !== "event") continue
      const { event } = decoded
      pending.push({ partition, offset, index: names.monthly(event.receivedAtMs), source: eventDocument(partition, offset, event, value), maybe: () => maybeDocument(partition, offset, event, value) })
    }
    position.set(partition, firstOffset + BigInt(ends.length))
  }
  return pending
}

const isStored = ({ status }: BulkItem): boolean => (status >= 200 && status < 300) || status === 409

class Indexer {
  private readonly log: EventLogShape
  private readonly engine: Elasticsearch
  private readonly names: EventNames
  private readonly indices: Indices
  private readonly checkpoints: EventCheckpoints
  private readonly options: EventIndexerOptions
  private halt: EventIndexHaltedError | undefined
  private position = new Map<number, bigint>()
  private indexed = new Map<number, bigint>()
  private refused = 0
  /** Indices with documents that are not searchable yet. */
  private readonly unsearchable = new Set<string>()
  private refreshedMs = -Infinity
  private attempt = 0

  constructor(engine: Elasticsearch, log: EventLogShape, namespace: string, options: EventIndexerOptions) {
    this.engine = engine
    this.log = log
    this.names = new EventNames(namespace, log.identity.logId)
    this.indices = new Indices(engine)
    this.checkpoints = new EventCheckpoints(engine, this.indices, this.names)
    this.options = options
  }

  status = (): EventIndexerStatus => ({ halt: this.halt === undefined ? undefined : { code: this.halt.code, detail: this.halt.detail }, indexed: this.indexed, refused: this.refused })

  /** Sends documents; answers those to be sent again, and those the engine refuses. */
  private async send(pending: readonly Pending[], sourceOf: (event: Pending) => string): Promise<{ readonly again: readonly Pending[]; readonly refused: readonly (readonly [Pending, string])[] }> {
    const items = await sendBulk(this.engine, pending.flatMap((event) => [`{"create":{"_index":"${writeAlias(event.index)}","_id":"${event.partition}-${event.offset}","require_alias":true}}`, sourceOf(event)]))
    const again: Pending[] = []
    const refused: (readonly [Pending, string])[] = []
    for (const [at, event] of pending.entries()) {
      const item = items[at] ?? { status: 0, error: undefined }
      if (isStored(item)) this.unsearchable.add(event.index)
      else if (isAgain(item)) {
        again.push(event)
        if (item.status === 404) this.indices.forget(event.index)
      } else refused.push([event, `${item.status} ${item.error}`])
    }
    return { again, refused }
  }

  /** Puts what is not stored yet; answers what has to be sent again. */
  private async put(pending: readonly Pending[]): Promise<readonly Pending[]> {
    const names = new Set(pending.map(({ index }) => index))
    await Promise.all([...names].map((name) => this.indices.ensure(name, EVENT_SHAPE)))
    const { again, refused } = await this.send(pending, ({ source }) => source)
    if (refused.length === 0) return again
    // Found by their record then, if no sooner.
    const rest = await this.send(refused.map(([event]) => event), ({ maybe }) => maybe())
    await this.checkpoints.keepRefused(rest.refused.map(([{ partition, offset }, reason]): RefusedEvent => ({ partition, offset, reason })))
    if (rest.refused.length > 0) this.refused = await this.checkpoints.refused()
    return [...again, ...rest.again]
  }

  private readonly backoff = Effect.suspend(() => Effect.flatMap(Random.next, (part) =>
    Effect.sleep(Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(this.attempt++, 10)) * (0.5 + part / 2))))

  private readonly store = Effect.fn("storeEvents")({ self: this }, function* (events: readonly Pending[]) {
    for (let left = events; left.length > 0;) {
      const sent = left
      left = yield* orUnavailable(() => this.put(sent))
      if (left.length > 0) {
        this.options.retrying?.(`${left.length} events have to be sent again`)
        yield* this.backoff
      }
    }
    this.attempt = 0
  })

  private async makeSearchable(): Promise<void> {
    const names = [...this.unsearchable]
    if (names.length > 0) await this.engine.need("POST", `/${names.join()}/_refresh`)
    const moved = new Map([...this.position].filter(([partition, next]) => next !== this.indexed.get(partition)))
    await this.checkpoints.advance(moved)
    for (const name of names) this.unsearchable.delete(name)
    this.indexed = new Map(this.position)
  }

  /** Takes up the checkpoints, which have to lie within the log. */
  private readonly begin = Effect.gen({ self: this }, function* () {
    const partitions = this.options.partitions ?? Array.from({ length: this.log.identity.partitions }, (_, partition) => partition)
    const found = yield* orUnavailable(() => this.checkpoints.read(partitions))
    this.refused = yield* orUnavailable(() => this.checkpoints.refused())
    for (const partition of partitions) {
      const next = found.get(partition) ?? 0n
      const { start, end } = yield* this.log.bounds(partition)
      if (next > end) return yield* new EventIndexHaltedError({ code: "LOG_DIVERGED", detail: `partition ${partition} is indexed up to ${next} and ends at ${end}` })
      if (next > 0n && next < start) return yield* new EventIndexHaltedError({ code: "LOG_GAP", detail: `partition ${partition} is indexed up to ${next} and begins at ${start}` })
      this.position.set(partition, next > start ? next : start)
    }
    this.indexed = new Map(this.position)
  })

  private readonly step = Effect.gen({ self: this }, function* () {
    const from = [...this.position].map(([partition, nextOffset]) => ({ partition, nextOffset }))
    const batches = yield* this.log.read(from, { bytesMax: READ_BYTES, waitMaxMs: READ_WAIT_MS })
    const position = new Map(this.position)
    const beganMs = yield* Clock.currentTimeMillis
    const events = eventsOf(batches, this.names, position)
    yield* this.store(events)
    this.position = position
    const nowMs = yield* Clock.currentTimeMillis
    if (batches.length === 0 || nowMs >= this.refreshedMs + REFRESH_EVERY_MS) {
      yield* orUnavailable(() => this.makeSearchable())
      this.refreshedMs = beganMs
    }
    if (batches.length === 0) return
    const isBehind = batches.some(({ more }) => more)
    const pacedMs = (1_000 * events.length) / (this.options.eventsPerSecondMax ?? EVENTS_PER_SECOND_MAX)
    yield* Effect.sleep(Math.max(0, beganMs + Math.max(pacedMs, isBehind ? 0 : GATHER_MS) - (yield* Clock.currentTimeMillis)))
  })

  private readonly stop = (error: EventIndexHaltedError): Effect.Effect<never> => Effect.andThen(Effect.sync(() => {
    this.halt = error
    this.options.halted?.(error)
  }), Effect.never)

  private readonly handle = (error: LogReadError | SearchUnavailableError | EventIndexHaltedError): Effect.Effect<void> => {
    if (error._tag === "EventIndexHaltedError") return this.stop(error)
    if (error._tag !== "LogUnavailableError" && error._tag !== "SearchUnavailableError") return this.stop(new EventIndexHaltedError(describeLogFault(error)))
    this.options.retrying?.(String(error.cause))
    // From the checkpoints again: what this run believes may not be there any more.
    this.position.clear()
    return this.backoff
  }

  readonly run: Effect.Effect<never> = Effect.forever(Effect.catch(
    Effect.suspend(() => (this.position.size === 0 ? Effect.andThen(this.begin, this.step) : this.step)), (error) => this.handle(error)))
}

/** An indexer of `log` into the indices of one namespace. */
export const makeEventIndexer = (engine: Elasticsearch, log: EventLogShape, namespace: string, options: EventIndexerOptions): EventIndexer => {
  const indexer = new Indexer(engine, log, namespace, options)
  return { run: indexer.run, status: indexer.status }
}
