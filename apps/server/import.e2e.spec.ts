/**
 * The main job on real input: files imported by the command line into a real server, and the answers of GraphQL held
 * against counts of plain programs that share no code with the product.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { SeededRandom } from "./crash/random.ts"
import { countAccessLog } from "./fixtures/plainCounts.ts"
import type { PlainRequestCounts } from "./fixtures/plainCounts.ts"
import { KEYS, ask, runCli, startProcess } from "./processHarness.ts"
import type { StartedProcess } from "./processHarness.ts"

const ACCESS_LOG = join(import.meta.dirname, "fixtures", "weblog-apache", "apache_logs.gz")
const EDITS = join(import.meta.dirname, "fixtures", "wikipedia-edits", "edits-first-4000.json.gz")

interface Figure {
  readonly name: string
  readonly value: number
  readonly text: string | null
  readonly exact: boolean
  readonly errorBound: number | null
}
interface Point {
  readonly start: string
  readonly events: string
  readonly measures: readonly Figure[]
}
interface Group {
  readonly key: readonly { readonly name: string; readonly value: string }[]
  readonly points: readonly Point[]
}

let directory: string
let server: StartedProcess
let url: string
let graphql: string

/** Runs the command line; its standard output as JSON. */
const tidemark = async (...args: readonly string[]): Promise<Record<string, unknown>> => {
  const { code, out, notes } = await runCli(url, KEYS.admin, "--json", ...args)
  if (code !== 0) throw new Error(`tidemark ${args.join(" ")} ended with ${code}: ${notes}`)
  return JSON.parse(out) as Record<string, unknown>
}

const question = async <T>(query: string, variables: Readonly<Record<string, unknown>> = {}): Promise<T> => {
  const answer = (await ask(graphql, KEYS.read, query, variables)) as { readonly data?: T; readonly errors?: unknown }
  if (answer.data === undefined || answer.data === null) throw new Error(JSON.stringify(answer.errors))
  return answer.data
}

/** Waits until every projection has folded the whole log. */
const caughtUp = (): Promise<void> =>
  expect.poll(async () => (await question<{ projections: { lagEvents: string; status: string }[] }>("{ projections { lagEvents status } }")).projections, { timeout: 30_000, interval: 100 })
    .toEqual(Array.from({ length: 5 }, () => ({ lagEvents: "0", status: "LIVE" })))

const figure = (point: { readonly measures: readonly Figure[] }, name: string): Figure => {
  const found = point.measures.find((measure) => measure.name === name)
  if (found === undefined) throw new Error(`no measure ${name}`)
  return found
}

/** Distinct counts are exact up to 256, within the stated bound above. */
const expectDistinct = (found: Figure, distinct: number): void => {
  expect(found.exact).toBe(distinct <= 256)
  if (found.exact) expect(found.value).toBe(distinct)
  else expect(Math.abs(found.value - distinct)).toBeLessThanOrEqual(found.errorBound ?? 0)
}

const expectRequests = (point: Point, plain: PlainRequestCounts | undefined): void => {
  expect(point.events).toBe(String(plain?.requests))
  expect(figure(point, "requests").text).toBe(String(plain?.requests))
  expect(figure(point, "bytes").text).toBe(String(plain?.bytes))
  expectDistinct(figure(point, "clients"), plain?.clients.size ?? 0)
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "tidemark-import-"))
  server = startProcess(directory)
  const ready = await server.ready
  url = new URL(ready["ingest"] ?? "").origin
  graphql = ready["graphql"] ?? ""
})

afterAll(async () => {
  server.child.kill("SIGTERM")
  await server.exit
  rmSync(directory, { recursive: true, force: true })
})

