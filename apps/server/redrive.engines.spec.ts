import { randomBytes } from "node:crypto"
import { describe, it } from "vitest"
import { sendRefusedAgain } from "./refusedEvents.ts"
import { useProcesses } from "./useProcesses.ts"

describe("a refused event on the distributed engines", () => {
  const { start } = useProcesses("redrive-distributed")

  it("is sent again by a process that answers questions only, and counts once though its sender repeats it elsewhere", async () => {
    const engines = Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (/^TIDEMARK_(KAFKA_BROKERS|[A-Z]+_URL)$/.test(name) && value !== undefined ? [[name, value]] : [])))
    const common = { ...engines, TIDEMARK_MODE: "distributed", TIDEMARK_NAMESPACE: `redrive${randomBytes(4).toString("hex")}`, TIDEMARK_PARTITIONS: "2" }
    const { ingest = "" } = await start({ ...common, TIDEMARK_ROLES: "ingest,projector" }).ready
    const { graphql = "", dashboard = "" } = await start({ ...common, TIDEMARK_ROLES: "api,dashboard" }).ready
    const { check } = await sendRefusedAgain({ ingest, graphql, dashboard }, 60_000)
    await check({ graphql, dashboard })
  }, 300_000)
})
