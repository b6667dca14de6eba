import { canonicalJson } from "@tidemark/domain/definitions/canonicalJson"
import { definitionHash } from "@tidemark/domain/definitions/definition"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { projections } from "@tidemark/projections/registry"
import { createMemoryModelDisk, memoryReadModelStore } from "@tidemark/projections/simulation/memoryReadModelStore"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { noneSeen, storedFaults } from "./storedState.ts"

const NAME = "page-views"
const LANES = [{ lane: 0, partitions: [0] }, { lane: 1, partitions: [1] }]

/** Every projection served by generation 1, page-views with an empty generation 2 beside it. */
const makeStore = async () => {
  const disk = createMemoryModelDisk()
  const layer = memoryReadModelStore(disk)
  await Effect.runPromise(Effect.provide(Effect.gen(function* () {
    const store = yield* ReadModelStore
    for (const definition of projections) {
      for (const generation of definition.name === NAME ? [1, 2] : [1]) {
        yield* store.createGeneration({ projection: definition.name, generation, definition: canonicalJson(definition), definitionHash: definitionHash(definition), createdAtMs: 0, logId: "l", coverage: [] }, LANES)
      }
      yield* store.flip(definition.name, 1, 0)
    }
  }), layer))
  /** As if it had read this far and found nothing to fold. */
  const reach = (generation: number, nextOffset: bigint): void => {
    for (const [name, checkpoint] of disk.state.checkpoints) {
      if (checkpoint.lane.projection !== NAME || checkpoint.lane.generation !== generation) continue
      disk.state.checkpoints.set(name, { ...checkpoint, partitions: checkpoint.partitions.map((one) => ({ ...one, nextOffset, counters: { ...one.counters, records: nextOffset, system: nextOffset } })) })
    }
  }
  return { disk, layer, reach }
}

const seen = (over: Partial<ReturnType<typeof noneSeen>> = {}) => ({ ...noneSeen(NAME), ...over })

describe("what a killed server has left", () => {
  it("is right where a generation in building is behind the served one", async () => {
    const { layer, reach } = await makeStore()
    reach(1, 40n)
    expect(await storedFaults(layer, seen({ generations: new Set([1]), position: new Map([[0, 40n], [1, 38n]]) }))).toEqual([])
  })

  it("is at fault where the pointer was moved to a generation that had not caught up: it is behind the one that was served", async () => {
    const { disk, layer, reach } = await makeStore()
    reach(1, 40n)
    reach(2, 39n)
    disk.state.pointers.set(NAME, { projection: NAME, generation: 2, pointerVersion: 2 })
    // Its rows are what its own counters say.
    expect(await storedFaults(layer, seen())).toEqual([])
    expect(await storedFaults(layer, seen({ generations: new Set([1]) }))).toEqual([0, 1].map((partition) => `page-views: generation 2 is served at offset 39 of partition ${partition}, generation 1, which was served before, has come to 40`))
    reach(2, 40n)
    expect(await storedFaults(layer, seen({ generations: new Set([1]) }))).toEqual([])
  })

  it("is at fault where less is served than was served before the kill, though the generation that was served is gone", async () => {
    const { disk, layer, reach } = await makeStore()
    reach(2, 12n)
    disk.state.pointers.set(NAME, { projection: NAME, generation: 2, pointerVersion: 2 })
    await Effect.runPromise(Effect.provide(Effect.gen(function* () {
      const store = yield* ReadModelStore
      yield* store.follow({ projection: NAME, generation: 1 }, false)
      yield* store.dropGeneration({ projection: NAME, generation: 1 })
    }), layer))
    expect(await storedFaults(layer, seen({ generations: new Set([1]), position: new Map([[0, 12n], [1, 13n]]) }))).toEqual(["page-views: generation 2 is served at offset 12 of partition 1, 13 was answered before"])
  })
})