describe("an Apache access log", () => {
  const plain = countAccessLog()
  const RANGE = `from: "2015-05-17T00:00:00.000Z", to: "2015-05-21T00:00:00.000Z"`
  const MEASURES = `measures: ["requests", "bytes", "clients"]`
  const WINDOW = `query ($path: String!, $status: String!, $start: DateTime!) { window(projection: "requests", key: [{ name: "path", value: $path }, { name: "status", value: $status }], start: $start, resolution: HOUR) { start events measures { name value text exact errorBound } } }`
  /** Longer than 512 bytes: stored as a prefix and a hash, found by the whole path. */
  const LONG_PATH = [...plain.byPath.keys()].find((path) => Buffer.byteLength(path) > 512) ?? ""
  /** The path that a key stands for. */
  const wholePath = (key: string): string => (key.includes("…") && LONG_PATH.startsWith(key.slice(0, key.indexOf("…"))) ? LONG_PATH : key)
  const POINTS = "groups { key { name value } points { start events measures { name value text exact errorBound } } }"

  it("is imported whole; its truncated line is named and kept as rejected; the same import again adds nothing", async () => {
    const first = await tidemark("import", ACCESS_LOG, "--format", "access-log", "--name", "apache_logs")
    expect(first).toMatchObject({ lines: 10_000, accepted: 9_999, duplicate: 0, rejected: 1 })
    await caughtUp()
    const positions = async () => (await question<{ projection: { position: { offset: string }[] } }>('{ projection(name: "requests") { position { partition offset } } }')).projection.position.map(({ offset }) => Number(offset))
    const before = await positions()
    const again = await tidemark("import", ACCESS_LOG, "--format", "access-log", "--name", "apache_logs")
    expect(again).toMatchObject({ lines: 10_000, accepted: 0, duplicate: 9_999, rejected: 1 })
    const after = await question<{ rejectedEvents: { edges: unknown[] } }>("{ rejectedEvents(first: 10) { edges { node { id origin code detail } } } }")
    expect(after.rejectedEvents.edges).toHaveLength(1)
    expect(JSON.stringify(after.rejectedEvents.edges)).toContain("8899")
    // Heartbeats, which go to every partition alike, are all that may have been appended since.
    const appended = async () => (await positions()).map((offset, partition) => offset - (before[partition] ?? 0))
    await expect.poll(async () => new Set(await appended()).size, { timeout: 10_000, interval: 100 }).toBe(1)
    expect((await appended())[0]).toBeLessThan(20)
  })

  it("gives the plain count of every hour: requests, bytes and clients", async () => {
    const { series } = await question<{ series: { groups: Group[] } }>(`{ series(projection: "requests", ${MEASURES}, ${RANGE}, resolution: HOUR) { ${POINTS} } }`)
    const points = series.groups.flatMap((group) => group.points)
    expect(points.map(({ start }) => start)).toEqual([...plain.byHour.keys()].sort())
    for (const point of points) expectRequests(point, plain.byHour.get(point.start))
  })

  it("gives the plain count of every path in every hour: no hour more, none less", async () => {
    const paths = [...plain.byPathAndHour.keys()].sort()
    expect(paths.filter((path) => Buffer.byteLength(path) > 512)).toEqual([LONG_PATH])
    const groups: Group[] = []
    for (let from = 0; from < paths.length; from += 500) {
      const { series } = await question<{ series: { groups: Group[] } }>(`query ($paths: [String!]!) { series(projection: "requests", ${MEASURES}, ${RANGE}, resolution: HOUR, breakdownBy: "path", first: 1000, where: [{ name: "path", in: $paths }]) { ${POINTS} } }`, { paths: paths.slice(from, from + 500) })
      groups.push(...series.groups)
    }
    const pathOf = ({ key }: Group): string => wholePath(key[0]?.value ?? "")
    expect(groups.map(pathOf).sort()).toEqual(paths)
    for (const group of groups) {
      const hours = plain.byPathAndHour.get(pathOf(group)) ?? new Map<string, PlainRequestCounts>()
      expect(group.points.map(({ start }) => start), pathOf(group)).toEqual([...hours.keys()].sort())
      for (const point of group.points) expectRequests(point, hours.get(point.start))
    }
    expect(groups.reduce((sum, { points }) => sum + points.length, 0)).toBe(5_458)
  })

  it("gives the plain count of every day, whose clients are more than are counted exactly", async () => {
    const { series } = await question<{ series: { groups: Group[] } }>(`{ series(projection: "requests", ${MEASURES}, ${RANGE}, resolution: DAY) { ${POINTS} } }`)
    const points = series.groups.flatMap((group) => group.points)
    expect(points.map(({ start }) => start.slice(0, 10))).toEqual([...plain.byDay.keys()].sort())
    for (const point of points) expectRequests(point, plain.byDay.get(point.start.slice(0, 10)))
    expect(points.some((point) => !figure(point, "clients").exact)).toBe(true)
  })

  it("gives single windows as the plain count does: at the edges and 80 by chance, and none where nothing was", async () => {
    const seed = Date.now() % 2 ** 31
    const random = new SeededRandom(seed)
    const rows = [...plain.byRowAndHour.keys()].sort()
    const most = (of: (counts: PlainRequestCounts) => number): string => [...plain.byRowAndHour].reduce((best, row) => (of(row[1]) > of(best[1]) ? row : best))[0]
    const hours = [...plain.byHour.keys()].sort()
    const edges = [
      ...rows.filter((row) => row.endsWith(hours[0] ?? "none") || row.endsWith(hours.at(-1) ?? "none")),
      most(({ requests }) => requests), most(({ bytes }) => bytes), most(({ clients }) => clients.size), most(({ bytes }) => -bytes),
      ...rows.filter((row) => row.startsWith(LONG_PATH)), ...rows.filter((row) => row.startsWith("/ "))
    ]
    const chosen = new Set([...edges, ...Array.from({ length: 80 }, () => random.pick(rows))])
    for (const row of chosen) {
      const [path, status, start] = row.split(" ")
      const { window } = await question<{ window: Point | null }>(WINDOW, { path, status, start })
      if (window === null) throw new Error(`seed ${seed}: no window of ${row}`)
      const found = { row, seed, events: window.events, requests: figure(window, "requests").text, bytes: figure(window, "bytes").text, clients: figure(window, "clients").value, exact: figure(window, "clients").exact }
      const counts = plain.byRowAndHour.get(row)
      expect(found).toEqual({ row, seed, events: String(counts?.requests), requests: String(counts?.requests), bytes: String(counts?.bytes), clients: counts?.clients.size, exact: true })
    }
    for (const path of ["/favicon.ico", LONG_PATH, "/no-such-page"]) {
      const { window } = await question<{ window: Point | null }>(WINDOW, { path, status: "200", start: "2015-05-16T23:00:00.000Z" })
      expect(window, path).toBeNull()
    }
  })

  it("ranks paths as the plain count does, with their clients over all days", async () => {
    const { top } = await question<{ top: { rows: { value: string; events: string; measure: Figure }[] } }>(`{ top(projection: "requests", measure: "requests", by: "path", ${RANGE}, first: 50) { rows { value events measure { name value text exact errorBound } } } }`)
    const ranked = [...plain.byPath].sort((a, b) => b[1].requests - a[1].requests).slice(0, 50)
    expect(top.rows.map(({ measure }) => measure.text)).toEqual(ranked.map(([, { requests }]) => String(requests)))
    for (const { value, events } of top.rows) expect(events).toBe(String(plain.byPath.get(value)?.requests))
    const clients = await question<{ top: { rows: { value: string; measure: Figure }[] } }>(`{ top(projection: "requests", measure: "clients", by: "path", ${RANGE}, first: 200) { rows { value measure { name value text exact errorBound } } } }`)
    expect(clients.top.rows).toHaveLength(200)
    for (const { value, measure } of clients.top.rows) expectDistinct(measure, plain.byPath.get(value)?.clients.size ?? 0)
  })

  it("answers a single window with all of its provenance, and lists the events behind it", async () => {
    const { window } = await question<{ window: Point & Record<string, unknown> }>(`{ window(projection: "requests", key: [{ name: "path", value: "/favicon.ico" }, { name: "status", value: "200" }], start: "2015-05-18T00:00:00.000Z", resolution: DAY) {
      start end state revision corrections events fingerprint generation pointerVersion watermark position { partition offset } measures { name value text exact errorBound }
      why(first: 500) { expectedEvents foundEvents fingerprintMatches events { edges { node { type time data backfill } } } } } }`)
    const lines = gunzipSync(readFileSync(ACCESS_LOG)).toString("utf8").split("\n").filter((line) => line.includes("[18/May/2015") && /"\w+ \/favicon\.ico(\?\S*)? HTTP\/\d\.\d" 200 /.test(line))
    expect(window).toMatchObject({ end: "2015-05-19T00:00:00.000Z", corrections: "0", generation: 1, pointerVersion: 1, events: String(lines.length) })
    expect(window["why"]).toMatchObject({ expectedEvents: String(lines.length), foundEvents: String(lines.length), fingerprintMatches: true })
    const edges = (window["why"] as { events: { edges: { node: { type: string; data: { path: string; status: number }; backfill: string } }[] } }).events.edges
    expect(edges).toHaveLength(lines.length)
    for (const { node } of edges) expect(node).toMatchObject({ type: "http.request", backfill: "apache_logs", data: { path: "/favicon.ico", status: 200 } })
  })
})

