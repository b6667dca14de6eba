/** What a killed server has left on its disk: exactly one complete active generation of every projection, whatever else there is. */
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { Pointer, ReadSnapshot } from "@tidemark/domain/ports/ReadModelStore"
import { projections } from "@tidemark/projections/registry"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"

const DAY = 2
const ALL_TIME = { fromMs: -8_640_000_000_000_000, toMs: 8_640_000_000_000_001 }
const TENANT = "default"

const faultsOf = Effect.fn("faultsOf")(function* (snapshot: ReadSnapshot, { projection, generation }: Pointer) {
  const record = yield* snapshot.generation(projection, generation)
  if (record === undefined || record.isDropped === true) return [`${projection}: the active generation ${generation} is ${record === undefined ? "not there" : "dropped"}`]
  const checkpoints = yield* snapshot.checkpoints(projection, generation)
  const folded = checkpoints.flatMap(({ partitions }) => partitions).reduce((sum, { counters }) => sum + counters.folded, 0n)
  let stored = 0n
  yield* snapshot.scan({ projection, generation, tenantId: TENANT, resolution: DAY, ...ALL_TIME }, (rows) => {
    for (const { events } of rows) stored += events
  })
  // Every row is committed with the counter of its events.
  return checkpoints.length > 0 && stored === folded ? [] : [`${projection}: generation ${generation} has folded ${folded} events in ${checkpoints.length} lanes, and its days hold ${stored}`]
})

/** What is wrong. `stores` opens the directory; no server may have it open. */
export const storedFaults = (stores: Layer.Layer<ReadModelStore, unknown>): Promise<readonly string[]> => {
  const program = Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* (yield* ReadModelStore).snapshot
    const pointers = yield* snapshot.pointers
    const faults = projections.filter(({ name }) => pointers.filter(({ projection }) => projection === name).length !== 1).map(({ name }) => `${name}: not exactly one active generation`)
    for (const pointer of pointers) faults.push(...(yield* faultsOf(snapshot, pointer)))
    for (const { projection, generation } of yield* snapshot.following) {
      const record = yield* snapshot.generation(projection, generation)
      if (record === undefined || record.isDropped === true) faults.push(`${projection}: generation ${generation} is followed and gone`)
    }
    return faults
  }))
  return Effect.runPromise(Effect.provide(program, stores))
}
