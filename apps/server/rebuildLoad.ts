/**
 * A projection with a planted wrong filter under live load, with questions asked all the time, held against plain counts that
 * share no code with the product: what the specifications of the whole way of a mended projection share, in either mode.
 */
import { Agent, request } from "node:http"
import { setTimeout as pause } from "node:timers/promises"
import { defineProjection } from "@tidemark/domain/definitions/definition"
import { pageViews } from "@tidemark/projections/page-views/projection"
import { afterEach, expect } from "vitest"
import { SeededRandom } from "./crash/random.ts"
import { KEYS, ask, runCli, send } from "./processHarness.ts"

const BATCH = 40
/** Between two batches unless said otherwise. */
const PAUSE_MS = 60
/** Of the batches, those that carry some events of earlier ones again. */
const REPEATING = 0.2
/** Of the views: `/0` is looked at by our own people alone. */
export const PAGES = 10
const DAY_MS = 86_400_000
const SIZES_MS = { MINUTE: 60_000, HOUR: 3_600_000, DAY: DAY_MS } as const

type Resolution = keyof typeof SIZES_MS

/** The planted bug: what our own people look at is left out. The shipped definition counts it. */
export const wrong = defineProjection({ ...pageViews, filter: "!event.data.internal" })

/** A tenant with two of its keys. */
export interface Tenant {
  readonly tenantId: string
  readonly write: string
  readonly read: string
}

export const DEFAULT_TENANT: Tenant = { tenantId: "default", write: KEYS.write, read: KEYS.read }

export interface View {
  readonly id: string
  readonly tenantId: string
  readonly timeMs: number
  readonly userId: string
  readonly page: string
  readonly internal: boolean
  readonly durationMs: number
}

/** A view of one of ten pages: mostly of now, some of the last quarter of an hour. Two pages have internal views, one has no other. */
const makeView = (random: SeededRandom, tenantId: string, number: number, nowMs: number): View => {
  const page = random.between(0, PAGES - 1)
  return {
    id: `v${number}`, tenantId, timeMs: nowMs - (random.chance(0.1) ? random.between(60_000, 900_000) : random.between(0, 4_000)), userId: `u${random.between(1, 40)}`, page: `/${page}`,
    internal: page === 0 || (page === 1 && random.chance(0.1)), durationMs: random.between(0, 60_000)
  }
}

/** A view with its place in the log. */
export interface Logged extends View {
  readonly partition: number
  readonly offset: bigint
}

/** Windows of the views, by resolution, start and page. */
const windowsOf = <Of extends View>(views: readonly Of[]): ReadonlyMap<string, readonly Of[]> => {
  const windows = new Map<string, Of[]>()
  for (const view of views) {
    for (const [name, sizeMs] of Object.entries(SIZES_MS)) {
      const window = `${name} ${new Date(Math.floor(view.timeMs / sizeMs) * sizeMs).toISOString()} ${view.page}`
      const known = windows.get(window)
      if (known === undefined) windows.set(window, [view])
      else known.push(view)
    }
  }
  return windows
}

interface Answer<Data> {
  readonly data?: Data
  readonly errors?: unknown
}

interface Total {
  readonly series: { readonly generation: number; readonly pointerVersion: number; readonly groups: readonly { readonly points: readonly { readonly events: string }[] }[] }
  readonly top: { readonly generation: number; readonly pointerVersion: number; readonly rows: readonly { readonly events: string }[] }
}

const TOTAL = `query ($from: DateTime!, $to: DateTime!) {
  series(projection: "page-views", measures: ["views"], from: $from, to: $to, resolution: DAY) { generation pointerVersion groups { points { events } } }
  top(projection: "page-views", measure: "views", by: "page", from: $from, to: $to, first: 20) { generation pointerVersion rows { events } } }`

const today = Math.floor(Date.now() / DAY_MS)
const range = { from: new Date((today - 1) * DAY_MS).toISOString(), to: new Date((today + 2) * DAY_MS).toISOString() }

