/** How quickly this process folds a definition: a little of the log is folded and thrown away. */
import { compileDefinition } from "@tidemark/domain/definitions/compile"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { hashSeedOf } from "@tidemark/domain/events/hashSeed"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { foldBatches } from "./verify.ts"
import { LaneFold } from "./verifyFold.ts"
import { Prefix } from "./verifyPrefix.ts"

/** It ends with the first of these. */
const SAMPLE_MS = 1_000
const RECORDS_MAX = 200_000
const READ_BYTES_MAX = 256 << 10

/** Records a second of one thread, nothing stored; undefined where the log is too short to tell. */
export const foldSample = Effect.fn("foldSample")(function* (definition: ProjectionDefinition) {
  const log = yield* EventLog
  const seed = hashSeedOf(log.identity.logId)
  const fold = new LaneFold(compileDefinition(definition, seed), seed, { index: 0, of: 1 }, Infinity)
  let [records, tookMs] = [0, 0]
  for (let partition = 0; partition < log.identity.partitions; partition++) {
    const { start, end } = yield* log.bounds(partition)
    const prefix = new Prefix()
    fold.startPartition(partition)
    let next = start
    while (next < end && tookMs < SAMPLE_MS && records < RECORDS_MAX) {
      const beganMs = yield* Clock.currentTimeMillis
      const taken = foldBatches(yield* log.read([{ partition, nextOffset: next }], { bytesMax: READ_BYTES_MAX, waitMaxMs: 0 }), start, end, fold, prefix)
      tookMs += (yield* Clock.currentTimeMillis) - beganMs
      if (taken === undefined) break
      records += Number(taken.next - next)
      next = taken.next
    }
  }
  return tookMs === 0 || records === 0 ? undefined : (records * 1_000) / tookMs
})
