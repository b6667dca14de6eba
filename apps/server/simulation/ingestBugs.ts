/** Bugs of the command that accepts events, which the simulated world with it must catch; planted from outside, as the others are. */
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

/** All of them. */
export const ingestBugs: readonly PlantedBug[] = [importsForgotten]
