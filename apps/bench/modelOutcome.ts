/** What a fold has stored, in one number, so that runs of different shape can be held against each other. */
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { hashHex } from "@tidemark/domain/measures/hash"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { digestLabel, modelDigest } from "@tidemark/projections/runtime/modelDigest"
import * as Effect from "effect/Effect"

const LABEL_LENGTH = 16

/**
 * Hash over the model digest, positions and counters of one generation of each projection, the first unless said otherwise; the same for any number of
 * lanes and threads; and the late events. All tenants must have live events. Fails when rows were not accounted for.
 */
export const modelOutcome = Effect.fn("modelOutcome")(function* (definitions: readonly ProjectionDefinition[], generation = 1) {
  const store = yield* ReadModelStore
  return yield* Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* store.snapshot
    let [text, late] = ["", 0n]
    for (const { name } of definitions) {
      const record = yield* snapshot.generation(name, generation)
      if (record === undefined) continue
      const { digest, unaccounted } = yield* modelDigest(snapshot, record, [])
      if (unaccounted.length > 0) return yield* Effect.die(new Error(`rows of ${name}, lanes ${unaccounted.join()}, are not what their digests say`))
      const partitions = (yield* snapshot.checkpoints(name, generation)).flatMap((lane) => lane.partitions).sort((a, b) => a.partition - b.partition)
      for (const { counters } of partitions) late += counters.late
      text += digestLabel(digest) + partitions.map(({ counters, nextOffset }) => [nextOffset, ...Object.values(counters)].join(" ")).join(",")
    }
    return { digest: hashHex(text, 0).slice(0, LABEL_LENGTH), late: Number(late) }
  }))
})
