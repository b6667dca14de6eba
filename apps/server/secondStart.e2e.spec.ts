/**
 * A start on a directory that holds data, as `npm start` starts it: what it costs until the server is ready, with what is
 * looked for to install or build, and that it answers the same.
 */
import { existsSync, readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { KEYS, ask, send } from "./processHarness.ts"
import { useProcesses } from "./useProcesses.ts"

const EVENTS = 6_000
const BATCH_EVENTS = 1_000
const PAGES = 1_500
const CPU_SECONDS_MAX = 3
/** Linux counts the time of a process in hundredths of a second, whatever its own clock. */
const TICKS_PER_SECOND = 100
const POLL = { timeout: 60_000, interval: 100 }

/** Seconds of processor time, user and system, that all threads of a process and the children it has waited for have used. */
const cpuSecondsOf = (pid: number | undefined): number => {
  // The second field is the program's name in brackets, which may hold anything.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "").split(" ")
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_SECOND
}

/** Why a start would install or build first, which would be measured with it. Not typed: it runs before anything is installed. */
const { unprepared } = (await import(new URL("../../infra/workspace/prepare.mjs", import.meta.url).href)) as { readonly unprepared: () => string | undefined }
const why = existsSync("/proc/self/stat") ? unprepared() : "there is no /proc to read processor time from"
if (why !== undefined) process.stdout.write(`skipped: the second start: ${why}; npm test prepares the workspace first\n`)

interface Counted {
  readonly groups: readonly { readonly points: readonly { readonly events: string }[] }[]
}

interface Answer {
  readonly data?: { readonly views: Counted; readonly counts: Counted }
}

describe.skipIf(why !== undefined)("the second start", () => {
  const { start, directory } = useProcesses("second-start")
  const hourMs = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 3_600_000
  const range = `from: "${new Date(hourMs).toISOString()}", to: "${new Date(hourMs + 3_600_000).toISOString()}"`
  const asked = `{
    series(projection: "page-views", measures: ["views", "visitors", "duration.p95"], ${range}, resolution: MINUTE) { groups { points { start events revision measures { name value } } } }
    top(projection: "page-views", measure: "views", by: "page", ${range}, first: 1000) { rows { value events measure { value } } }
    views: series(projection: "page-views", measures: ["views"], ${range}, resolution: HOUR) { groups { points { events } } }
    counts: series(projection: "event-counts", measures: ["events", "users"], ${range}, resolution: HOUR, breakdownBy: "type") { groups { key { value } points { events measures { value } } } }
  }`
  /** What both projections counted in the hour. */
  const countsOf = (answer: unknown) => {
    const { views, counts } = (answer as Answer).data ?? {}
    return [views, counts].map((series) => series?.groups[0]?.points[0]?.events)
  }
  const viewed = (n: number) => ({
    id: `e${n}`, type: "page.viewed", time: new Date(hourMs + (n % 3_600) * 1_000).toISOString(), userId: `u${n % 700}`, schemaVersion: 2, data: { page: `/p/${n % PAGES}`, durationMs: n }
  })

  it(`on ${EVENTS} events with ${PAGES} keys takes at most ${CPU_SECONDS_MAX} s of processor time until it is ready, and answers as before`, async () => {
    const first = start()
    const { ingest = "", graphql = "" } = await first.ready
    for (let from = 0; from < EVENTS; from += BATCH_EVENTS) {
      const batch = Array.from({ length: BATCH_EVENTS }, (_, at) => viewed(from + at))
      expect(await send(ingest, KEYS.admin, batch, { "tidemark-backfill": "history" })).toMatchObject({ status: 200, body: { accepted: BATCH_EVENTS } })
    }
    await expect.poll(async () => countsOf(await ask(graphql, KEYS.read, asked)), POLL).toEqual([String(EVENTS), String(EVENTS)])
    const before = await ask(graphql, KEYS.read, asked)
    first.child.kill("SIGTERM")
    expect(await first.exit).toMatchObject({ code: 0 })

    const second = start({}, directory(), "npmStart")
    const again = await second.ready
    const cpuSeconds = cpuSecondsOf(second.child.pid)
    expect(await ask(again["graphql"] ?? "", KEYS.read, asked)).toEqual(before)
    process.stdout.write(`second start: ${cpuSeconds} s of processor time until the ready line, on ${EVENTS} events with ${PAGES} keys\n`)
    expect(cpuSeconds).toBeGreaterThan(0)
    expect(cpuSeconds).toBeLessThanOrEqual(CPU_SECONDS_MAX)
  }, 150_000)
})
