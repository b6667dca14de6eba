/** What operators ask a running server: is every part ready, what is the log, does everything still add up. */
import { formatRfc3339 } from "@tidemark/domain/time/rfc3339"
import { EventLog, LogIdentityError } from "@tidemark/domain/ports/EventLog"
import type { LogUnavailableError } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { PartitionCheckpoint } from "@tidemark/domain/ports/ReadModelStore"
import { conservationFault as countersFault } from "@tidemark/projections/runtime/conservation"
import { isPause } from "@tidemark/domain/ports/projectionPause"
import * as Effect from "effect/Effect"

export interface ReadyPart {
  readonly name: string
  readonly ready: boolean
  readonly detail: string
}

/** A projection further behind than this makes the server unready, records. */
const LAG_READY_MAX = 100_000n

const partitionsOf = (partitions: number): readonly number[] => Array.from({ length: partitions }, (_, partition) => partition)

/** Why an engine did not answer, in the words of its client. */
const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const logFault = (cause: unknown): string =>
  cause instanceof LogIdentityError ? `is not the log that was opened: ${cause.detail}` : `does not answer: ${reasonOf(cause)}`

/** Records of the log in all partitions; a part that is not ready where it does not answer. */
const readLogEnds = Effect.gen(function* () {
  const log = yield* EventLog
  const bounds = yield* Effect.forEach(partitionsOf(log.identity.partitions), (partition) => log.bounds(partition))
  const records = bounds.reduce((sum, { end }) => sum + end, 0n)
  return { records, part: { name: "log", ready: true, detail: `${records} records in ${bounds.length} partitions` } satisfies ReadyPart }
}).pipe(Effect.catchTag("LogUnavailableError", ({ cause }) =>
  Effect.succeed({ records: undefined, part: { name: "log", ready: false, detail: logFault(cause) } satisfies ReadyPart })))

/** Each active projection with its lag or its halt. `records`: of the log; undefined when that is not known. */
const readProjections = (records: bigint | undefined) =>
  Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* (yield* ReadModelStore).snapshot
    const halts = yield* snapshot.halts
    const stale = new Map((yield* snapshot.staleViews).map((view) => [view.projection, view]))
    const parts: ReadyPart[] = []
    for (const { projection, generation } of yield* snapshot.pointers) {
      const halt = halts.find((entry) => entry.projection === projection && entry.generation === generation)
      const pause = halts.find((entry) => entry.projection === projection && isPause(entry))
      const checkpoints = yield* snapshot.checkpoints(projection, generation)
      const next = checkpoints.flatMap(({ partitions }) => partitions).reduce((sum, { nextOffset }) => sum + nextOffset, 0n)
      const lag = records === undefined ? undefined : records - next
      const view = stale.get(projection)
      // What is served is right: whoever reads the view is told, and the process stays ready.
      const behind = view === undefined ? "" : `, DEGRADED: the view ${view.view} shows generation ${view.generation}: ${view.reason}`
      parts.push({
        name: `projection ${projection}`,
        // One that was paused on purpose is where it is wanted: the process is ready, and says so.
        ready: halt === undefined && lag !== undefined && (lag <= LAG_READY_MAX || pause !== undefined),
        detail: halt === undefined
          ? `${pause === undefined ? "" : `PAUSED ${pause.detail}, `}generation ${generation}, ${lag === undefined ? "how far behind is not known" : `${lag} records behind`}${behind}`
          : `HALTED ${halt.code}: ${halt.detail}${behind}`
      })
    }
    return parts
  })).pipe(Effect.catchTag("StoreUnavailableError", ({ store, cause }) =>
    Effect.succeed<readonly ReadyPart[]>([{ name: "read models", ready: false, detail: `${store} does not answer: ${reasonOf(cause)}` }])))

/** The log, and each projection with its lag or its halt; an engine that does not answer is a part that is not ready. */
export const readiness: Effect.Effect<readonly ReadyPart[], never, EventLog | ReadModelStore> = Effect.gen(function* () {
  const { records, part } = yield* readLogEnds
  return [part, ...(yield* readProjections(records))]
})

/** Identity and bounds of the log, as JSON. */
export const describeLog: Effect.Effect<unknown, LogUnavailableError, EventLog> = Effect.gen(function* () {
  const { identity, bounds } = yield* EventLog
  const found = yield* Effect.forEach(partitionsOf(identity.partitions), (partition) => bounds(partition))
  return {
    logId: identity.logId,
    partitions: identity.partitions,
    lanes: identity.lanes,
    createdAt: formatRfc3339(identity.createdAtMs),
    bounds: found.map(({ start, end }, partition) => ({ partition, start: start.toString(), end: end.toString() }))
  }
})

/** What is wrong with the counters of one partition, or undefined. `start`: first offset folded. */
export const conservationFault = ({ counters, nextOffset }: PartitionCheckpoint, start: bigint): string | undefined => countersFault(counters, nextOffset - start)
