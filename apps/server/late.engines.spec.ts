import { randomBytes } from "node:crypto"
import { describe, it } from "vitest"
import { countHeldEvents } from "./heldEvents.ts"
import { useProcesses } from "./useProcesses.ts"

describe("tidemark late on the distributed engines", () => {
  const { start } = useProcesses("late-distributed")

  it("counts a held event once, in every projection that holds it, for good", async () => {
    const engines = Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (/^TIDEMARK_(KAFKA_BROKERS|[A-Z]+_URL)$/.test(name) && value !== undefined ? [[name, value]] : [])))
    const { ingest = "", graphql = "", dashboard = "" } = await start({ ...engines, TIDEMARK_MODE: "distributed", TIDEMARK_NAMESPACE: `late${randomBytes(4).toString("hex")}`, TIDEMARK_PARTITIONS: "2" }).ready
    await countHeldEvents({ ingest, graphql, dashboard }, 60_000)
  }, 300_000)
})
