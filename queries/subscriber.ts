/** A subscriber whose time is the specification's: nothing passes but what it lets pass. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"

/** Turns that every fiber gets before and after time passes: more than any of them takes until it waits. */
const TURNS = 100

const settle = Effect.repeat(Effect.yieldNow, { times: TURNS })

/** Lets everything run until it waits, time pass, and everything run again. */
export const pass = (ms: number): Effect.Effect<void> => Effect.andThen(Effect.andThen(settle, TestClock.adjust(ms)), Effect.asVoid(settle))

export interface Subscriber<A> {
  /** Everything told so far. */
  readonly told: readonly A[]
  /** Undefined while the stream goes on. */
  readonly failure: () => unknown
  readonly leave: Effect.Effect<void>
}

/** Subscribes, and answers once the first messages were told. */
export const subscribe = <A, E>(stream: Stream.Stream<A, E>): Effect.Effect<Subscriber<A>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const told: A[] = []
    let failure: unknown
    const fiber = yield* Effect.forkScoped(Stream.runForEach(stream, (item) => Effect.sync(() => void told.push(item))).pipe(Effect.catch((error: E) => Effect.sync(() => {
      failure = error
    }))))
    yield* pass(0)
    return { told, failure: () => failure, leave: Fiber.interrupt(fiber) }
  })

/** Runs a specification under a clock of its own. */
export const underTestClock = (use: () => Effect.Effect<void, unknown, Scope.Scope>) => (): Promise<void> =>
  Effect.runPromise(Effect.scoped(Effect.suspend(use)).pipe(Effect.provide(TestClock.layer())))
