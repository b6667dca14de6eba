import { describe, it } from "vitest"
import { sendRefusedAgain } from "./refusedEvents.ts"
import { useProcesses } from "./useProcesses.ts"

describe("a refused event", () => {
  const { start } = useProcesses("redrive")

  it("is corrected and sent again under its own id, once, by whoever does it, and is known as done after a restart", async () => {
    const first = start()
    const { ingest = "", graphql = "", dashboard = "" } = await first.ready
    const { check } = await sendRefusedAgain({ ingest, graphql, dashboard }, 20_000)
    first.child.kill("SIGTERM")
    await first.exit
    const again = await start().ready
    await check({ graphql: again["graphql"] ?? "", dashboard: again["dashboard"] ?? "" })
  }, 150_000)
})
