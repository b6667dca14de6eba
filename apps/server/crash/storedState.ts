/** What a killed server has left on its disk: exactly one complete active generation of every projection, whatever else there is. */
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { LaneCheckpoint, Pointer, ReadSnapshot } from "@tidemark/domain/ports/ReadModelStore"
import { projections } from "@tidemark/projections/registry"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"

const DAY = 2
const ALL_TIME = { fromMs: -8_640_000_000_000_000, toMs: 8_640_000_000_000_001 }
const TENANTS: readonly string[] = ["default"]

/** What the server was seen to serve while it lived. */
export interface Seen {
  readonly projection: string
  /** Generations that were served at some time. */
  readonly generations: ReadonlySet<number>
  /** Next offsets of the last answers, by partition: what was answered was committed. */
  readonly position: ReadonlyMap<number, bigint>
}

/** Before the first answer. */
export const noneSeen = (projection: string): Seen => ({ projection, generations: new Set(), position: new Map() })

const offsetsOf = (checkpoints: readonly LaneCheckpoint[]): ReadonlyMap<number, bigint> =>
  new Map(checkpoints.flatMap(({ partitions }) => partitions.map(({ partition, nextOffset }) => [partition, nextOffset] as const)))

/** A pointer that was moved too early: less is served than was served before. The generation's own rows and counters do not show it. */
const behindFaults = Effect.fn("behindFaults")(function* (snapshot: ReadSnapshot, { projection, generation }: Pointer, offsets: ReadonlyMap<number, bigint>, seen: Seen) {
  const faults: string[] = []
  const at = (partition: number): bigint => offsets.get(partition) ?? 0n
  const place = (partition: number): string => `${projection}: generation ${generation} is served at offset ${at(partition)} of partition ${partition}`
  for (const other of yield* snapshot.generations(projection)) {
    if (other.isDropped === true || other.generation === generation || !seen.generations.has(other.generation)) continue
    for (const [partition, nextOffset] of offsetsOf(yield* snapshot.checkpoints(projection, other.generation))) {
      if (at(partition) < nextOffset) faults.push(`${place(partition)}, generation ${other.generation}, which was served before, has come to ${nextOffset}`)
    }
  }
  for (const [partition, nextOffset] of seen.position) if (at(partition) < nextOffset) faults.push(`${place(partition)}, ${nextOffset} was answered before`)
  return faults
})

const faultsOf = Effect.fn("faultsOf")(function* (snapshot: ReadSnapshot, pointer: Pointer, seen: Seen, tenants: readonly string[]) {
  const { projection, generation } = pointer
  const record = yield* snapshot.generation(projection, generation)
  if (record === undefined || record.isDropped === true) return [`${projection}: the active generation ${generation} is ${record === undefined ? "not there" : "dropped"}`]
  const checkpoints = yield* snapshot.checkpoints(projection, generation)
  const folded = checkpoints.flatMap(({ partitions }) => partitions).reduce((sum, { counters }) => sum + counters.folded, 0n)
  let stored = 0n
  for (const tenantId of tenants) {
    yield* snapshot.scan({ projection, generation, tenantId, resolution: DAY, ...ALL_TIME }, (rows) => {
      for (const { events } of rows) stored += events
    })
  }
  // Every row is committed with the counter of its events.
  const behind = seen.projection === projection ? yield* behindFaults(snapshot, pointer, offsetsOf(checkpoints), seen) : []
  return checkpoints.length > 0 && stored === folded ? behind : [...behind, `${projection}: generation ${generation} has folded ${folded} events in ${checkpoints.length} lanes, and its days hold ${stored}`]
})

/** What is wrong. `stores` opens the read models; where they are a directory, no server may have it open. `tenants`: all that have rows. */
export const storedFaults = (stores: Layer.Layer<ReadModelStore, unknown>, seen: Seen, tenants = TENANTS): Promise<readonly string[]> => {
  const program = Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* (yield* ReadModelStore).snapshot
    const pointers = yield* snapshot.pointers
    const faults = projections.filter(({ name }) => pointers.filter(({ projection }) => projection === name).length !== 1).map(({ name }) => `${name}: not exactly one active generation`)
    for (const pointer of pointers) faults.push(...(yield* faultsOf(snapshot, pointer, seen, tenants)))
    for (const { projection, generation } of yield* snapshot.following) {
      const record = yield* snapshot.generation(projection, generation)
      if (record === undefined || record.isDropped === true) faults.push(`${projection}: generation ${generation} is followed and gone`)
    }
    return faults
  }))
  return Effect.runPromise(Effect.provide(program, stores))
}
