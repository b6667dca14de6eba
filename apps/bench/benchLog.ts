/** The data directory of a benchmark: a configuration for it, and a log of generated events. */
import { join } from "node:path"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { eventLogLmdb } from "@tidemark/infra-embedded/EventLogLmdb"
import { readConfiguration } from "@tidemark/infra-wiring/configuration"
import type { Configuration } from "@tidemark/infra-wiring/configuration"
import * as Effect from "effect/Effect"
import { makeEventStream } from "./eventStream.ts"
import type { Imported } from "./eventStream.ts"

const CREATED_AT_MS = Date.UTC(2026, 0, 1)
const APPEND_EVENTS = 500

export interface LogShape {
  readonly events: number
  readonly partitions: number
  readonly lanes: number
  readonly everyMs: number
  /** As in `makeEventStream`. */
  readonly tenants?: readonly string[]
  readonly imported?: Imported
}

export const configurationOf = (dataDir: string, { partitions, lanes }: Pick<LogShape, "partitions" | "lanes">): Configuration =>
  readConfiguration({
    flags: new Map([["data-dir", dataDir], ["partitions", String(partitions)], ["lanes", String(lanes)]]),
    environment: {}, workingDirectory: dataDir, terminal: false
  })

/** Appends the next so many events of the stream; answers their bytes. */
export type AppendEvents = (events: number) => Promise<number>

/** Opens the log for writing while `use` appends to it. The same shape gives the same log: its id is fixed, so results have the same bytes. */
export const withLog = <A>(dataDir: string, shape: LogShape, use: (append: AppendEvents) => Promise<A>): Promise<A> => {
  const { partitions, lanes, everyMs, tenants, imported } = shape
  const log = eventLogLmdb({ directory: join(dataDir, "log"), role: "writer", partitions, lanes, nowMs: () => CREATED_AT_MS, newLogId: () => "bench" })
  const next = makeEventStream({ seed: 42, partitions, everyMs, ...(tenants === undefined ? {} : { tenants }), ...(imported === undefined ? {} : { imported }) })
  const program = Effect.gen(function* () {
    const { append } = yield* EventLog
    const appendEvents = Effect.fn("appendEvents")(function* (events: number) {
      let bytes = 0
      for (let written = 0; written < events; written += APPEND_EVENTS) {
        const batch = Array.from({ length: Math.min(APPEND_EVENTS, events - written) }, next)
        for (const { value } of batch) bytes += value.length
        yield* append(batch)
      }
      return bytes
    })
    return yield* Effect.promise(() => use((events) => Effect.runPromise(appendEvents(events))))
  })
  return Effect.runPromise(program.pipe(Effect.provide(log)))
}

/** Writes the whole log; answers the bytes of an average event. */
export const writeLog = (dataDir: string, shape: LogShape): Promise<number> => withLog(dataDir, shape, async (append) => (await append(shape.events)) / shape.events)
