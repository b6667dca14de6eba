/**
 * The whole way of a mended projection on the real process: a wrong filter is served, the fix is shipped and offered, built
 * beside the live one while events come and questions are asked all the time, proved, shown window by window, served,
 * taken back and served again. Everything is held against plain counts that share no code with the product.
 */
import { Agent, request } from "node:http"
import { setTimeout as pause } from "node:timers/promises"
import { defineProjection } from "@tidemark/domain/definitions/definition"
import { readConfiguration } from "@tidemark/infra-wiring/configuration"
import { engines } from "@tidemark/infra-wiring/engines"
import { pageViews } from "@tidemark/projections/page-views/projection"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import * as Effect from "effect/Effect"
import { afterEach, describe, expect, it } from "vitest"
import { SeededRandom } from "./crash/random.ts"
import { KEYS, ask, runCli, send } from "./processHarness.ts"
import { useProcesses } from "./useProcesses.ts"

const POLL = { timeout: 60_000, interval: 100 }
const ANSWERS_MIN = 10_000
const ASKERS = 4
const BATCH = 40
const BATCH_EVERY_MS = 60
const SIZES_MS = { MINUTE: 60_000, HOUR: 3_600_000, DAY: 86_400_000 } as const
const PARTITIONS = "2"

type Resolution = keyof typeof SIZES_MS

/** The planted bug: what our own people look at is left out. The shipped definition counts it. */
const wrong = defineProjection({ ...pageViews, filter: "!event.data.internal" })

interface View {
  readonly id: string
  readonly timeMs: number
  readonly userId: string
  readonly page: string
  readonly internal: boolean
  readonly durationMs: number
}

/** A view of one of ten pages: mostly of now, some of the last quarter of an hour. Two pages have internal views, one has no other. */
const makeView = (random: SeededRandom, number: number, nowMs: number): View => {
  const page = random.between(0, 9)
  return {
    id: `v${number}`, timeMs: nowMs - (random.chance(0.1) ? random.between(60_000, 900_000) : random.between(0, 4_000)), userId: `u${random.between(1, 40)}`, page: `/${page}`,
    internal: page === 0 || (page === 1 && random.chance(0.1)), durationMs: random.between(0, 60_000)
  }
}

