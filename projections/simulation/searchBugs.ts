/** Bugs of the window index that the simulated world with one must catch; planted from outside. Numbers are those of the fault plan. */
import * as Effect from "effect/Effect"
import { documentName, imageName } from "./memoryWindowIndex.ts"
import type { PlantedBug } from "./plantedBugs.ts"

/** A document is deleted before it is written anew: the index forgets its version with it, and takes an older one that comes late. */
const hardDelete: PlantedBug = {
  number: 7, name: "search-hard-delete",
  wrapWindows: (index, disk, tookEffect) => ({
    ...index,
    put: (model, documents) => Effect.tap(index.put(model, documents), (outcomes) => Effect.sync(() => {
      const stored = disk.images.get(imageName(model))?.documents
      for (const [at, document] of documents.entries()) {
        const name = documentName(document)
        if (outcomes[at]?.kind !== "done" || (stored?.get(name)?.revision ?? 0n) <= document.revision) continue
        stored?.set(name, document)
        tookEffect(name)
      }
    }))
  })
}

/** An item that is answered with a conflict is dropped, as if it were superseded, without a look at what is stored. */
const conflictDropped: PlantedBug = {
  number: 12, name: "conflict-dropped",
  wrapWindows: (index, _disk, tookEffect) => ({
    ...index,
    put: (model, documents) => Effect.map(index.put(model, documents), (outcomes) => outcomes.map((outcome, at) => {
      const document = documents[at]
      if (outcome.kind !== "again" && outcome.kind !== "conflict") return outcome
      if (document !== undefined) tookEffect(documentName(document))
      return { kind: "done" as const }
    }))
  })
}

/** All of them. */
export const searchBugs: readonly PlantedBug[] = [hardDelete, conflictDropped]
