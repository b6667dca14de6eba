/** The proof behind a number, asked from the command line, with duplicates, late and held events among the records. */
import { describe, expect, it } from "vitest"
import { KEYS, ask, runCli, send } from "./processHarness.ts"
import { useProcesses } from "./useProcesses.ts"

interface Shoes {
  readonly data: { readonly window: { readonly events: string; readonly position: readonly { readonly partition: number; readonly offset: string }[] } | null }
}

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

describe("tidemark why", () => {
  const { start: startServer } = useProcesses("why")

  it("lists exactly the events behind a window and says that count and fingerprint match", async () => {
    const ready = await startServer().ready
    const nowMs = Date.now()
    const pastMs = Math.floor(nowMs / MINUTE_MS) * MINUTE_MS - 5 * MINUTE_MS
    const viewed = (id: string, timeMs: number, page = "/shoes") => ({ id, type: "page.viewed", userId: "u-1", time: timeMs, schemaVersion: 2, data: { page, durationMs: 5 } })
    const one = async (event: object) => expect(await send(ready["ingest"] ?? "", KEYS.write, [event])).toMatchObject({ status: 200 })
    const start = new Date(pastMs).toISOString()
    const shoes = async () => (await ask(ready["graphql"] ?? "", KEYS.read, `{ window(projection: "page-views", key: [{ name: "page", value: "/shoes" }], start: "${start}", resolution: MINUTE) { events position { partition offset } } }`)) as Shoes
    const counted = async (events: string) => {
      await expect.poll(async () => (await shoes()).data.window?.events, { timeout: 20_000, interval: 100 }).toBe(events)
      return (await shoes()).data.window?.position.map(({ partition, offset }) => `${partition}:${offset}`).join() ?? ""
    }
    await one(viewed("on time", pastMs + 1_000))
    const before = await counted("1")
    await one(viewed("other page", pastMs + 2_000, "/coats"))
    await one(viewed("now", nowMs))
    await one(viewed("late", pastMs + 3_000))
    await one(viewed("held", pastMs - 8 * DAY_MS))
    await one(viewed("late", pastMs + 3_000))
    await one({ ...viewed("filtered", pastMs), type: "cart.added", data: { productId: "p", price: "1.00", quantity: 1 } })

    await counted("2")
    const { code, out: told } = await runCli(new URL(ready["ingest"] ?? "").origin, KEYS.read, "why", "page-views", "/shoes", start)
    expect(code).toBe(0)
    expect(told).toMatch(/2 of 2 events/)
    expect(told).toMatch(/fingerprint matches/)
    const listed = told.split("\n").filter((line) => line.includes("page.viewed"))
    expect(listed.map((line) => /page\.viewed\s+(on time|late)\s/.exec(line)?.[1]).sort()).toEqual(["late", "on time"])

    const origin = new URL(ready["ingest"] ?? "").origin
    const past = await runCli(origin, KEYS.read, "why", "page-views", "/shoes", start, "--as-of", before)
    expect([past.code, /1 of 1 events/.test(past.out), /fingerprint matches/.test(past.out), /page\.viewed\s+late\s/.test(past.out)]).toEqual([0, true, true, false])
    const views = await runCli(origin, KEYS.read, "--json", "query", "page-views", "--measure", "views", "--from", start, "--to", new Date(pastMs + MINUTE_MS).toISOString(), "--resolution", "minute", "--as-of", before)
    expect(JSON.parse(views.out)).toMatchObject({ groups: [{ points: [{ events: "1" }] }] })
    const range = ["--from", start, "--to", new Date(pastMs + MINUTE_MS).toISOString(), "--resolution", "minute"]
    const changed = await runCli(origin, KEYS.read, "changes", "page-views", "--since", before, "--measure", "views", ...range)
    expect(changed.code).toBe(0)
    expect(changed.out.split("\n").map((line) => line.trim().split(/\s{2,}/).slice(1))).toEqual(expect.arrayContaining([["/coats", "– → 1", "– → 1"], ["/shoes", "1 → 2", "1 → 2"]]))

    const answer = await ask(ready["graphql"] ?? "", KEYS.read, `{ lateEvents(projection: "page-views") { edges { node { eventId outcome windowStart lateByMs contribution { name text } } } } projection(name: "page-views") { deadLetters }
      hour: window(projection: "page-views", key: [{ name: "page", value: "/shoes" }], start: "${new Date(Math.floor(pastMs / 3_600_000) * 3_600_000).toISOString()}", resolution: HOUR) { events why { expectedEvents foundEvents fingerprintMatches } }
      never: window(projection: "page-views", key: [{ name: "page", value: "/shoes" }], start: "${new Date(pastMs - 8 * DAY_MS).toISOString()}", resolution: MINUTE) { events } }`)
    expect(answer).toMatchObject({ data: { never: null, hour: { why: { fingerprintMatches: true } } } })
    const text = JSON.stringify(answer)
    expect(text).toContain('"outcome":"APPLIED"')
    expect(text).toContain('"outcome":"HELD"')
  })

  it("counts no held event and no repetition that stands among the events of its window", async () => {
    const ready = await startServer().ready
    const startMs = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 8 * DAY_MS
    const viewed = (id: string, timeMs: number) => ({ id, type: "page.viewed", userId: "u-1", time: timeMs, schemaVersion: 2, data: { page: "/shoes", durationMs: 5 } })
    const one = async (event: object) => expect(await send(ready["ingest"] ?? "", KEYS.write, [event])).toMatchObject({ status: 200 })
    const imported = async (event: object, answered: object) =>
      expect(await send(ready["ingest"] ?? "", KEYS.admin, [event], { "tidemark-backfill": "history" })).toMatchObject({ status: 200, body: answered })
    await one(viewed("now", Date.now()))
    await imported(viewed("first", startMs + 1_000), { accepted: 1 })
    await one(viewed("held", startMs + 2_000))
    await imported(viewed("first", startMs + 1_000), { accepted: 0, duplicate: 1 })
    await imported(viewed("last", startMs + 3_000), { accepted: 1 })

    const start = new Date(startMs).toISOString()
    const asked = `{ window(projection: "page-views", key: [{ name: "page", value: "/shoes" }], start: "${start}", resolution: MINUTE) { events why(first: 10) { expectedEvents foundEvents fingerprintMatches events { edges { node { id } } } } }
      event(id: "held") { windows { projection outcome startMs: start } } }`
    await expect.poll(() => ask(ready["graphql"] ?? "", KEYS.read, asked), { timeout: 20_000, interval: 100 }).toMatchObject({
      data: {
        window: { events: "2", why: { expectedEvents: "2", foundEvents: "2", fingerprintMatches: true, events: { edges: [{ node: { id: "first" } }, { node: { id: "last" } }] } } },
        event: { windows: expect.arrayContaining([expect.objectContaining({ projection: "page-views", outcome: "HELD", startMs: start })]) as unknown }
      }
    })
    const { code, out } = await runCli(new URL(ready["ingest"] ?? "").origin, KEYS.read, "why", "page-views", "/shoes", start)
    expect([code, /2 of 2 events/.test(out), /fingerprint matches/.test(out), /\bheld\b/.test(out)]).toEqual([0, true, true, false])
  })
})
