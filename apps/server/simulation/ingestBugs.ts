/** Bugs of the command that accepts events, which the simulated world with it must catch; planted from outside, as the others are. */
import { DuplicateTable } from "@tidemark/domain/events/duplicateTable"
import { HORIZON_MS, PartitionState } from "@tidemark/domain/events/partitionState"
import type { PlantedBug } from "@tidemark/projections/simulation/plantedBugs"
import * as Effect from "effect/Effect"

/** What a request imports is forgotten as soon as it is saved: the index that ingest asks has none of it. */
const importsForgotten: PlantedBug = {
  name: "imports-forgotten",
  wrapIngestIndex: (index, tookEffect) => ({
    ...index,
    load: (partition, atMost) => Effect.map(index.load(partition, atMost), (loaded) => ({
      ...loaded,
      imports: {
        has: (hi, lo, before) => {
          if (loaded.imports.has(hi, lo, before)) tookEffect(`partition ${partition}`)
          return false
        }
      }
    }))
  })
}

/** A full dedupe index makes room: it forgets everything, within the horizon too. */
const dedupeEvicts: PlantedBug = {
  name: "dedupe-evicts",
  plant: (_nowMs, tookEffect) => {
    const original = PartitionState.prototype.expireDedupe
    PartitionState.prototype.expireDedupe = function (this: PartitionState): void {
      tookEffect(`partition ${String(Reflect.get(this, "partition"))}`)
      Reflect.set(this, "live", new DuplicateTable(HORIZON_MS))
    }
    return () => { PartitionState.prototype.expireDedupe = original }
  }
}

/** All of them. */
export const ingestBugs: readonly PlantedBug[] = [importsForgotten, dedupeEvicts]
