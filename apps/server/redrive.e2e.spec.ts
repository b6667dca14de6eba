/** What happens to a refused event on a running server: corrected, sent again, counted once, also after a restart. */
import { describe, expect, it } from "vitest"
import { KEYS, ask, runCli, send } from "./processHarness.ts"
import { useProcesses } from "./useProcesses.ts"

const POLL = { timeout: 20_000, interval: 200 }

describe("a refused event", () => {
  const { start } = useProcesses("redrive")

  it("is corrected and sent again under its own id, once, by whoever does it, and is known as done after a restart", async () => {
    const first = start()
    const { ingest = "", graphql = "", dashboard = "" } = await first.ready
    const nowMs = Date.now()
    const wrong = { id: "view-1", type: "page.viewed", userId: "ann", time: nowMs, schemaVersion: 2, data: { page: 7 } }
    expect(await send(ingest, KEYS.write, [wrong])).toMatchObject({ body: { rejected: 1 } })
    const cli = (url: string, ...args: readonly string[]) => runCli(url, KEYS.admin, "rejected", ...args)
    const [listed] = (await cli(dashboard, "ls", "--json")).out.trim().split("\n").map((line) => JSON.parse(line) as { readonly id: string; readonly redrive: object | null })
    expect(listed).toMatchObject({ eventId: "view-1", redrive: null })
    const id = listed?.id ?? ""
    expect(await cli(dashboard, "redrive", id, "--reason", "again", "--yes")).toMatchObject({ code: 1, out: expect.stringMatching(/refused again .*\/data\/page/) as string })
    const right = JSON.stringify({ ...wrong, data: { page: "/shoes" } })
    expect(await cli(dashboard, "redrive", id, "--data", right, "--reason", "mended")).toMatchObject({ code: 0, notes: expect.stringContaining("Nothing was changed") as string })
    expect(await runCli(dashboard, KEYS.read, "rejected", "redrive", id, "--data", right, "--reason", "mended", "--yes")).toMatchObject({ code: 1, notes: expect.stringContaining("admin key") as string })
    expect(await cli(dashboard, "redrive", id, "--data", right, "--reason", "mended", "--yes")).toMatchObject({ code: 0, notes: "Appended 1 event.\n" })
    expect(await send(ingest, KEYS.write, [{ ...wrong, data: { page: "/shoes" } }])).toMatchObject({ body: { duplicate: 1 } })

    const windowStart = new Date(Math.floor(nowMs / 60_000) * 60_000).toISOString()
    const window = (url: string) => ask(url, KEYS.read, `{ window(projection: "page-views", key: [{ name: "page", value: "/shoes" }], start: "${windowStart}", resolution: MINUTE) { events why { fingerprintMatches events { edges { node { id } } } } } }`)
    const once = { data: { window: { events: "1", why: { fingerprintMatches: true, events: { edges: [{ node: { id: "view-1" } }] } } } } }
    await expect.poll(() => window(graphql), POLL).toMatchObject(once)
    first.child.kill("SIGTERM")
    await first.exit

    const second = await start().ready
    expect(await cli(second["dashboard"] ?? "", "redrive", id, "--reason", "mended", "--yes")).toMatchObject({ code: 0, out: expect.stringMatching(/sent again before/) as string })
    expect((await cli(second["dashboard"] ?? "", "ls")).out).toMatch(/→ sent again, at \d\/\d+/)
    expect(await window(second["graphql"] ?? "")).toMatchObject(once)
    expect(await runCli(second["dashboard"] ?? "", KEYS.admin, "verify", "--full")).toMatchObject({ code: 0 })
  }, 150_000)
})
