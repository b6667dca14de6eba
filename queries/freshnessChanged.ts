/** Freshness that follows the projections' checkpoints. */
import type { EventLog } from "@tidemark/domain/ports/EventLog"
import { checkpointTopic, pointerTopic } from "@tidemark/domain/ports/hintTopic"
import type { PubSub } from "@tidemark/domain/ports/PubSub"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Scope from "effect/Scope"
import type { QueryError } from "./errors.ts"
import { freshness } from "./freshness.ts"
import type { PartitionFreshness } from "./freshness.ts"
import { listen } from "./news.ts"

/** Least time between two messages of one subscription. */
const MESSAGE_EVERY_MS = 500

const isSame = (a: readonly PartitionFreshness[] | undefined, b: readonly PartitionFreshness[]): boolean =>
  a !== undefined && a.length === b.length && a.every((left, index) => {
    const right = b[index]
    return right !== undefined && (Object.keys(left) as (keyof PartitionFreshness)[]).every((name) => left[name] === right[name])
  })

const followFreshness = Effect.fn("followFreshness")(function* (tenantId: string) {
  const store = yield* ReadModelStore
  const pointers = yield* Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => snapshot.pointers))
  const news = yield* listen(pointers.flatMap(({ projection }) => [checkpointTopic(projection), pointerTopic(projection)]), () => MESSAGE_EVERY_MS)
  let last: readonly PartitionFreshness[] | undefined
  const next = Effect.gen(function* () {
    for (;;) {
      if (last !== undefined) yield* news.next
      const answer = yield* freshness({}, tenantId)
      if (isSame(last, answer)) continue
      last = answer
      return answer
    }
  })
  return Stream.fromEffectRepeat(next)
})

/** First how it stands, then whenever a checkpoint of a projection moved or another generation is served: at most 2 messages a second. */
export const freshnessChanged = (_input: Readonly<Record<string, never>>, tenantId: string): Stream.Stream<readonly PartitionFreshness[], QueryError, ReadModelStore | EventLog | PubSub> =>
  Stream.unwrap(followFreshness(tenantId) satisfies Effect.Effect<unknown, QueryError, ReadModelStore | EventLog | PubSub | Scope.Scope>)
