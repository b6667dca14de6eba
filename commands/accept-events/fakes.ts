/** In-memory ports for the specifications of this command. */
import * as Effect from "effect/Effect"
import { hashUtf8 } from "@tidemark/domain/measures/hash"
import { AppendRejectedError, AppendUnknownError } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape, LogRecord } from "@tidemark/domain/ports/EventLog"
import { PartitionIndexError } from "@tidemark/domain/ports/PartitionIndex"
import type { PartitionIndexShape, PartitionSegment } from "@tidemark/domain/ports/PartitionIndex"
import type { RejectedEvent, RejectedLogShape } from "@tidemark/domain/ports/RejectedLog"

/** What the next append does; "full" says why; "lost" and "kept" answer an unknown outcome, without and with the records stored. */
export type AppendBehaviour = "store" | "reject" | "full" | "lost" | "kept"

/** A log in memory. `gate` runs before each append is decided; `behaviours` is taken from the front. */
export const makeFakeLog = (partitions: number) => {
  const stored: Uint8Array[][] = Array.from({ length: partitions }, () => [])
  const control = { behaviours: [] as AppendBehaviour[], gate: Effect.void as Effect.Effect<void>, appends: 0, /** The log's clock; it says no time without one. */ nowMs: undefined as number | undefined, /** First offsets of every read. */ readsFrom: [] as bigint[] }
  const store = ({ partition, value }: LogRecord) => {
    const records = stored[partition] ?? []
    return { partition, offset: BigInt(records.push(value) - 1) }
  }
  const append: EventLogShape["append"] = Effect.fn(function* (batch: readonly LogRecord[]) {
    control.appends += 1
    yield* control.gate
    const behaviour = control.behaviours.shift() ?? "store"
    if (behaviour === "reject") return yield* new AppendRejectedError({ reason: "closed" })
    if (behaviour === "full") return yield* new AppendRejectedError({ reason: "disk full", storageFull: true })
    if (behaviour === "lost") return yield* new AppendUnknownError({ reason: "no answer" })
    const at = batch.map((record) => ({ ...store(record), appendedAtMs: control.nowMs }))
    return behaviour === "kept" ? yield* new AppendUnknownError({ reason: "no answer" }) : at
  })
  const shape: EventLogShape = {
    identity: { logId: "log", partitions, lanes: 1, createdAtMs: 0 },
    append,
    read: (from) =>
      Effect.sync(() =>
        from.flatMap(({ partition, nextOffset }) => {
          control.readsFrom.push(nextOffset)
          const values = (stored[partition] ?? []).slice(Number(nextOffset))
          if (values.length === 0) return []
          let end = 0
          const ends = Uint32Array.from(values, (value) => (end += value.length))
          const bytes = new Uint8Array(end)
          values.forEach((value, i) => bytes.set(value, ends[i - 1] ?? 0))
          return [{ partition, firstOffset: nextOffset, bytes, ends, more: false }]
        })
      ),
    bounds: (partition) => Effect.sync(() => ({ start: 0n, end: BigInt(stored[partition]?.length ?? 0) })),
    verify: (partition) => Effect.sync(() => ({ records: BigInt(stored[partition]?.length ?? 0), blocks: 1 }))
  }
  return { shape, stored, control, store }
}

/** An index that stores nothing: every state is replayed from the log. */
export const emptyIndex: PartitionIndexShape = {
  load: () => Effect.succeed({ nextOffset: 0n, segments: [], imports: { has: () => false } }),
  save: () => Effect.void,
  clocks: () => Effect.succeed(undefined)
}

/** An index in memory, of partition 0. `control.faults` is how many saves fail next. */
export const makeFakeIndex = () => {
  const segments: PartitionSegment[] = []
  const control = { faults: 0 }
  const has = (hi: number, lo: number, before: number): boolean =>
    segments.some(({ imports }) => imports.hi.some((found, i) => found === hi && imports.lo[i] === lo && (imports.offset[i] ?? before) < before))
  const shape: PartitionIndexShape = {
    load: () => Effect.sync(() => ({ nextOffset: segments.at(-1)?.to ?? 0n, segments: [...segments], imports: { has } })),
    save: (segment) =>
      Effect.suspend(() => {
        if (control.faults > 0) {
          control.faults -= 1
          return Effect.fail(new PartitionIndexError({ cause: "disk full" }))
        }
        const end = segments.at(-1)?.to ?? 0n
        if (segment.from !== end) return Effect.fail(new PartitionIndexError({ cause: `starts at ${segment.from}, stored to ${end}` }))
        segments.push(segment)
        return Effect.void
      }),
    clocks: () => Effect.succeed(undefined)
  }
  return { shape, segments, control }
}

/** Keeps what it is given, each entry id of a tenant once. */
export const makeFakeRejectedLog = () => {
  const entries: RejectedEvent[] = []
  const isKnown = ({ tenantId, entryId }: RejectedEvent) => entries.some((entry) => entry.tenantId === tenantId && entry.entryId === entryId)
  const shape: RejectedLogShape = {
    put: (more) => Effect.sync(() => void entries.push(...more.filter((entry) => !isKnown(entry)))),
    page: (tenantId, limit) => Effect.sync(() => entries.filter((entry) => entry.tenantId === tenantId).slice(0, limit)),
    find: (tenantId, entryId) => Effect.sync(() => entries.find((entry) => entry.tenantId === tenantId && entry.entryId === entryId)),
    prune: () => Effect.die("no command drops entries")
  }
  return { shape, entries }
}

/** A hash seed for specifications. */
export const fakeHashSeed = ((): number => {
  const out = new Uint32Array(4)
  hashUtf8("log", 0, out)
  return out[0] ?? 0
})()
