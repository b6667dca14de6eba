/**
 * The event store on EventStoreDB or KurrentDB, over gRPC.
 *
 * Streams carry the namespace as a prefix; everything else in the store (system events, other installations) is passed
 * over. An append always names the revision it expects, because only then does the server recognise one that is sent
 * again. Each call ends after a few seconds, whatever the server does; the client connects anew by itself.
 */
import { EventStore, EventStoreUnavailableError, WrongRevisionError } from "@tidemark/domain/ports/EventStore"
import type { EventStoreShape, NewStoredEvent, StoredEvent } from "@tidemark/domain/ports/EventStore"
import { BACKWARDS, END, EventStoreDBClient, FORWARDS, NO_STREAM, START, StreamNotFoundError, WrongExpectedVersionError, jsonEvent, streamNameFilter } from "@eventstore/db-client"
import type { AllStreamRecordedEvent, AllStreamResolvedEvent, AppendExpectedRevision, JSONType, RecordedEvent, ResolvedEvent, StreamingRead } from "@eventstore/db-client"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { answerWithin } from "./answerWithin.ts"

/** The server does not answer at start, or the address cannot be read. `url` is without user and password. */
export class EventStoreUnreachableError extends Schema.TaggedError<EventStoreUnreachableError>()("EventStoreUnreachableError", { url: Schema.String, cause: Schema.Defect() }) {}

export interface EventStoreDbSettings {
  /** `esdb://[user:password@]host:port?tls=false`, or `kurrentdb:` in newer servers' documents. */
  readonly url: string
  readonly namespace: string
}

const CALL_MAX_MS = 5_000
const PAGE_EVENTS = 500
/** An unchecked append looks for its ids among so many of the stream's last events. */
const LOOK_BACK_EVENTS = 1_000

interface Appended {
  readonly revision: bigint
  readonly position: bigint
}

const unavailable = (cause: unknown): EventStoreUnavailableError => new EventStoreUnavailableError({ cause })

const positionOf = ({ position }: RecordedEvent): bigint => {
  if (position === undefined) throw new Error("the server answered an event without its position")
  return position.commit
}

/** The events of a read, which is cut off when it takes too long. */
const collect = async <E extends ResolvedEvent | AllStreamResolvedEvent>(reading: StreamingRead<E>): Promise<NonNullable<E["event"]>[]> => {
  const found: NonNullable<E["event"]>[] = []
  const all = async (): Promise<void> => {
    for await (const { event } of reading) if (event !== undefined) found.push(event)
  }
  await answerWithin(CALL_MAX_MS, all(), () => void reading.cancel())
  return found
}

/** Everything of one namespace in one store. */
class Streams {
  private readonly client: EventStoreDBClient
  private readonly prefix: string
  /** Nothing of ours stands after `after` and at or before `upTo`: where a look from `after` may begin. */
  private quiet = { after: -1n, upTo: -1n }

  constructor(client: EventStoreDBClient, prefix: string) {
    this.client = client
    this.prefix = prefix
  }

  private toStored(event: RecordedEvent | AllStreamRecordedEvent): StoredEvent {
    const { id, type, data, metadata, revision, created } = event as RecordedEvent
    return {
      id, type, data, ...(metadata === undefined ? {} : { metadata: metadata as Readonly<Record<string, string>> }),
      stream: event.streamId.slice(this.prefix.length), revision, position: positionOf(event as RecordedEvent), createdAtMs: created.getTime()
    }
  }

  async readStream(stream: string, fromRevision: bigint, limit: number, backwards = false): Promise<readonly StoredEvent[]> {
    if (limit <= 0) return []
    const begin = backwards ? END : fromRevision < 0n ? 0n : fromRevision
    try {
      const reading = this.client.readStream(this.prefix + stream, { direction: backwards ? BACKWARDS : FORWARDS, fromRevision: begin, maxCount: limit })
      return (await collect(reading)).map((event) => this.toStored(event))
    } catch (error) {
      if (error instanceof StreamNotFoundError) return []
      throw error
    }
  }

  /** Our events after the position, looked for page by page until there are enough or the store ends. */
  async readAfter(afterPosition: bigint, limit: number): Promise<readonly StoredEvent[]> {
    if (limit <= 0) return []
    const found: StoredEvent[] = []
    let from = afterPosition === this.quiet.after ? this.quiet.upTo : afterPosition
    for (;;) {
      const page = await collect(this.client.readAll({ direction: FORWARDS, fromPosition: from <= 0n ? START : { commit: from, prepare: from }, maxCount: PAGE_EVENTS }))
      for (const event of page) {
        if (found.length === limit) return found
        if (positionOf(event as RecordedEvent) > afterPosition && event.streamId.startsWith(this.prefix)) found.push(this.toStored(event))
      }
      const last = page.at(-1)
      if (last !== undefined) from = positionOf(last as RecordedEvent)
      if (page.length < PAGE_EVENTS) break
    }
    if (found.length === 0) this.quiet = { after: afterPosition, upTo: from }
    return found
  }

