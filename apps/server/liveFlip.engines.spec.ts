import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { createClient } from "graphql-ws"
import { describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import { KEYS, ask, send } from "./processHarness.ts"
import { useProcesses } from "./useProcesses.ts"

const EVENTS = 40
const POLL = { timeout: 120_000, interval: 200 }
const ENGINES = ["KAFKA_BROKERS", "POSTGRES_URL", "ELASTICSEARCH_URL", "REDIS_URL", "EVENTSTORE_URL"].map((name) => `TIDEMARK_${name}`)

interface Frame {
  readonly seriesChanged: { readonly kind: string; readonly generation: number; readonly pointerVersion: number; readonly groups: readonly object[] }
}

describe("a series followed in another process than the one that moves the pointer", () => {
  const { directory, start } = useProcesses("flip")

  it("starts over with the other generation's answer at once, there and back, though no record is appended", async () => {
    const shared = { ...Object.fromEntries(ENGINES.map((name) => [name, process.env[name] ?? ""])), TIDEMARK_MODE: "distributed", TIDEMARK_NAMESPACE: `flip${randomBytes(4).toString("hex")}`, TIDEMARK_PARTITIONS: "2" }
    const role = (roles: string) => start({ ...shared, TIDEMARK_ROLES: roles }, join(directory(), roles.replaceAll(",", "-")))
    const ingest = role("ingest")
    const { ingest: ingestUrl = "" } = await ingest.ready
    const { graphql: theirs = "" } = await role("projector,replay,api").ready
    const { graphql: ours = "" } = await role("api").ready
    const nowMs = Date.now()
    const range = `from: "${new Date(nowMs - 172_800_000).toISOString()}", to: "${new Date(nowMs + 172_800_000).toISOString()}"`
    const question = `projection: "page-views", measures: ["views"], ${range}, resolution: DAY`
    const views = Array.from({ length: EVENTS }, (_, i) => ({ id: `e${i}`, type: "page.viewed", userId: `u${i % 7}`, schemaVersion: 2, data: { page: `/${i % 5}`, durationMs: i } }))
    expect(await send(ingestUrl, KEYS.write, views)).toMatchObject({ status: 200, body: { accepted: EVENTS } })
    await expect.poll(async () => JSON.stringify(await ask(ours, KEYS.read, `{ series(${question}) { groups { points { events } } } }`)), POLL).toContain(`"events":"${EVENTS}"`)
    const change = async (text: string) => ((await ask(theirs, KEYS.admin, `mutation { ${text} { id status } }`)) as { readonly data: Record<string, { readonly id: string; readonly status: string }> }).data
    const id = (await change('startRebuild(projection: "page-views", reason: "x")'))["startRebuild"]?.id
    await expect.poll(() => ask(ours, KEYS.read, '{ rebuilds(projection: "page-views") { status } }'), POLL).toMatchObject({ data: { rebuilds: [{ status: "READY" }] } })
    // Nobody appends heartbeats any more.
    ingest.child.kill("SIGTERM")
    await ingest.exit
    await expect.poll(async () => ((await ask(ours, KEYS.read, "{ freshness { lagEvents } }")) as { readonly data: { readonly freshness: readonly { readonly lagEvents: string }[] } }).data.freshness.filter(({ lagEvents }) => lagEvents !== "0"), POLL).toEqual([])

    const client = createClient({ url: ours.replace("http", "ws"), webSocketImpl: WebSocket, connectionParams: { authorization: `Bearer ${KEYS.read}` }, retryAttempts: 0 })
    const followed = client.iterate<Frame>({ query: `subscription { seriesChanged(${question}) { kind generation pointerVersion groups { key { value } points { start events } } } }` })
    const frame = async () => (await followed.next()).value?.data?.seriesChanged
    const first = await frame()
    expect(first).toMatchObject({ kind: "RESYNC", generation: 1, pointerVersion: 1 })
    for (const [text, generation, pointerVersion] of [[`cutOver(id: "${id}")`, 2, 2], ['rollBack(projection: "page-views")', 1, 3], [`cutOver(id: "${id}")`, 2, 4]] as const) {
      const next = frame()
      await change(text)
      expect(await next).toEqual({ ...first, generation, pointerVersion })
    }
    await client.dispose()
  }, 400_000)
})