/** Asks over a connection that stays open: thousands of questions a second leave no time for a client's comfort. */
const makeAsker = (graphql: string, key: string) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" }
  const post = (body: string): Promise<Answer<Total>> =>
    new Promise((resolve, reject) => {
      const sent = request(graphql, { method: "POST", agent, headers }, (response) => {
        let text = ""
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk)).on("end", () => resolve(JSON.parse(text) as Answer<Total>)).on("error", reject)
      })
      sent.on("error", reject).end(body)
    })
  return { post, close: () => agent.destroy() }
}

const sumOf = (parts: readonly { readonly events: string }[]): number => parts.reduce((sum, { events }) => sum + Number(events), 0)

/** Generation that is served to the tenant, and how many of its events it counts. */
export const servedTo = async (graphql: string, { read }: Tenant): Promise<{ readonly generation: number | undefined; readonly events: number }> => {
  const { data } = (await ask(graphql, read, TOTAL, range)) as Answer<Total>
  return { generation: data?.series.generation, events: sumOf(data?.top.rows ?? []) }
}

export type Beside = (loop: (isOver: () => boolean) => Promise<void>) => { readonly stop: () => Promise<unknown> }

/** Starts what runs beside a specification until it is told to end, at its end at the latest. */
export const useLoops = (): Beside => {
  const running: { isOver: boolean; ended: Promise<unknown> }[] = []
  afterEach(async () => {
    for (const one of running) one.isOver = true
    await Promise.allSettled(running.splice(0).map(({ ended }) => ended))
  })
  return (loop) => {
    const one = { isOver: false, ended: Promise.resolve() as Promise<unknown> }
    one.ended = loop(() => one.isOver)
    one.ended.catch(() => undefined)
    running.push(one)
    return { stop: () => { one.isOver = true; return one.ended } }
  }
}

/** What was answered. Mixed: two generations in one answer, or totals that only two generations can give. Back: an older pointer than before. */
export interface Asked {
  answers: number
  failed: number
  mixed: number
  back: number
  readonly generations: Set<number>
  readonly failures: string[]
}

/** Asks all the time, with one asker for each tenant named. `pauseMs`: between an answer and its asker's next question. */
export const askAll = (graphql: string, tenants: readonly Tenant[], beside: Beside, pauseMs = 0): Asked => {
  const found: Asked = { answers: 0, failed: 0, mixed: 0, back: 0, generations: new Set<number>(), failures: [] }
  const body = JSON.stringify({ query: TOTAL, variables: range })
  for (const { read } of tenants) {
    let version = 0
    const { post, close } = makeAsker(graphql, read)
    beside(async (isOver) => {
      while (!isOver()) {
        const { data, errors } = await post(body).catch((error: unknown): Answer<Total> => ({ errors: String(error) }))
        found.answers += 1
        if (data === undefined || errors !== undefined) {
          found.failed += 1
          found.failures.push(JSON.stringify(errors))
          continue
        }
        const { series, top } = data
        if (series.generation !== top.generation || series.pointerVersion !== top.pointerVersion || sumOf(series.groups.flatMap(({ points }) => points)) !== sumOf(top.rows)) found.mixed += 1
        if (series.pointerVersion < version) found.back += 1
        version = series.pointerVersion
        found.generations.add(series.generation)
        if (pauseMs > 0) await pause(pauseMs)
      }
      close()
    })
  }
  return found
}

const bodyOf = ({ id, timeMs, userId, page, internal, durationMs }: View) =>
  ({ id, type: "page.viewed", time: new Date(timeMs).toISOString(), userId, schemaVersion: 2, data: { page, durationMs, internal } })

/** Sends views of each tenant in turn until it is stopped, some of them again; every one of them is acknowledged. `sent`: each once. `pauseMs`: between two batches. */
export const sendAll = (ingest: string, tenants: readonly Tenant[], sent: View[], beside: Beside, pauseMs = () => PAUSE_MS) => {
  const random = new SeededRandom(20_261_124)
  return beside(async (isOver) => {
    while (!isOver()) {
      const { tenantId, write } = tenants[(sent.length / BATCH) % tenants.length] ?? DEFAULT_TENANT
      const views = Array.from({ length: BATCH }, (_, at) => makeView(random, tenantId, sent.length + at, Date.now()))
      const own = random.chance(REPEATING) ? sent.filter((view) => view.tenantId === tenantId).slice(-200) : []
      const repeated = own.length === 0 ? [] : [random.pick(own)]
      const { status, body } = await send(ingest, write, [...views, ...repeated].map(bodyOf))
      if (status !== 200 || Number(body["accepted"]) + Number(body["duplicate"]) !== BATCH + repeated.length) throw new Error(`sending was answered ${status}: ${JSON.stringify(body)}`)
      sent.push(...views)
      await pause(pauseMs())
    }
  })
}

