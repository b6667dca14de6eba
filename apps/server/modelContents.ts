/** Everything a fold has stored, as text: two stores hold the same exactly when these texts are the same. For specifications. */
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { PartitionCheckpoint, ReadSnapshot, ResolutionCode, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"

const RESOLUTIONS: readonly ResolutionCode[] = [0, 1, 2]
const OFFSET_MAX = (1n << 63n) - 1n

const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, field: unknown) => {
    if (typeof field === "bigint") return `${field}n`
    if (field instanceof Map) return [...field].sort()
    if (field instanceof Uint8Array) return Buffer.from(field).toString("hex")
    return field
  })

/** A row without its revision, which depends on where flushes fell. */
const rowText = (row: StoredRow): string => textOf(Object.entries(row).filter(([name]) => name !== "revision").sort(([a], [b]) => (a < b ? -1 : 1)))

/** Lines of one projection's rows, by tenant, resolution, window, key and lane. */
const readRows = Effect.fn("readRows")(function* (snapshot: ReadSnapshot, projection: string, generation: number, tenants: readonly string[]) {
  const lines: string[] = []
  for (const tenantId of tenants) {
    for (const resolution of RESOLUTIONS) {
      yield* snapshot.scan({ projection, generation, tenantId, resolution, fromMs: -8.64e15, toMs: 8.64e15 }, (rows) => {
        for (const row of rows) lines.push(`${tenantId} ${rowText(row)}`)
      })
    }
  }
  return lines
})

export interface ModelContents {
  readonly rows: readonly string[]
  /** Late entries, duplicates and dead letters of every partition. */
  readonly ledgers: readonly string[]
  /** Positions, counters, clocks and digests of every lane. */
  readonly checkpoints: readonly string[]
}

/** Late entries, duplicates and dead letters of every partition of a generation, as `ModelContents` has them. */
export const readLedgers = Effect.fn("readLedgers")(function* (snapshot: ReadSnapshot, projection: string, generation: number, partitions: number) {
  const ledgers: string[] = []
  for (let partition = 0; partition < partitions; partition++) {
    const range = { projection, generation, partition, min: 0n, max: OFFSET_MAX }
    for (const entry of yield* snapshot.lateIn(range)) ledgers.push(`late ${textOf(Object.entries(entry).sort())}`)
    for (const entry of yield* snapshot.duplicatesIn(range)) ledgers.push(`duplicate ${textOf(Object.entries(entry).sort())}`)
    for (const entry of yield* snapshot.deadLettersIn(range)) ledgers.push(`dead ${textOf(Object.entries(entry).sort())}`)
  }
  return ledgers
})

/** Position, counters and clocks of a partition, whatever lane it belongs to. */
export const prefixText = (checkpoint: PartitionCheckpoint): string => textOf(Object.entries(checkpoint).sort())

/** Contents of the active generation of each projection, from one snapshot. */
export const readContents = (tenants: readonly string[]) =>
  Effect.scoped(Effect.gen(function* () {
    const { partitions } = (yield* EventLog).identity
    const snapshot = yield* (yield* ReadModelStore).snapshot
    const contents = new Map<string, ModelContents>()
    for (const { projection, generation } of yield* snapshot.pointers) {
      const ledgers = yield* readLedgers(snapshot, projection, generation, partitions)
      const checkpoints = (yield* snapshot.checkpoints(projection, generation)).map(({ lane, digest, partitions: parts }) => textOf([lane.lane, digest, parts.map((part) => Object.entries(part).sort())]))
      contents.set(projection, { rows: yield* readRows(snapshot, projection, generation, tenants), ledgers, checkpoints })
    }
    return contents
  }))
