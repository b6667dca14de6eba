/** The write side's one loop: read the stream, decide, append at the revision read; decide again when somebody was quicker. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { v7 } from "uuid"
import { SettingsCorruptError } from "@tidemark/domain/settings/streams"
import { EventStore } from "@tidemark/domain/ports/EventStore"

const PAGE_EVENTS = 500
const ATTEMPTS_MAX = 10

/** Who does it and why; stored with every event as its audit trail. */
export interface Act {
  /** Prefix of the acting key, or the part of the product that acts. */
  readonly actor: string
  readonly reason: string
}

/** An event of an aggregate before it is stored. */
interface SettingsEvent {
  readonly type: string
  readonly data: unknown
}

/** How one aggregate reads its stream. */
export interface Aggregate<State, Event extends SettingsEvent> {
  readonly stream: string
  readonly read: (type: string, data: unknown) => Event | "other" | "corrupt"
  readonly evolve: (state: State | undefined, event: Event) => State | undefined
}

/** Folds a whole stream. Answers the state and the last revision, −1 for a stream that does not exist. */
export const loadAggregate = Effect.fn(function* <State, Event extends SettingsEvent>({ stream, read, evolve }: Aggregate<State, Event>) {
  const store = yield* EventStore
  let state: State | undefined
  let revision = -1n
  for (;;) {
    const page = yield* store.readStream(stream, revision + 1n, PAGE_EVENTS)
    for (const stored of page) {
      const event = read(stored.type, stored.data)
      if (event === "corrupt") return yield* new SettingsCorruptError({ stream, type: stored.type })
      if (event !== "other") state = evolve(state, event)
      revision = stored.revision
    }
    if (page.length < PAGE_EVENTS) return { state, revision }
  }
})

/** What was appended; `position` is absent when nothing had to be. */
export interface Appended {
  readonly position?: bigint
}

/** `decide` answers events, none when nothing is to be done, or the error that refuses. */
export const decideAndAppend = Effect.fn(function* <State, Event extends SettingsEvent, Refusal extends Error>(
  aggregate: Aggregate<State, Event>,
  act: Act,
  decide: (state: State | undefined) => readonly Event[] | Refusal
) {
  const store = yield* EventStore
  const msecs = yield* Clock.currentTimeMillis
  const attempt = Effect.gen(function* () {
    const { state, revision } = yield* loadAggregate(aggregate)
    const decided = decide(state)
    if (decided instanceof Error) return yield* Effect.fail(decided)
    if (decided.length === 0) return {} satisfies Appended
    const events = decided.map(({ type, data }) => ({ id: v7({ msecs }), type, data, metadata: { actor: act.actor, reason: act.reason } }))
    const { position } = yield* store.append(aggregate.stream, events, revision)
    return { position } satisfies Appended
  })
  const isOvertaken = (error: { readonly _tag?: string } | Error): boolean => "_tag" in error && error._tag === "WrongRevisionError"
  const appended: Appended = yield* Effect.retry(attempt, { times: ATTEMPTS_MAX - 1, while: isOvertaken })
  return appended
})