/** Of one way of the pointer, ms. */
export interface MoveTimes {
  readonly p50: number
  readonly max: number
}

const timesOf = (tookMs: readonly number[]): MoveTimes => {
  const sorted = [...tookMs].sort((a, b) => a - b)
  return { p50: Math.round(sorted[Math.floor(sorted.length / 2)] ?? NaN), max: Math.round(sorted.at(-1) ?? NaN) }
}

/**
 * Takes an accepted rebuild that serves back and serves it again, so often each. Times are from asking for the move to the
 * first answer to a question from the generation moved to: a person sees no less.
 */
export const timeMoves = async (graphql: string, tenant: Tenant, rebuild: { readonly id: string; readonly generation: number; readonly fromGeneration: number }, times: number): Promise<{ readonly cutOver: MoveTimes; readonly rollback: MoveTimes }> => {
  const move = async (mutation: string, generation: number): Promise<number> => {
    const startedMs = performance.now()
    expect(await ask(graphql, KEYS.admin, `mutation { ${mutation} { projection } }`)).not.toHaveProperty("errors")
    expect((await servedTo(graphql, tenant)).generation).toBe(generation)
    return performance.now() - startedMs
  }
  const [cutOver, rollback]: [number[], number[]] = [[], []]
  for (let at = 0; at < times; at++) {
    rollback.push(await move('rollBack(projection: "page-views")', rebuild.fromGeneration))
    cutOver.push(await move(`cutOver(id: "${rebuild.id}")`, rebuild.generation))
  }
  return { cutOver: timesOf(cutOver), rollback: timesOf(rollback) }
}

interface EventsPage {
  readonly events: { readonly edges: readonly { readonly node: { readonly id: string; readonly partition: number; readonly offset: string } }[]; readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string } }
}

/** Every view of the tenant in the log, with its first place. */
export const readLog = async (graphql: string, { tenantId, read }: Tenant, sent: readonly View[]): Promise<readonly Logged[]> => {
  const places = new Map<string, { readonly partition: number; readonly offset: bigint }>()
  for (let after: string | null = null, more = true; more;) {
    const { data, errors }: Answer<EventsPage> = (await ask(graphql, read, "query ($after: String) { events(first: 1000, after: $after) { edges { node { id partition offset } } pageInfo { hasNextPage endCursor } } }", { after })) as Answer<EventsPage>
    if (data === undefined) throw new Error(JSON.stringify(errors))
    for (const { node: { id, partition, offset } } of data.events.edges) {
      const known = places.get(id)
      if (known === undefined || BigInt(offset) < known.offset) places.set(id, { partition, offset: BigInt(offset) })
    }
    more = data.events.pageInfo.hasNextPage
    after = data.events.pageInfo.endCursor
  }
  const own = sent.filter((view) => view.tenantId === tenantId)
  expect(places.size).toBe(own.length)
  return own.map((view) => ({ ...view, partition: -1, offset: -1n, ...places.get(view.id) }))
}

export interface Difference {
  readonly key: readonly { readonly value: string }[]
  readonly start: string
  readonly resolution: Resolution
  readonly old: string | null
  readonly new: string | null
  readonly cause: string
  readonly firstDivergingEvent: { readonly id: string; readonly partition: number; readonly offset: string } | null
}

/** The tenant's differences as the command line lists them, so many a page. */
export const listAll = async (dashboard: string, { read }: Tenant, first: number): Promise<readonly Difference[]> => {
  const listed: Difference[] = []
  for (let after: string | null = null; ;) {
    const { code, out, notes } = await runCli(dashboard, read, "--json", "rebuild", "diff", "page-views", "--first", String(first), ...(after === null ? [] : ["--after", after]))
    expect([0, 3], notes).toContain(code)
    const page = JSON.parse(out) as { readonly differences: readonly Difference[]; readonly next: string | null }
    expect(page.differences.length).toBeLessThanOrEqual(first)
    listed.push(...page.differences)
    if (page.next === null) return listed
    after = page.next
  }
}

