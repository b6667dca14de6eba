/**
 * Bugs of rebuilds that the simulated world with rebuilds must catch; planted from outside, as the others are. Numbers
 * are those of the fault plan.
 */
import type { GenerationId } from "@tidemark/domain/ports/ReadModelStore"
import type { MemoryModelDisk } from "@tidemark/projections/simulation/memoryReadModelStore"
import { writable } from "@tidemark/projections/simulation/memoryReadModelStore"
import type { PlantedBug } from "@tidemark/projections/simulation/plantedBugs"
import * as Effect from "effect/Effect"

/** Has the pointer name the generation where that takes a reader back; answers whether it does. A move between level generations is what the product does too. */
const pointToLate = (disk: MemoryModelDisk, { projection, generation }: GenerationId): boolean => {
  const { pointers, following } = writable(disk)
  const before = pointers.get(projection)
  if (before === undefined || before.generation === generation) return false
  const positionOf = (of: number): ReadonlyMap<number, bigint> =>
    new Map([...disk.state.checkpoints.values()].filter(({ lane }) => lane.projection === projection && lane.generation === of).flatMap(({ partitions }) => partitions.map(({ partition, nextOffset }) => [partition, nextOffset] as const)))
  const reached = positionOf(generation)
  const isBehind = [...positionOf(before.generation)].some(([partition, nextOffset]) => (reached.get(partition) ?? -1n) < nextOffset)
  if (!isBehind) return false
  following.set(`${projection}/${before.generation}`, { projection, generation: before.generation })
  pointers.set(projection, { projection, generation, pointerVersion: before.pointerVersion + 1 })
  disk.onGenerations()
  return true
}

/** The pointer moves as soon as the owners of the lanes are asked to fold the new generation, before it has caught up. */
const earlyPointerFlip: PlantedBug = {
  number: 11, name: "early-pointer-flip",
  wrapStore: (store, disk, tookEffect) => ({
    ...store,
    follow: (id, isFollowed) => Effect.tap(store.follow(id, isFollowed), () => Effect.sync(() => {
      if (isFollowed && pointToLate(disk, id)) tookEffect(id.projection)
    }))
  })
}

/** A cut-over does not look whether the new generation has folded what the old one has. */
const uncheckedFlip: PlantedBug = {
  name: "unchecked-flip",
  wrapStore: (store, disk, tookEffect) => ({
    ...store,
    flip: (projection, generation, expectedVersion) => Effect.catchTag(store.flip(projection, generation, expectedVersion), "TargetBehindError", (error) => Effect.suspend(() => {
      if (!pointToLate(disk, { projection, generation })) return Effect.fail(error)
      tookEffect(projection)
      return Effect.succeed({ projection, generation, pointerVersion: expectedVersion + 1 })
    }))
  })
}

/** The generation that was replaced is no longer folded: the way back leads to where it stood then. */
const standbyLeft: PlantedBug = {
  name: "standby-left",
  wrapStore: (store, disk, tookEffect) => ({
    ...store,
    flip: (projection, generation, expectedVersion) => Effect.suspend(() => {
      const before = disk.state.pointers.get(projection)
      return Effect.tap(store.flip(projection, generation, expectedVersion), () => Effect.sync(() => {
        if (before === undefined || before.generation === generation) return
        writable(disk).following.delete(`${projection}/${before.generation}`)
        tookEffect(projection)
      }))
    })
  })
}

/** All of them. */
export const rebuildBugs: readonly PlantedBug[] = [earlyPointerFlip, uncheckedFlip, standbyLeft]
