/**
 * Feeds the window index from the outbox, strictly after the commit. Every window that changed is read again, all its
 * partials in one snapshot, and put as a whole with the sum of their revisions as its version. At least once; an older
 * document never overwrites a newer one, so order does not matter. The cursor never passes what is not resolved.
 *
 * A generation whose image is not known to be complete is published whole first: a new index, one that was lost, or the
 * image of another history of the store. Rules: docs/semantics.md §7.
 */
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { ReadModelStoreShape, StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import type { SearchUnavailableError } from "@tidemark/domain/ports/SearchIndex"
import { SEARCH_CONSUMER, WindowIndex } from "@tidemark/domain/ports/WindowIndex"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { collectChanges } from "./searchChanges.ts"
import { makeSearchImages } from "./searchImages.ts"
import type { SearchConflictError } from "./searchPut.ts"

/** The outbox is looked at this often without being told, ms: other processes commit too. */
const LOOK_EVERY_MS = 500
/**
 * Rounds begin at least this far apart, ms. A window that changes with every commit is read and put once a round; searches
 * would not see more of it, since the index makes what it was given searchable once a second.
 */
const ROUND_EVERY_MS = 1_000
/** An acknowledgement is a commit of its own: at least this far apart while there is more to do, ms. */
const ACK_EVERY_MS = 1_000
const RETRY_MS = 1_000

export interface SearchPublisherOptions {
  /** Tenants whose windows may be stored, besides those the checkpoints name. */
  readonly tenants: Effect.Effect<readonly string[]>
  /** Something goes wrong and is tried again. */
  readonly retrying?: (cause: string) => void
  /** Two contents of one revision: publishing ends until somebody decides. */
  readonly halted?: (error: SearchConflictError) => void
}

export interface SearchPublisherStatus {
  /** `REV_CONFLICT` and where; undefined while it goes on. */
  readonly halt: { readonly code: "REV_CONFLICT"; readonly detail: string } | undefined
  /** Documents the index refused, by `projection/generation`; those views are degraded. */
  readonly refused: ReadonlyMap<string, number>
  /** Documents put since the start. */
  readonly documents: number
  /** Why something was tried again last, and when, Unix ms; undefined once all that was committed is there. */
  readonly retry: { readonly cause: string; readonly atMs: number } | undefined
}

export interface SearchPublisher {
  /** Something was committed. Cheap; many calls before the next round count as one. */
  readonly wake: () => void
  /** Publishes until interrupted; begins with what an earlier run left. */
  readonly run: Effect.Effect<never, never, ReadModelStore | WindowIndex>
  readonly status: () => SearchPublisherStatus
  /** How long the oldest commit has waited for its documents, ms; 0 when all are there. */
  readonly ageMs: (nowMs: number) => number
}

interface Acknowledged {
  to: bigint
  atMs: number
}

const acknowledge = Effect.fn("acknowledgeSearch")(function* (store: ReadModelStoreShape, upTo: bigint, last: Acknowledged, everyMs: number) {
  const nowMs = yield* Clock.currentTimeMillis
  if (upTo <= last.to || nowMs < last.atMs + everyMs) return
  yield* store.ackOutbox(SEARCH_CONSUMER, upTo)
  last.to = upTo
  last.atMs = nowMs
})

type RoundError = StoreUnavailableError | SearchUnavailableError | SearchConflictError

/** One publisher per read-model store; several at once do no harm. */
export const makeSearchPublisher = (options: SearchPublisherOptions): SearchPublisher => {
  let retry: SearchPublisherStatus["retry"]
  const retrying = (cause: string, atMs: number): void => {
    retry = { cause, atMs }
    options.retrying?.(cause)
  }
  const images = makeSearchImages(options.tenants, retrying)
  let bell: Queue.Queue<true> | undefined
  let halt: SearchPublisherStatus["halt"]
  let waitingSinceMs: number | undefined
  let roundAtMs = -Infinity
  const last: Acknowledged = { to: 0n, atMs: -Infinity }

  const round = Effect.gen(function* () {
    const store = yield* ReadModelStore
    roundAtMs = yield* Clock.currentTimeMillis
    waitingSinceMs ??= roundAtMs
    const { cursor, created } = yield* store.registerOutbox(SEARCH_CONSUMER)
    if (created) yield* images.distrust
    yield* images.catchUp
    let after = cursor
    for (;;) {
      const changes = yield* collectChanges(store, SEARCH_CONSUMER, after)
      if (changes === undefined) break
      yield* images.publish(changes.keys)
      after = changes.upTo
      yield* acknowledge(store, after, last, ACK_EVERY_MS)
      if (changes.isAll) break
    }
    yield* acknowledge(store, after, last, 0)
    waitingSinceMs = undefined
    retry = undefined
  })

  const stop = (error: SearchConflictError): Effect.Effect<void> => Effect.andThen(Effect.sync(() => {
    halt = { code: "REV_CONFLICT", detail: error.detail }
    options.halted?.(error)
  }), Effect.never)
  const waitAndRetry = (error: StoreUnavailableError | SearchUnavailableError): Effect.Effect<void> => Effect.andThen(Effect.map(Clock.currentTimeMillis, (nowMs) => {
    last.to = 0n
    retrying(String(error.cause), nowMs)
  }), Effect.sleep(RETRY_MS))
  const handle = (error: RoundError): Effect.Effect<void> => (error._tag === "SearchConflictError" ? stop(error) : waitAndRetry(error))

  const run = Effect.gen(function* () {
    const rings = yield* Queue.sliding<true>(1)
    bell = rings
    halt = undefined
    last.to = 0n
    const pause = Effect.flatMap(Clock.currentTimeMillis, (nowMs) => Effect.sleep(Math.max(0, roundAtMs + ROUND_EVERY_MS - nowMs)))
    const rest = Effect.andThen(pause, Effect.raceFirst(Queue.take(rings), Effect.sleep(LOOK_EVERY_MS)))
    return yield* Effect.forever(Effect.andThen(Effect.catch(round, handle), rest))
  })
  return {
    wake: () => {
      if (bell !== undefined) Queue.offerUnsafe(bell, true)
    },
    run,
    status: () => ({ halt, retry, ...images.status() }),
    ageMs: (nowMs) => (waitingSinceMs === undefined ? 0 : Math.max(0, nowMs - waitingSinceMs))
  }
}