const eventsIn = (figures: string | null): number => Number(/(?:^|, )events (\d+)/.exec(figures ?? "")?.[1] ?? 0)

/** Exactly the windows with an internal view before the position, each with its counts and the first of these views. */
export const checkDifferences = (differences: readonly Difference[], logged: readonly Logged[], position: readonly { readonly partition: number; readonly offset: string }[]): void => {
  const ends = new Map(position.map(({ partition, offset }) => [partition, BigInt(offset)]))
  const windows = windowsOf(logged.filter(({ partition, offset }) => offset < (ends.get(partition) ?? 0n)))
  const expected = [...windows].filter(([, views]) => views.some(({ internal }) => internal))
  const nameOf = ({ resolution, start: at, key }: Difference): string => `${resolution} ${at} ${key[0]?.value}`
  expect(differences.map(nameOf).sort()).toEqual(expected.map(([name]) => name).sort())
  expect(expected.length).toBeGreaterThan(10)
  expect(windows.size).toBeGreaterThan(2 * expected.length)
  const without = expected.filter(([, views]) => views.every(({ internal }) => internal))
  expect(without.length).toBeGreaterThan(3)
  for (const difference of differences) {
    const views = windows.get(nameOf(difference)) ?? []
    const internal = views.filter((view) => view.internal)
    expect([eventsIn(difference.old), eventsIn(difference.new)], nameOf(difference)).toEqual([views.length - internal.length, views.length])
    const { firstDivergingEvent: first } = difference
    const earliest = internal.filter(({ partition }) => partition === first?.partition).reduce<Logged | undefined>((least, view) => (least === undefined || view.offset < least.offset ? view : least), undefined)
    expect([first?.id, first?.offset], nameOf(difference)).toEqual([earliest?.id, String(earliest?.offset)])
  }
}

interface Rows {
  readonly series: { readonly generation: number; readonly groups: readonly { readonly key: readonly { readonly value: string }[]; readonly points: readonly { readonly start: string; readonly events: string; readonly measures: readonly { readonly name: string; readonly text: string | null }[] }[] }[] }
}

/** What is served to the tenant equals plain counts of everything it has sent. */
export const checkRows = async (graphql: string, { tenantId, read }: Tenant, generation: number, sent: readonly View[]): Promise<void> => {
  const expected = new Map([...windowsOf(sent.filter((view) => view.tenantId === tenantId))].map(([name, views]) => [name, {
    events: views.length, views: String(views.length), visitors: String(new Set(views.map(({ userId }) => userId)).size), "duration.sum": String(views.reduce((sum, { durationMs }) => sum + durationMs, 0)), "duration.max": String(Math.max(...views.map(({ durationMs }) => durationMs)))
  }]))
  const seen = new Map<string, unknown>()
  for (const resolution of Object.keys(SIZES_MS)) {
    const { data, errors } = (await ask(graphql, read, `query ($from: DateTime!, $to: DateTime!) { series(projection: "page-views", measures: ["views", "visitors", "duration.sum", "duration.max"], from: $from, to: $to, resolution: ${resolution}, breakdownBy: "page", first: 20) {
      generation groups { key { value } points { start events measures { name text } } } } }`, resolution === "MINUTE" ? { from: new Date(Date.now() - SIZES_MS.HOUR).toISOString(), to: new Date(Date.now() + 600_000).toISOString() } : range)) as Answer<Rows>
    if (data === undefined) throw new Error(JSON.stringify(errors))
    expect(data.series.generation).toBe(generation)
    for (const { key, points } of data.series.groups) for (const { start: at, events, measures } of points) seen.set(`${resolution} ${at} ${key[0]?.value}`, { events: Number(events), ...Object.fromEntries(measures.map(({ name, text }) => [name, text])) })
  }
  expect(seen).toEqual(expected)
}