  /** Resolves with true when an event of ours stands after the position, with false when none came in time. */
  async awaitNews(afterPosition: bigint, waitMaxMs: number, signal: AbortSignal): Promise<boolean> {
    const from = afterPosition === this.quiet.after ? this.quiet.upTo : afterPosition
    const subscription = this.client.subscribeToAll({
      fromPosition: from <= 0n ? START : { commit: from, prepare: from }, filter: streamNameFilter({ prefixes: [this.prefix] })
    })
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<boolean>((resolve, reject) => {
        timer = setTimeout(() => resolve(false), waitMaxMs)
        signal.addEventListener("abort", () => resolve(false), { once: true })
        subscription.on("data", () => resolve(true))
        subscription.on("error", reject)
        subscription.on("end", () => reject(new Error("the server ended the subscription")))
      })
    } finally {
      clearTimeout(timer)
      subscription.on("error", () => {})
      void subscription.unsubscribe().catch(() => {})
    }
  }

  private async send(stream: string, events: readonly NewStoredEvent[], expected: bigint): Promise<Appended | WrongRevisionError> {
    const expectedRevision: AppendExpectedRevision = expected < 0n ? NO_STREAM : expected
    const sent = events.map(({ id, type, data, metadata }) => jsonEvent({ id, type, data: data as JSONType, ...(metadata === undefined ? {} : { metadata }) }))
    try {
      const { nextExpectedRevision } = await answerWithin(CALL_MAX_MS, this.client.appendToStream(this.prefix + stream, sent, { expectedRevision, deadline: CALL_MAX_MS }))
      return this.placeOf(stream, nextExpectedRevision)
    } catch (error) {
      if (!(error instanceof WrongExpectedVersionError)) throw error
      const actual = typeof error.actualVersion === "bigint" ? error.actualVersion : -1n
      return new WrongRevisionError({ stream, expected, actual })
    }
  }

  /** The server names no position for an append it recognised: the event itself does. */
  private async placeOf(stream: string, revision: bigint): Promise<Appended> {
    const [event] = await this.readStream(stream, revision, 1)
    if (event?.revision !== revision) throw new Error(`${stream} has no event ${revision} right after it was appended`)
    return { revision, position: event.position }
  }

  private async last(stream: string): Promise<Appended> {
    const [event] = await this.readStream(stream, 0n, 1, true)
    return event === undefined ? { revision: -1n, position: 0n } : event
  }

  private async appendNothing(stream: string, expected: bigint | "any"): Promise<Appended | WrongRevisionError> {
    const { revision, position } = await this.last(stream)
    return expected === "any" || expected === revision ? { revision, position } : new WrongRevisionError({ stream, expected, actual: revision })
  }

  /** Unchecked: finds the same append among the last events of the stream, or appends at its end as it is then. */
  private async appendAnywhere(stream: string, events: readonly NewStoredEvent[]): Promise<Appended | WrongRevisionError> {
    for (;;) {
      const recent = await this.readStream(stream, 0n, LOOK_BACK_EVENTS, true)
      const known = recent.find(({ id }) => id === events[0]?.id)
      const expected = (known === undefined ? (recent[0]?.revision ?? -1n) + 1n : known.revision) - 1n
      const outcome = await this.send(stream, events, expected)
      if (known !== undefined || !(outcome instanceof WrongRevisionError)) return outcome
    }
  }

  append(stream: string, events: readonly NewStoredEvent[], expected: bigint | "any"): Promise<Appended | WrongRevisionError> {
    if (events.length === 0) return this.appendNothing(stream, expected)
    return expected === "any" ? this.appendAnywhere(stream, events) : this.send(stream, events, expected)
  }
}

const makeStore = (streams: Streams): EventStoreShape => {
  const readNow = (afterPosition: bigint, limit: number) => Effect.tryPromise({ try: () => streams.readAfter(afterPosition, limit), catch: unavailable })
  return {
    append: (stream, events, expectedRevision) =>
      Effect.flatMap(Effect.tryPromise({ try: () => streams.append(stream, events, expectedRevision), catch: unavailable }), (outcome) =>
        outcome instanceof WrongRevisionError ? Effect.fail(outcome) : Effect.succeed(outcome)),
    readStream: (stream, fromRevision, limit) => Effect.tryPromise({ try: () => streams.readStream(stream, fromRevision, limit), catch: unavailable }),
    readAll: (afterPosition, limit, waitMaxMs) =>
      Effect.flatMap(readNow(afterPosition, limit), (found) => {
        if (found.length > 0 || waitMaxMs <= 0 || limit <= 0) return Effect.succeed(found)
        const news = Effect.tryPromise({ try: (signal) => streams.awaitNews(afterPosition, waitMaxMs, signal), catch: unavailable })
        return Effect.flatMap(news, (came) => (came ? readNow(afterPosition, limit) : Effect.succeed([])))
      })
  }
}

const withoutSecrets = (url: string): string => url.replace(/\/\/[^@/]*@/, "//")

const open = (settings: EventStoreDbSettings): Effect.Effect<EventStoreShape, EventStoreUnreachableError, Scope.Scope> =>
  Effect.gen(function* () {
    const failed = (cause: unknown) => new EventStoreUnreachableError({ url: withoutSecrets(settings.url), cause })
    const client = yield* Effect.acquireRelease(
      Effect.try({ try: () => EventStoreDBClient.connectionString(settings.url), catch: failed }),
      (held) => Effect.promise(() => held.dispose())
    )
    yield* Effect.tryPromise({ try: () => collect(client.readAll({ direction: BACKWARDS, fromPosition: END, maxCount: 1 })), catch: failed })
    return makeStore(new Streams(client, `${settings.namespace}-`))
  })

/** The event store of one namespace in the server at `settings.url`. Needs it at start and recovers when it comes back later. */
export const eventStoreDb = (settings: EventStoreDbSettings): Layer.Layer<EventStore, EventStoreUnreachableError> => Layer.effect(EventStore, open(settings))
