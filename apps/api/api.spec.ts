/** The API on a real node:http server: keys, answers, limits, sockets. */
import { createServer } from "node:http"
import { readFileSync } from "node:fs"
import type { AddressInfo } from "node:net"
import { portsOf } from "@tidemark/queries/fakePorts"
import { World } from "@tidemark/queries/fakes"
import { createClient } from "graphql-ws"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import { WebSocket } from "ws"
import { schemaText } from "./buildApiSchema.ts"
import type { KeyHolder } from "./context.ts"
import { isApiPath, makeApiHandlers } from "./makeApiHandlers.ts"
import { SOCKET_LIMITS } from "./webSocket.ts"

const START = Date.parse("2026-03-01T00:00:00Z")
const KEYS: Readonly<Record<string, KeyHolder>> = {
  reader: { tenantId: "acme", kind: "read" },
  admin: { tenantId: "acme", kind: "admin" },
  writer: { tenantId: "acme", kind: "write" },
  stranger: { tenantId: "other", kind: "read" }
}

const world = new World()
const failures: unknown[] = []
const api = makeApiHandlers({ services: portsOf(world), resolveKey: (text) => KEYS[text], metrics: { failed: (_operation, error) => failures.push(error) } })
const server = createServer((req, res) => void (isApiPath(req.url) ? api.handleGraphql(req, res) : res.writeHead(404).end()))
server.on("upgrade", api.handleUpgrade)
let url = ""

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`
  world.fold(0, { id: "one", timeMs: START + 1_000, page: "/", user: "ann" })
  world.fold(1, { id: "two", timeMs: START + 2_000, page: "/", user: "bob" })
})

afterAll(async () => {
  await api.close()
  await new Promise((resolve) => server.close(resolve))
})

interface Answer {
  readonly data?: Record<string, unknown> | null
  readonly errors?: readonly { readonly message: string; readonly extensions: { readonly code: string } }[]
}

const post = async (query: string, variables: object = {}, headers: Record<string, string> = { authorization: "Bearer reader" }) => {
  const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify({ query, variables }) })
  return { status: response.status, answer: (await response.json()) as Answer }
}

const codeOf = ({ status, answer }: Awaited<ReturnType<typeof post>>) => [status, answer.errors?.[0]?.extensions.code]

const RANGE = 'from: "2026-03-01T00:00:00Z", to: "2026-03-01T01:00:00.000Z"'

describe("the audit", () => {
  it("tells what it found, the difference itself to the operator only, and nothing where none runs", async () => {
    const state = { startedAtMs: START, windows: 7, differing: 1, skipped: { records: 2, time: 0 }, lastAtMs: START + 5, difference: { atMs: START + 4, text: "page-views of acme …" } }
    const own = makeApiHandlers({ services: portsOf(world), resolveKey: (text) => (text === "operator" ? { tenantId: "acme", kind: "admin", operator: true } : KEYS[text]), audit: () => state })
    const audited = createServer((req, res) => void own.handleGraphql(req, res))
    await new Promise<void>((resolve) => audited.listen(0, "127.0.0.1", resolve))
    const ask = async (key: string, address: string) =>
      (await (await fetch(address, { method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${key}` }, body: JSON.stringify({ query: "{ audit { startedAt windows differing skipped { reason windows } lastAt lastDifferenceAt lastDifference } }" }) })).json()) as Answer
    const told = { startedAt: "2026-03-01T00:00:00.000Z", windows: 7, differing: 1, skipped: [{ reason: "records", windows: 2 }], lastAt: "2026-03-01T00:00:00.005Z", lastDifferenceAt: "2026-03-01T00:00:00.004Z" }
    const at = `http://127.0.0.1:${(audited.address() as AddressInfo).port}/graphql`
    expect((await ask("operator", at)).data).toEqual({ audit: { ...told, lastDifference: "page-views of acme …" } })
    expect((await ask("admin", at)).data).toEqual({ audit: { ...told, lastDifference: null } })
    expect((await ask("reader", url)).data).toEqual({ audit: null })
    await own.close()
    await new Promise((resolve) => audited.close(resolve))
  })
})

