import { describe, it } from "vitest"
import { countHeldEvents } from "./heldEvents.ts"
import { useProcesses } from "./useProcesses.ts"

describe("tidemark late", () => {
  const { start } = useProcesses("late")

  it("counts a held event once, in every projection that holds it, for good", async () => {
    const { ingest = "", graphql = "", dashboard = "" } = await start({ TIDEMARK_PARTITIONS: "2" }).ready
    await countHeldEvents({ ingest, graphql, dashboard }, 20_000)
  }, 90_000)
})