describe("Wikipedia edits, as NDJSON with a type of their own and no schema", () => {
  it("give the plain counts per hour, and users within the stated bound", async () => {
    const plain = new Map<string, { edits: number; users: Set<string> }>()
    for (const line of gunzipSync(readFileSync(EDITS)).toString("utf8").split("\n")) {
      if (line === "") continue
      const edit = JSON.parse(line) as { time: string; user: string }
      const hour = `${edit.time.slice(0, 13)}:00:00.000Z`
      const counts = plain.get(hour) ?? { edits: 0, users: new Set<string>() }
      plain.set(hour, { edits: counts.edits + 1, users: counts.users.add(edit.user) })
    }
    const report = await tidemark("import", EDITS, "--format", "ndjson", "--type", "wiki.edited", "--time-field", "time", "--user-field", "user")
    expect(report).toMatchObject({ lines: 4_000, accepted: 4_000, duplicate: 0, rejected: 0 })
    await caughtUp()
    const { series } = await question<{ series: { groups: Group[] } }>(`{ series(projection: "event-counts", measures: ["events", "users"], from: "2015-09-12T00:00:00.000Z", to: "2015-09-13T00:00:00.000Z", resolution: HOUR, where: [{ name: "type", in: ["wiki.edited"] }]) { groups { key { name value } points { start events measures { name value text exact errorBound } } } } }`)
    const points = series.groups.flatMap((group) => group.points)
    expect(points.map(({ start }) => start)).toEqual([...plain.keys()].sort())
    for (const point of points) {
      const counts = plain.get(point.start)
      expect(figure(point, "events").text).toBe(String(counts?.edits))
      expectDistinct(figure(point, "users"), counts?.users.size ?? 0)
    }
  })
})