interface Logged extends View {
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

/** Asks over a connection that stays open: thousands of questions a second leave no time for a client's comfort. */
const makeAsker = (graphql: string) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const headers = { authorization: `Bearer ${KEYS.read}`, "content-type": "application/json" }
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

describe("a projection with a wrong filter", () => {
  const { start, directory } = useProcesses("campaign")
  const today = Math.floor(Date.now() / SIZES_MS.DAY)
  const range = { from: new Date((today - 1) * SIZES_MS.DAY).toISOString(), to: new Date((today + 2) * SIZES_MS.DAY).toISOString() }
  const running: { isOver: boolean; ended: Promise<unknown> }[] = []
  afterEach(async () => {
    for (const one of running) one.isOver = true
    await Promise.allSettled(running.map(({ ended }) => ended))
  })

  /** Runs beside the specification until it is told to end. */
  const beside = (loop: (isOver: () => boolean) => Promise<void>): { readonly stop: () => Promise<unknown> } => {
    const one = { isOver: false, ended: Promise.resolve() as Promise<unknown> }
    one.ended = loop(() => one.isOver)
    one.ended.catch(() => undefined)
    running.push(one)
    return { stop: () => { one.isOver = true; return one.ended } }
  }

  /** Asks all the time. Mixed: two generations in one answer, or totals that only two generations can give. */
  const askAll = (graphql: string) => {
    const found = { answers: 0, failed: 0, mixed: 0, back: 0, generations: new Set<number>(), failures: [] as string[] }
    const body = JSON.stringify({ query: TOTAL, variables: range })
    for (let asker = 0; asker < ASKERS; asker++) {
      let version = 0
      const { post, close } = makeAsker(graphql)
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
        }
        close()
      })
    }
    return found
  }

  /** Sends views until it is stopped; every one of them is acknowledged. */
  const sendAll = (ingest: string, sent: View[]) => {
    const random = new SeededRandom(20_261_124)
    return beside(async (isOver) => {
      while (!isOver()) {
        const views = Array.from({ length: BATCH }, (_, at) => makeView(random, sent.length + at, Date.now()))
        const events = views.map(({ id, timeMs, userId, page, internal, durationMs }) => ({ id, type: "page.viewed", time: new Date(timeMs).toISOString(), userId, schemaVersion: 2, data: { page, durationMs, internal } }))
        const { status, body } = await send(ingest, KEYS.write, events)
        if (status !== 200 || body["accepted"] !== BATCH) throw new Error(`sending was answered ${status}: ${JSON.stringify(body)}`)
        sent.push(...views)
        await pause(BATCH_EVERY_MS)
      }
    })
  }

  /** Every view in the log, with its place. */
  const readLog = async (graphql: string, sent: readonly View[]): Promise<readonly Logged[]> => {
    interface Page { readonly events: { readonly edges: readonly { readonly node: { readonly id: string; readonly partition: number; readonly offset: string } }[]; readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string } } }
    const places = new Map<string, { readonly partition: number; readonly offset: string }>()
    for (let after: string | null = null, more = true; more;) {
      const { data, errors }: Answer<Page> = (await ask(graphql, KEYS.read, "query ($after: String) { events(first: 1000, after: $after) { edges { node { id partition offset } } pageInfo { hasNextPage endCursor } } }", { after })) as Answer<Page>
      if (data === undefined) throw new Error(JSON.stringify(errors))
      for (const { node } of data.events.edges) places.set(node.id, node)
      more = data.events.pageInfo.hasNextPage
      after = data.events.pageInfo.endCursor
    }
    expect(places.size).toBe(sent.length)
    return sent.map((view) => ({ ...view, partition: places.get(view.id)?.partition ?? -1, offset: BigInt(places.get(view.id)?.offset ?? -1) }))
  }

  interface Difference {
    readonly key: readonly { readonly value: string }[]
    readonly start: string
    readonly resolution: Resolution
    readonly old: string | null
    readonly new: string | null
    readonly cause: string
    readonly firstDivergingEvent: { readonly id: string; readonly partition: number; readonly offset: string } | null
  }

  /** The differences as the command line lists them, page by page. */
  const listAll = async (dashboard: string): Promise<readonly Difference[]> => {
    const listed: Difference[] = []
    for (let after: string | null = null; ;) {
      const { code, out, notes } = await runCli(dashboard, KEYS.read, "--json", "rebuild", "diff", "page-views", "--first", "100", ...(after === null ? [] : ["--after", after]))
      expect([0, 3], notes).toContain(code)
      const page = JSON.parse(out) as { readonly differences: readonly Difference[]; readonly next: string | null }
      listed.push(...page.differences)
      if (page.next === null) return listed
      after = page.next
    }
  }

  const eventsIn = (figures: string | null): number => Number(/(?:^|, )events (\d+)/.exec(figures ?? "")?.[1] ?? 0)

  /** Exactly the windows with an internal view before the position, each with its counts and the first of these views. */
  const checkDifferences = (differences: readonly Difference[], logged: readonly Logged[], position: readonly { readonly partition: number; readonly offset: string }[]): void => {
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

  /** What is served now equals plain counts of everything that was sent. */
  const checkRows = async (graphql: string, sent: readonly View[]): Promise<void> => {
    interface Rows { readonly series: { readonly generation: number; readonly groups: readonly { readonly key: readonly { readonly value: string }[]; readonly points: readonly { readonly start: string; readonly events: string; readonly measures: readonly { readonly name: string; readonly text: string | null }[] }[] }[] } }
    const expected = new Map([...windowsOf(sent)].map(([name, views]) => [name, {
      events: views.length, views: String(views.length), visitors: String(new Set(views.map(({ userId }) => userId)).size), "duration.sum": String(views.reduce((sum, { durationMs }) => sum + durationMs, 0)), "duration.max": String(Math.max(...views.map(({ durationMs }) => durationMs)))
    }]))
    const seen = new Map<string, unknown>()
    for (const resolution of Object.keys(SIZES_MS)) {
      const { data, errors } = (await ask(graphql, KEYS.read, `query ($from: DateTime!, $to: DateTime!) { series(projection: "page-views", measures: ["views", "visitors", "duration.sum", "duration.max"], from: $from, to: $to, resolution: ${resolution}, breakdownBy: "page", first: 20) {
        generation groups { key { value } points { start events measures { name text } } } } }`, resolution === "MINUTE" ? { from: new Date(Date.now() - SIZES_MS.HOUR).toISOString(), to: new Date(Date.now() + 600_000).toISOString() } : range)) as Answer<Rows>
      if (data === undefined) throw new Error(JSON.stringify(errors))
      expect(data.series.generation).toBe(2)
      for (const { key, points } of data.series.groups) for (const { start: at, events, measures } of points) seen.set(`${resolution} ${at} ${key[0]?.value}`, { events: Number(events), ...Object.fromEntries(measures.map(({ name, text }) => [name, text])) })
    }
    expect(seen).toEqual(expected)
  }

  it("is mended beside the live one: exactly the differing windows, and every question answered, from one generation each", async () => {
    const configuration = readConfiguration({ flags: new Map(), environment: { TIDEMARK_MODE: "embedded", TIDEMARK_PARTITIONS: PARTITIONS, TIDEMARK_DATA_DIR: directory() }, workingDirectory: directory(), terminal: false })
    await Effect.runPromise(ensureGenerations([wrong]).pipe(Effect.provide(engines(configuration))))
    const { ingest = "", dashboard = "", graphql = "" } = await start({ TIDEMARK_PARTITIONS: PARTITIONS }).ready
    const cli = (...args: readonly string[]) => runCli(dashboard, KEYS.admin, "rebuild", ...args)
    const served = async () => ((await ask(graphql, KEYS.read, TOTAL, range)) as Answer<Total>).data
    const counted = async () => sumOf((await served())?.top.rows ?? [])
    const sent: View[] = []

    const load = sendAll(ingest, sent)
    const found = askAll(graphql)
    await expect.poll(() => sent.length, POLL).toBeGreaterThan(3_000)
    // The fix is shipped: the wrong generation stays the served one, the rebuild is offered and nothing was started.
    expect(await ask(graphql, KEYS.read, '{ projection(name: "page-views") { generation rebuildOffered } rebuilds(projection: "page-views") { id } }')).toEqual({ data: { projection: { generation: 1, rebuildOffered: true }, rebuilds: [] } })
    expect(await counted()).toBeLessThan(sent.length)

    const built = await cli("start", "page-views", "--reason", "internal views were left out", "--wait", "--yes", "--json")
    expect(built, built.notes).toMatchObject({ code: 3 })
    const { id, parity } = JSON.parse(built.out) as { readonly id: string; readonly parity: { readonly faults: readonly string[]; readonly sample: { readonly windows: number; readonly differing: readonly string[] }; readonly position: readonly { readonly partition: number; readonly offset: string }[] } }
    expect(parity).toMatchObject({ faults: [], sample: { differing: [] } })
    expect(parity.sample.windows).toBeGreaterThan(30)
    const differences = await listAll(dashboard)
    expect(await cli("cutover", "page-views", "--yes")).toMatchObject({ code: 3 })
    expect((await served())?.series.generation).toBe(1)

    for (const [verb, generation] of [["cutover", 2], ["rollback", 1], ["cutover", 2]] as const) {
      const before = found.answers
      expect(await cli(verb, "page-views", ...(verb === "cutover" ? ["--reason", "internal views count"] : []), "--yes"), verb).toMatchObject({ code: 0 })
      expect((await served())?.series.generation).toBe(generation)
      await expect.poll(() => found.answers, POLL).toBeGreaterThan(before + 200)
    }
    await expect.poll(() => found.answers, { ...POLL, timeout: 150_000 }).toBeGreaterThanOrEqual(ANSWERS_MIN)
    await load.stop()
    await expect.poll(counted, POLL).toBe(sent.length)
    expect(found).toMatchObject({ failed: 0, mixed: 0, back: 0, failures: [], generations: new Set([1, 2]) })
    expect(await ask(graphql, KEYS.read, `{ rebuild(id: "${id}") { status parity { accepted } } }`)).toEqual({ data: { rebuild: { status: "ACTIVE", parity: { accepted: "internal views count" } } } })
    await checkRows(graphql, sent)
    checkDifferences(differences, await readLog(graphql, sent), parity.position)
  }, 420_000)
})
