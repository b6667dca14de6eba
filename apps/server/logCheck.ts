/**
 * The end of the log is checked at every start: a block that was damaged, replaced or taken out while the server stood
 * still is told at once, not only when somebody verifies. The whole log is checked by `tidemark verify`.
 */
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape } from "@tidemark/domain/ports/EventLog"
import { LOG_FAULTS, logFaultText } from "@tidemark/domain/ports/logFault"
import * as Effect from "effect/Effect"
import type { Telemetry } from "./context.ts"
import type { ReadyPart } from "./operations.ts"

/** Records of each partition that are checked. */
const RECORDS = 10_000n

const checkEnd = Effect.fn(function* (log: EventLogShape, partition: number) {
  const { start, end } = yield* log.bounds(partition)
  const from = end - RECORDS > start ? end - RECORDS : start
  return (yield* log.verify(partition, from)).records
})

/** The check, to be run once, and its part of /readyz. */
export const makeLogCheck = ({ log: lines }: Pick<Telemetry, "log">) => {
  const faults: string[] = []
  let records: bigint | undefined
  const found = (partition: number, fault: string): bigint => {
    faults.push(`partition ${partition}: ${fault}`)
    lines.error({ partition, fault }, "the log is not what was written; run tidemark verify")
    return 0n
  }
  const run = Effect.gen(function* () {
    const log = yield* EventLog
    let checked = 0n
    for (let partition = 0; partition < log.identity.partitions; partition++) {
      checked += yield* checkEnd(log, partition).pipe(
        Effect.catchTag(LOG_FAULTS, (error) => Effect.sync(() => found(partition, logFaultText(error)))),
        Effect.catchTag("LogUnavailableError", ({ cause }) => Effect.sync(() => (lines.warn({ partition, cause: String(cause) }, "the end of the log could not be checked"), 0n)))
      )
      yield* Effect.yieldNow
    }
    records = checked
  })
  const part = (): ReadyPart => {
    if (faults.length > 0) return { name: "end of the log", ready: false, detail: `${faults.join("; ")}; run tidemark verify` }
    return { name: "end of the log", ready: true, detail: records === undefined ? "being checked" : `the last ${records} records are what was written` }
  }
  return { run, part }
}