describe("the key", () => {
  it("decides who asks: none or a wrong one 401, a write key 403, read and admin keys an answer", async () => {
    const query = "{ projections { name } }"
    expect(codeOf(await post(query, {}, {}))).toEqual([401, "UNAUTHENTICATED"])
    expect(codeOf(await post(query, {}, { authorization: "Bearer wrong" }))).toEqual([401, "UNAUTHENTICATED"])
    expect(codeOf(await post(query, {}, { authorization: "Bearer writer" }))).toEqual([403, "FORBIDDEN"])
    for (const key of ["reader", "admin"]) expect(await post(query, {}, { authorization: `Bearer ${key}` })).toMatchObject({ status: 200, answer: { data: { projections: [{ name: "page-views" }] } } })
    expect((await post(query, {}, { authorization: `Basic ${btoa("reader:")}` })).status).toBe(200)
  })

  it("is refused with 429 and Retry-After once many wrong ones came from an address, and a right one still answers", async () => {
    const own = makeApiHandlers({ services: portsOf(world), resolveKey: (text) => KEYS[text], wrongKeysPerMinute: 3 })
    const guarded = createServer((req, res) => void own.handleGraphql(req, res))
    await new Promise<void>((resolve) => guarded.listen(0, "127.0.0.1", resolve))
    const ask = (key: string) => fetch(`http://127.0.0.1:${(guarded.address() as AddressInfo).port}/graphql`, { method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${key}` }, body: '{"query":"{ projections { name } }"}' })
    const statuses: number[] = []
    for (let n = 0; n < 4; n++) statuses.push((await ask("wrong")).status)
    expect(statuses).toEqual([401, 401, 401, 429])
    const refused = await ask("wrong")
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0)
    expect(await refused.json()).toMatchObject({ errors: [{ extensions: { code: "RATE_LIMITED" } }] })
    expect((await ask("reader")).status).toBe(200)
    await own.close()
    await new Promise((resolve) => guarded.close(resolve))
  })

  it("decides the tenant", async () => {
    const query = '{ events { edges { node { id } } } event(id: "one") { event { id } } }'
    expect((await post(query, {}, { authorization: "Bearer stranger" })).answer.data).toEqual({ events: { edges: [] }, event: null })
  })
})

describe("answers", () => {
  it("carry figures, state and provenance in a series and a top", async () => {
    const { answer } = await post(`{ series(projection: "page-views", measures: ["views", "visitors"], ${RANGE}, resolution: HOUR) { generation pointerVersion watermark position { partition offset } groups { key { name } points { start end state events revision corrections measures { name value text exact errorBound } } } }
      top(projection: "page-views", measure: "views", by: "page", ${RANGE}) { rows { value events measure { text } } } }`)
    expect(answer.data).toEqual({
      series: {
        generation: 1, pointerVersion: 1, watermark: "2026-02-28T23:59:51.000Z", position: [{ partition: 0, offset: "1" }, { partition: 1, offset: "1" }],
        groups: [{ key: [], points: [{ start: "2026-03-01T00:00:00.000Z", end: "2026-03-01T01:00:00.000Z", state: "PROVISIONAL", events: "2", revision: "2", corrections: "0", measures: [{ name: "views", value: 2, text: "2", exact: true, errorBound: null }, { name: "visitors", value: 2, text: "2", exact: true, errorBound: null }] }] }]
      },
      top: { rows: [{ value: "/", events: "2", measure: { text: "2" } }] }
    })
  })

  it("list the values a filter can be set to, as they are and as they were", async () => {
    const list = (more: string) => post(`{ facets(projection: "page-views", by: "page", ${RANGE}${more}) { generation position { partition offset } values { value events } truncated exact } }`)
    const values = [{ value: "/", events: "2" }]
    const position = [{ partition: 0, offset: "1" }, { partition: 1, offset: "1" }]
    expect((await list(', where: [{ name: "page", in: ["/elsewhere"] }]')).answer.data).toEqual({ facets: { generation: 1, position, values, truncated: false, exact: true } })
    expect((await list(', text: "x"')).answer.data).toMatchObject({ facets: { values: [] } })
    expect((await list(', asOf: { position: [{ partition: 0, offset: "1" }, { partition: 1, offset: "0" }] }')).answer.data).toMatchObject({ facets: { values: [{ value: "/", events: "1" }] } })
    expect(codeOf(await post(`{ facets(projection: "page-views", by: "colour", ${RANGE}) { exact } }`))).toEqual([400, "UNKNOWN_DIMENSION"])
  })

  it("prove a window by its events, page by page", async () => {
    const query = `query ($after: String) { window(projection: "page-views", key: [{ name: "page", value: "/" }, { name: "country", value: "DE" }], start: "2026-03-01T00:00:00Z", resolution: MINUTE) { fingerprint why(first: 1, after: $after) { expectedEvents foundEvents fingerprintMatches events { edges { node { id data } } pageInfo { hasNextPage endCursor } } } } }`
    interface Proof { readonly window: { readonly fingerprint: string; readonly why: { readonly events: { readonly pageInfo: { readonly endCursor: string } } } } }
    const first = (await post(query)).answer.data as unknown as Proof
    expect(first.window.fingerprint).toMatch(/^[0-9a-f]{16}$/)
    expect(first).toMatchObject({ window: { why: { expectedEvents: "2", foundEvents: "2", fingerprintMatches: true, events: { edges: [{ node: { id: "one" } }], pageInfo: { hasNextPage: true } } } } })
    const second = (await post(query, { after: first.window.why.events.pageInfo.endCursor })).answer.data
    expect(second).toMatchObject({ window: { why: { events: { edges: [{ node: { id: "two", data: { page: "/", country: "DE", durationMs: 100 } } }], pageInfo: { hasNextPage: false } } } } })
  })

  it("say what a proof would cost when it is more than one answer reads, and what to ask instead", async () => {
    const known = world.rows
    world.rows = known.map((row) => ({ ...row, offsets: row.offsets.map((range) => ({ ...range, max: 6_000_000n })) }))
    const asked = (resolution: string) => post(`{ window(projection: "page-views", key: [{ name: "page", value: "/" }, { name: "country", value: "DE" }], start: "2026-03-01T00:00:00Z", resolution: ${resolution}) { why { foundEvents } } }`)
    const day = await asked("DAY").finally(() => (world.rows = known))
    expect(codeOf(day)).toEqual([400, "LIMIT_EXCEEDED"])
    expect(day.answer.errors?.[0]?.message).toBe("The events of this window lie among 12000002 records of the log, and one answer reads at most 5000000. Nothing is proved or disproved. Ask for the hours or minutes of the window: each has a proof of its own. tidemark verify --full has no such bound.")
    expect(day.answer.errors?.[0]?.extensions).toMatchObject({ limit: "records", records: "12000002", walked: "0", max: "5000000" })
  })

  it("tell the whole journey of an event, also from its place, and refuse a place that is none", async () => {
    const journey = (at: string) => post(`{ event(id: "two"${at}) { received { at originalTime timeFlag source backfill } validated { checked schemaVersion } appended { partition offset partitionKey }
      windows { outcome places { resolution start end state events revision } contribution { name text } lateByMs wasHeld release { offset } } repetitions { id } } }`)
    const expected = {
      received: { at: "2026-03-01T00:00:02.005Z", originalTime: null, timeFlag: null, source: "urn:specification", backfill: null }, validated: { checked: false, schemaVersion: 0 },
      appended: { partition: 1, offset: "0", partitionKey: "bob" }, repetitions: [],
      windows: [{ outcome: "FOLDED", lateByMs: null, wasHeld: false, release: null, contribution: expect.arrayContaining([{ name: "views", text: "1" }]) as unknown, places: [{ resolution: "MINUTE", start: "2026-03-01T00:00:00.000Z", state: "PROVISIONAL", events: "2", revision: "2" }, { resolution: "HOUR" }, { resolution: "DAY", end: "2026-03-02T00:00:00.000Z" }] }]
    }
    for (const at of ["", ', at: { partition: 1, offset: "0" }']) expect((await journey(at)).answer.data).toMatchObject({ event: expected })
    expect((await journey(', at: { partition: 0, offset: "0" }')).answer.data).toEqual({ event: null })
    expect(codeOf(await journey(', at: { partition: 0, offset: "x" }'))[1]).toBe("BAD_ARGUMENT")
  })

  it("tell what became of an event, and how fresh every partition is", async () => {
    const { answer } = await post('{ event(id: "one") { event { id partition offset } windows { projection generation start key { name value } outcome } } freshness { projection partition offset lagEvents } projection(name: "page-views") { dimensions status lagEvents deadLetters } nothing: projection(name: "nope") { name } }')
    expect(answer.data).toEqual({
      event: { event: { id: "one", partition: 0, offset: "0" }, windows: [{ projection: "page-views", generation: 1, start: "2026-03-01T00:00:00.000Z", key: [{ name: "country", value: "DE" }, { name: "page", value: "/" }], outcome: "FOLDED" }] },
      freshness: [{ projection: "page-views", partition: 0, offset: "1", lagEvents: "0" }, { projection: "page-views", partition: 1, offset: "1", lagEvents: "0" }],
      projection: { dimensions: ["country", "page"], status: "LIVE", lagEvents: "0", deadLetters: "0" },
      nothing: null
    })
  })

  it("tell which view for BI tools has not followed the pointer, and what stands against it", async () => {
    const look = async () => (await post('{ projection(name: "page-views") { staleView { view generation reason } } }')).answer.data
    expect(await look()).toEqual({ projection: { staleView: null } })
    world.staleViews.push({ projection: "page-views", view: "tidemark.rm_page_views", generation: 4, reason: "session 7 (analyst) holds it" })
    expect(await look()).toEqual({ projection: { staleView: { view: "tidemark.rm_page_views", generation: 4, reason: "session 7 (analyst) holds it" } } })
    world.staleViews.pop()
  })
})

describe("one request", () => {
  it("answers all its fields from one snapshot, the next from another", async () => {
    const before = world.snapshots
    const { answer } = await post(`{ projections { name } freshness { offset } series(projection: "page-views", measures: ["views"], ${RANGE}, resolution: HOUR) { generation } top(projection: "page-views", measure: "views", by: "page", ${RANGE}) { generation } }`)
    expect(answer.errors).toBeUndefined()
    expect(world.snapshots - before).toBe(1)
    await post("{ freshness { offset } }")
    expect(world.snapshots - before).toBe(2)
  })

  it("opens none when it asks nothing of the read models", async () => {
    const before = world.snapshots
    await post("{ events { edges { cursor } } }")
    expect(world.snapshots).toBe(before)
  })
})

describe("a bad request", () => {
  it("gets a code whatever is wrong with it, and 400 for every name that does not exist", async () => {
    expect(codeOf(await post("mutation { x }"))).toEqual([400, "BAD_REQUEST"])
    expect(codeOf(await post("query A { freshness { offset } } query B { freshness { offset } }"))).toEqual([400, "BAD_REQUEST"])
    expect(codeOf(await post("query A($x: Int!) { events(first: $x) { edges { cursor } } }"))).toEqual([400, "BAD_REQUEST"])
    for (const [projection, measure, by, code] of [["nope", "views", "page", "UNKNOWN_PROJECTION"], ["page-views", "nope", "page", "UNKNOWN_MEASURE"], ["page-views", "views", "nope", "UNKNOWN_DIMENSION"]]) {
      expect(codeOf(await post(`{ top(projection: "${projection}", measure: "${measure}", by: "${by}", ${RANGE}) { generation } }`))).toEqual([400, code])
    }
  })

  it("is told what was meant by a misspelling, how large a page may be, and where subscriptions go", async () => {
    const messageOf = async (query: string) => (await post(query)).answer.errors?.[0]?.message
    expect(await messageOf("{ projection(name: \"x\") { generatio } }")).toMatch(/Did you mean "generation"/)
    expect(await messageOf("{ events(first: 5000) { edges { cursor } } }")).toBe("first is at most 1000, asked for 5000.")
    expect(await post("query ($first: Int) { events(first: $first) { edges { cursor } } }", { first: 5_000 })).toMatchObject({ status: 400, answer: { errors: [{ message: "first is at most 1000, asked for 5000." }] } })
    const subscription = await post("subscription { freshnessChanged { offset } }")
    expect(codeOf(subscription)).toEqual([400, "BAD_REQUEST"])
    expect(subscription.answer.errors?.[0]?.message).toMatch(/WebSocket/)
  })

  it("is refused where a filter says nothing, and finds nothing by an empty user", async () => {
    for (const filter of ['from: "2026-03-02T00:00:00Z", to: "2026-03-01T00:00:00Z"', 'where: [{ path: "data.page" }]', 'where: [{ path: "", equals: "/" }]']) {
      expect(codeOf(await post(`{ events(filter: { ${filter} }) { edges { cursor } } }`)), filter).toEqual([400, "BAD_ARGUMENT"])
    }
    expect((await post('{ events(filter: { userId: "" }) { edges { cursor } } }')).answer.data).toEqual({ events: { edges: [] } })
  })

  it("gets a code that stays, before anything is executed", async () => {
    const snapshots = world.snapshots
    expect(codeOf(await post("{ nonsense }"))).toEqual([400, "BAD_REQUEST"])
    expect(codeOf(await post("{ projections {"))).toEqual([400, "BAD_REQUEST"])
    expect(codeOf(await post(`{ ${Array.from({ length: 16 }, (_, index) => `a${index}: freshness { offset }`).join(" ")} }`))).toEqual([400, "LIMIT_EXCEEDED"])
    expect(codeOf(await post(`{ freshness { ${"offset ".repeat(1_000)} } }`))).toEqual([400, "LIMIT_EXCEEDED"])
    const deep = await post(`{ ${"a { ".repeat(9)} b ${"} ".repeat(9)} }`)
    expect([deep.status, deep.answer.errors?.some(({ extensions }) => extensions.code === "LIMIT_EXCEEDED")]).toEqual([400, true])
    const window = `window(projection: "page-views", key: [], start: "2026-03-01T00:00:00Z", resolution: DAY) { why { events { edges { node { id type time offset data } } } } }`
    const dear = `{ ${Array.from({ length: 14 }, (_, index) => `a${index}: ${window}`).join(" ")} }`
    expect(codeOf(await post(dear))).toEqual([400, "LIMIT_EXCEEDED"])
    expect(codeOf(await post('{ series(projection: "page-views", measures: ["views"], from: "yesterday", to: "2026-03-01T00:00:00Z", resolution: HOUR) { generation } }'))[0]).toBe(400)
    const bomb = `{ ...f0 } ${Array.from({ length: 12 }, (_, index) => `fragment f${index} on Query { ${index === 11 ? "freshness { offset }" : `a${index}: freshness { offset } ...f${index + 1} ...f${index + 1} ...f${index + 1}`} }`).join(" ")}`
    expect(codeOf(await post(bomb))).toEqual([400, "LIMIT_EXCEEDED"])
    expect(codeOf(await post("{ events(first: 1000000000) { edges { cursor } } }"))).toEqual([400, "LIMIT_EXCEEDED"])
    expect(world.snapshots).toBe(snapshots)
  })

  it("is not a full page of anything, with all its fields", async () => {
    const fields = "edges { cursor node { id type time receivedAt partition offset userId anonymousId sessionId source schemaVersion backfill data } } pageInfo { endCursor hasNextPage }"
    const { answer } = await post(`{ events(first: 1000) { ${fields} } top(projection: "page-views", measure: "views", by: "page", ${RANGE}, first: 1000) { rows { value events measure { name value text exact errorBound } } }
      window(projection: "page-views", key: [{ name: "page", value: "/" }, { name: "country", value: "de" }], start: "2026-03-01T00:00:00Z", resolution: DAY) { why(first: 1000) { foundEvents events { ${fields} } } } }`)
    expect(answer.errors).toBeUndefined()
  })

  it("gets the question's own refusal with its code", async () => {
    expect(codeOf(await post("{ events(first: 1001) { edges { cursor } } }"))[1]).toBe("LIMIT_EXCEEDED")
    expect(codeOf(await post('{ events(after: "x") { edges { cursor } } }'))[1]).toBe("BAD_CURSOR")
    expect(codeOf(await post(`{ series(projection: "nope", measures: ["views"], ${RANGE}, resolution: HOUR) { generation } }`))[1]).toBe("UNKNOWN_PROJECTION")
  })

  it("for an event by its id walk the log, so that a request has few of them", async () => {
    const events = (count: number) => post(`{ ${Array.from({ length: count }, (_, at) => `e${at}: event(id: "never ${at}") { event { id } }`).join(" ")} }`)
    expect((await events(4)).answer.data).toMatchObject({ e0: null, e3: null })
    expect(codeOf(await events(5))).toEqual([400, "LIMIT_EXCEEDED"])
  })

  it("for the past names a position of every partition or a time, and costs as much as four for the present", async () => {
    const ask = (asOf: string) => post(`{ top(projection: "page-views", measure: "views", by: "page", ${RANGE}, asOf: ${asOf}) { rows { value } position { partition offset } } }`)
    const now = await ask("null")
    const found = now.answer.data?.["top"] as { readonly position: readonly { readonly partition: number; readonly offset: string }[] } | undefined
    const place = found?.position ?? []
    const text = (position: typeof place) => `[${position.map(({ partition, offset }) => `{ partition: ${partition}, offset: "${offset}" }`).join(", ")}]`
    expect((await ask(`{ position: ${text(place)} }`)).answer.data).toEqual(now.answer.data)
    expect(codeOf(await ask("{}"))[1]).toBe("BAD_ARGUMENT")
    expect(codeOf(await ask(`{ position: ${text(place)}, time: "2026-03-01T00:00:00Z" }`))[1]).toBe("BAD_ARGUMENT")
    expect(codeOf(await ask(`{ position: ${text(place.slice(1))} }`))).toEqual([400, "BAD_ARGUMENT"])
    expect(codeOf(await ask(`{ position: ${text(place.map((part) => ({ ...part, offset: "99" })))} }`))).toEqual([400, "BAD_ARGUMENT"])
    const three = (asOf: string) => `{ ${[1, 2, 3].map((at) => `t${at}: top(projection: "page-views", measure: "views", by: "page", ${RANGE}${asOf}) { generation }`).join(" ")} }`
    expect(codeOf(await post(three(', asOf: { time: "2026-03-01T00:00:00Z" }')))).toEqual([400, "LIMIT_EXCEEDED"])
    expect(codeOf(await post(three("")))).toEqual([200, undefined])
  })

  it("that is none gets its status", async () => {
    const headers = { authorization: "Bearer reader" }
    expect((await fetch(url, { headers })).status).toBe(405)
    expect((await fetch(url, { method: "POST", headers, body: "{}" })).status).toBe(415)
    expect((await fetch(url, { method: "POST", headers: { ...headers, "content-type": "application/json" }, body: "[]" })).status).toBe(400)
    expect((await fetch(url, { method: "POST", headers: { ...headers, "content-type": "application/json" }, body: " ".repeat(300_000) })).status).toBe(413)
  })
})

const socket = (key: string) => createClient({ url: url.replace("http", "ws"), webSocketImpl: WebSocket, connectionParams: { authorization: `Bearer ${key}` }, retryAttempts: 0 })

describe("a socket", () => {
  it("follows a series, the tail and freshness, and ends what it began", async () => {
    const client = socket("reader")
    const series = client.iterate<{ seriesChanged: { kind: string; groups: { points: { events: string }[] }[] } }>({ query: `subscription { seriesChanged(projection: "page-views", measures: ["views"], ${RANGE}, resolution: MINUTE) { kind groups { points { events } } } }` })
    const tail = client.iterate<{ eventTail: { id: string } }>({ query: "subscription { eventTail { id } }" })
    const fresh = client.iterate<{ freshnessChanged: { offset: string }[] }>({ query: "subscription { freshnessChanged { offset } }" })
    expect((await series.next()).value).toMatchObject({ data: { seriesChanged: { kind: "RESYNC", groups: [{ points: [{ events: "2" }] }] } } })
    expect((await fresh.next()).value).toMatchObject({ data: { freshnessChanged: [{ offset: "1" }, { offset: "1" }] } })
    const [nextSeries, nextTail, nextFresh] = [series.next(), tail.next(), fresh.next()]
    while (world.appendListeners.size === 0) await new Promise((resolve) => setTimeout(resolve, 10))
    world.fold(0, { id: "three", timeMs: START + 3_000, page: "/" })
    expect((await nextSeries).value).toMatchObject({ data: { seriesChanged: { kind: "UPSERT", groups: [{ points: [{ events: "3" }] }] } } })
    expect((await nextTail).value).toMatchObject({ data: { eventTail: { id: "three" } } })
    expect((await nextFresh).value).toMatchObject({ data: { freshnessChanged: [{ offset: "2" }, { offset: "1" }] } })
    await client.dispose()
    const listening = () => [...world.listeners.values()].reduce((sum, { size }) => sum + size, world.appendListeners.size)
    const deadline = performance.now() + 2_000
    while (listening() > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10))
    expect(listening()).toBe(0)
  })

  it("answers all fields of a query from one snapshot, the next query from another", async () => {
    const client = socket("reader")
    const query = `{ freshness { offset } series(projection: "page-views", measures: ["views"], ${RANGE}, resolution: HOUR) { generation } top(projection: "page-views", measure: "views", by: "page", ${RANGE}) { generation } }`
    const before = world.snapshots
    expect((await client.iterate({ query }).next()).value).toMatchObject({ data: { series: { generation: 1 }, top: { generation: 1 } } })
    expect(world.snapshots - before).toBe(1)
    await client.iterate({ query }).next()
    expect(world.snapshots - before).toBe(2)
    await client.dispose()
  })

  it("is closed with 4401 without a valid key and 4403 with a write key", async () => {
    for (const [key, code] of [["wrong", 4401], ["writer", 4403]] as const) {
      const client = socket(key)
      await expect(client.iterate({ query: "subscription { eventTail { id } }" }).next()).rejects.toMatchObject({ code })
      await client.dispose()
    }
  })

  it("refuses a page of another origin", async () => {
    const foreign = new WebSocket(url.replace("http", "ws"), "graphql-transport-ws", { origin: "https://elsewhere.example" })
    expect(await new Promise((resolve) => foreign.on("unexpected-response", (_req, res) => resolve(res.statusCode)).on("error", () => undefined))).toBe(403)
  })

  it("has its hundredth subscription, is refused the next one, and may have another once one has ended", async () => {
    const client = socket("reader")
    // Every message comes in a second of its own: their number a second has a limit too.
    let nowMs = performance.now()
    const clock = vi.spyOn(performance, "now").mockImplementation(() => (nowMs += 1_000))
    const begin = () => client.iterate<{ freshnessChanged: { offset: string }[] }>({ query: "subscription { freshnessChanged { offset } }" })
    try {
      const held = Array.from({ length: SOCKET_LIMITS.subscriptions }, begin)
      for (const one of held) expect((await one.next()).value).toMatchObject({ data: { freshnessChanged: [{}, {}] } })
      await expect(begin().next()).rejects.toMatchObject([{ extensions: { code: "LIMIT_EXCEEDED" } }])
      await held[0]?.return?.()
      expect((await begin().next()).value).toMatchObject({ data: { freshnessChanged: [{}, {}] } })
    } finally {
      clock.mockRestore()
      await client.dispose()
    }
  })

  it("tells a failed subscription by its code", async () => {
    const client = socket("reader")
    const failed = client.iterate({ query: `subscription { seriesChanged(projection: "nope", measures: ["views"], ${RANGE}, resolution: MINUTE) { kind } }` }).next()
    await expect(failed).rejects.toMatchObject([{ extensions: { code: "UNKNOWN_PROJECTION" } }])
    await expect(client.iterate({ query: "subscription { nonsense }" }).next()).rejects.toMatchObject([{ extensions: { code: "BAD_REQUEST" } }])
    await client.dispose()
  })
})

describe("schema.graphql", () => {
  it("is what the code generates: npm run build, then node apps/api/dist/printSchema.js apps/api/schema.graphql", () => {
    expect(readFileSync(new URL("schema.graphql", import.meta.url), "utf8")).toBe(schemaText())
  })
})
