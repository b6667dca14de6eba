/** A topic of generated events for the benchmarks of the distributed mode. */
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { Configuration } from "@tidemark/infra-wiring/configuration"
import { targetLog } from "@tidemark/infra-wiring/logs"
import * as Effect from "effect/Effect"
import type { LogShape } from "./benchLog.ts"
import { distributedConfiguration, freshNamespace } from "./engineSettings.ts"
import { makeEventStream } from "./eventStream.ts"

export const TOPIC_PARTITIONS = 12
export const TOPIC_LANES = 4
const APPEND_EVENTS = 1_000
const APPENDS_AT_ONCE = 4

/** A namespace of its own for each call: no topic, and no row, is there yet. */
export const topicConfiguration = (dataDir: string): Configuration =>
  distributedConfiguration(dataDir, freshNamespace(), { TIDEMARK_PARTITIONS: String(TOPIC_PARTITIONS), TIDEMARK_LANES: String(TOPIC_LANES) })

/** Writes the topic, the same for the same shape. Answers the bytes of an average event. */
export const writeTopic = (configuration: Configuration, { events, partitions, lanes, everyMs }: LogShape): Promise<number> => {
  const next = makeEventStream({ seed: 42, partitions, everyMs })
  const program = Effect.gen(function* () {
    const { append } = yield* EventLog
    let bytes = 0
    for (let written = 0; written < events;) {
      const batches = []
      for (let at = 0; at < APPENDS_AT_ONCE && written < events; at++) {
        const batch = Array.from({ length: Math.min(APPEND_EVENTS, events - written) }, next)
        for (const { value } of batch) bytes += value.length
        written += batch.length
        batches.push(append(batch))
      }
      yield* Effect.all(batches, { concurrency: "unbounded", discard: true })
    }
    return bytes / events
  })
  return Effect.runPromise(program.pipe(Effect.provide(targetLog(configuration, "distributed", { logId: "bench", partitions, lanes, createdAtMs: Date.UTC(2026, 0, 1) }))))
}

/** Records a generation will fold. */
export const recordsOf = Effect.gen(function* () {
  const log = yield* EventLog
  let records = 0n
  for (let partition = 0; partition < log.identity.partitions; partition++) records += (yield* log.bounds(partition)).end
  return Number(records)
})
