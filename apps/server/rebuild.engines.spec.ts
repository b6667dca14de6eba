/**
 * Rebuilds in the distributed mode, each role a process of its own on the real engines: the whole way of a mended
 * projection, and whoever carries a rebuild out, or asked for it, killed in the middle.
 */
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { setTimeout as pause } from "node:timers/promises"
import { createKey } from "@tidemark/commands/createKey"
import { createTenant } from "@tidemark/commands/createTenant"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { WindowIndex } from "@tidemark/domain/ports/WindowIndex"
import { withClient } from "@tidemark/infra-postgres/testDatabase"
import { readConfiguration } from "@tidemark/infra-wiring/configuration"
import { engines } from "@tidemark/infra-wiring/engines"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import { documentModel } from "@tidemark/projections/runtime/windowDocument"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { beforeEach, describe, expect, it, onTestFailed } from "vitest"
import { caughtUp, verifyFull } from "./crash/readBack.ts"
import { compareCopies } from "./crash/searchCopies.ts"
import { storedFaults } from "./crash/storedState.ts"
import { KEYS, ask, runCli } from "./processHarness.ts"
import type { StartedProcess } from "./processHarness.ts"
import { DEFAULT_TENANT, PAGES, askAll, checkDifferences, checkRows, listAll, readLog, sendAll, servedTo, useLoops, wrong } from "./rebuildLoad.ts"
import type { Tenant, View } from "./rebuildLoad.ts"
import { useProcesses } from "./useProcesses.ts"

/** Of four engines and seven processes on one machine that others may use as well. */
const POLL = { timeout: 480_000, interval: 100 }
const VIEWS = 3_000
/** Between two batches before so many views were sent, and from then on: what comes then is there to be counted, too. */
const pauseAfter = (sent: readonly View[]) => () => (sent.length < VIEWS ? 20 : 2_000)
/** Answers to be had on each side of a move of the pointer. */
const ANSWERS = 30
/** Seven processes and four engines share the machine. */
const ASK_EVERY_MS = 20
/** Slow enough for the build to be there when its process is killed. */
const CAPPED_PER_SECOND = 200
const LOOK_EVERY_MS = 300
/** As stored: see `domain/time/window`. */
const DAY = 2
const ALL_TIME = { fromMs: -8.64e15, toMs: 8.64e15 }
/** Of the wrong generation, then with the page that only our own people look at. */
const WRONG_PAGES = Array.from({ length: PAGES - 1 }, (_, page) => `/${page + 1}`)
const CARRIERS = ["projector-1", "projector-2"] as const

const tenantOf = (tenantId: string): Tenant => ({ tenantId, write: `${tenantId}-write-key-0123456789-0123456789`, read: `${tenantId}-read-key-0123456789-0123456789` })
const MORE_TENANTS = ["acme", "birch"].map(tenantOf)
const TENANTS = [DEFAULT_TENANT, ...MORE_TENANTS]

interface Rebuild {
  readonly id: string
  readonly status: string
  readonly generation: number
  readonly progress: { readonly processed: string } | null
  readonly parity: { readonly differ: string; readonly onlyOld: string; readonly onlyNew: string; readonly faults: readonly string[]; readonly position: readonly { readonly partition: number; readonly offset: string }[] } | null
}

const newestRebuild = async (graphql: string): Promise<Rebuild | undefined> => {
  const { data } = (await ask(graphql, KEYS.read, '{ rebuilds(projection: "page-views") { id status generation progress { processed } parity { differ onlyOld onlyNew faults position { partition offset } } } }')) as { readonly data?: { readonly rebuilds: readonly Rebuild[] } }
  return data?.rebuilds[0]
}

describe("a rebuild where every role is a process of its own", () => {
  const { start, directory } = useProcesses("rebuild-engines")
  const beside = useLoops()
  let namespace: string
  let environment: Readonly<Record<string, string>>
  /** What each process said last, and how often it said that it goes on with a rebuild. */
  let said: Map<string, string[]>
  beforeEach(() => {
    namespace = `rebuild${randomBytes(4).toString("hex")}`
    const addresses = Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (/^TIDEMARK_(KAFKA_BROKERS|[A-Z]+_URL)$/.test(name) && value !== undefined ? [[name, value]] : [])))
    environment = { ...addresses, TIDEMARK_MODE: "distributed", TIDEMARK_NAMESPACE: namespace, TIDEMARK_PARTITIONS: "4", TIDEMARK_LANES: "4", TIDEMARK_REBUILD_THREADS: "2" }
    said = new Map()
  })

  const enginesFrom = (name: string) => engines(readConfiguration({ flags: new Map(), environment: { ...environment, TIDEMARK_DATA_DIR: join(directory(), name) }, workingDirectory: directory(), terminal: false }))

  const role = (name: string, roles: string): StartedProcess => {
    const one = start({ ...environment, TIDEMARK_ROLES: roles }, join(directory(), name))
    const lines = said.get(name) ?? []
    said.set(name, lines)
    if (one.child.stderr !== null) createInterface({ input: one.child.stderr }).on("line", (line) => lines.push(line))
    return one
  }

  /** The wrong definition is served, and there are three tenants; then every role starts. */
  const startAll = async () => {
    onTestFailed(() => { for (const [name, lines] of said) process.stdout.write(`-- ${name}\n${lines.slice(-15).join("\n")}\n`) })
    const act = { actor: "specification", reason: "several tenants" }
    await Effect.runPromise(Effect.gen(function* () {
      yield* ensureGenerations([wrong])
      for (const { tenantId, write, read } of MORE_TENANTS) {
        yield* createTenant({ tenantId, name: tenantId, strict: false }, act)
        for (const [keyRole, keyText] of [["write", write], ["read", read]] as const) {
          yield* createKey({ tenantId, role: keyRole, operator: false, name: keyRole, allowedOrigins: [], expiresAtMs: null, keyText }, act, { isKnown: () => false })
        }
      }
    }).pipe(Effect.provide(enginesFrom("first"))))
    const members = { ingest: role("ingest", "ingest"), "projector-1": role("projector-1", "projector,replay"), "projector-2": role("projector-2", "projector,replay"), api: role("api", "api,dashboard"), other: role("other", "api") }
    const [{ ingest = "" }, { graphql = "", dashboard = "" }, { graphql: otherGraphql = "" }] = await Promise.all([members.ingest.ready, members.api.ready, members.other.ready, members["projector-1"].ready, members["projector-2"].ready])
    return { members, ingest, graphql, dashboard, otherGraphql }
  }

  /** Generations of the rows that view `rm_page_views` shows: the wrong one has none of the page that only our own people look at. */
  const viewed = (): Promise<number> =>
    withClient(async (client) => Number((await client.query<{ n: string }>(`SELECT count(*) AS n FROM "${namespace}".rm_page_views WHERE page = '/0'`)).rows[0]?.n))

  /** What the search engine ranks in the generation that the pointer names: pages with views over all days of the tenant. */
  const rankedPages = ({ tenantId }: Tenant) =>
    Effect.runPromise(Effect.scoped(Effect.gen(function* () {
      const store = yield* ReadModelStore
      const snapshot = yield* store.snapshot
      const generation = (yield* snapshot.pointers).find(({ projection }) => projection === "page-views")?.generation ?? 0
      const record = yield* snapshot.generation("page-views", generation)
      const index = yield* Effect.serviceOption(WindowIndex)
      if (record === undefined || Option.isNone(index)) throw new Error("no generation is served, or there is no index of windows")
      const { values, complete } = yield* index.value.candidates(documentModel(record, yield* store.incarnation), [{ tenantId, resolution: DAY, ...ALL_TIME }], { figure: "views", by: "page", limit: PAGES })
      return { generation, complete, pages: [...values].sort() }
    })).pipe(Effect.provide(enginesFrom("search"))))

  /** Every window document of the served generation equals its rows. */
  const checkCopies = async (): Promise<void> => {
    const copies = await Effect.runPromise(compareCopies(TENANTS.map(({ tenantId }) => tenantId), POLL.timeout).pipe(Effect.provide(enginesFrom("search"))))
    expect(copies).toMatchObject({ wrong: 0, extra: 0, examples: [] })
    expect(copies.windows).toBeGreaterThan(100)
  }

  const cliOf = (dashboard: string) => (...args: readonly string[]) => runCli(dashboard, KEYS.admin, "rebuild", ...args)

  /** Everything that was sent is counted for its tenant, by generation 2, and the whole verification finds nothing. */
  const checkAll = async (graphql: string, generation: number, sent: readonly View[]): Promise<void> => {
    const url = new URL("/", graphql).href.replace(/\/$/, "")
    for (const tenant of TENANTS) {
      await expect.poll(() => servedTo(graphql, tenant), POLL).toEqual({ generation, events: sent.filter(({ tenantId }) => tenantId === tenant.tenantId).length })
      await checkRows(graphql, tenant, generation, sent)
    }
    await caughtUp(url, POLL.timeout)
    expect(await verifyFull(url)).toMatchObject({ ok: true, conservation: [] })
  }

  it("is mended beside the served one, proved, shown page by page to each tenant, served, taken back and served again", async () => {
    const { ingest, graphql, dashboard, otherGraphql } = await startAll()
    const cli = cliOf(dashboard)
    const sent: View[] = []
    const load = sendAll(ingest, TENANTS, sent, beside, pauseAfter(sent))
    const found = askAll(otherGraphql, TENANTS, beside, ASK_EVERY_MS)
    await expect.poll(() => sent.length, POLL).toBeGreaterThanOrEqual(VIEWS)
    expect(await cli("plan", "page-views")).toMatchObject({ code: 0, out: expect.stringMatching(/^plan [^]*\nwrites +gen 2 beside gen 1/) as string })
    const built = await cli("start", "page-views", "--reason", "internal views were left out", "--wait", "--yes", "--json")
    expect(built, built.notes).toMatchObject({ code: 3 })
    expect(await newestRebuild(otherGraphql)).toMatchObject({ status: "READY", generation: 2, parity: { faults: [] } })
    const differences = new Map<Tenant, Awaited<ReturnType<typeof listAll>>>()
    for (const tenant of TENANTS) differences.set(tenant, await listAll(dashboard, tenant, tenant === DEFAULT_TENANT ? 15 : 100))
    expect(await cli("cutover", "page-views", "--yes")).toMatchObject({ code: 3 })
    expect(await viewed()).toBe(0)

    for (const [verb, generation] of [["cutover", 2], ["rollback", 1], ["cutover", 2]] as const) {
      const before = found.answers
      expect(await cli(verb, "page-views", ...(verb === "cutover" ? ["--reason", "internal views count"] : []), "--yes"), verb).toMatchObject({ code: 0 })
      expect([(await servedTo(graphql, DEFAULT_TENANT)).generation, (await servedTo(otherGraphql, DEFAULT_TENANT)).generation, (await viewed()) > 0]).toEqual([generation, generation, generation === 2])
      for (const tenant of TENANTS) expect(await rankedPages(tenant)).toEqual({ generation, complete: true, pages: generation === 2 ? ["/0", ...WRONG_PAGES] : WRONG_PAGES })
      await expect.poll(() => found.answers, POLL).toBeGreaterThan(before + ANSWERS)
    }
    await load.stop()
    const { position = [] } = (await newestRebuild(graphql))?.parity ?? {}
    await checkAll(graphql, 2, sent)
    await checkCopies()
    for (const tenant of TENANTS) {
      const logged = await readLog(graphql, tenant, sent)
      checkDifferences(differences.get(tenant) ?? [], logged, position)
    }
    expect(found).toMatchObject({ failed: 0, mixed: 0, back: 0, failures: [], generations: new Set([1, 2]) })
    process.stdout.write(`${sent.length} views, ${found.answers} answers, ${[...differences.values()].map(({ length }) => length).join(" + ")} differences\n`)
  }, 1_200_000)

  it("goes on in the other process when the one that builds it is killed, whoever asks is killed too, and one complete generation is served always", async () => {
    const { members, ingest, graphql, otherGraphql } = await startAll()
    const sent: View[] = []
    const load = sendAll(ingest, TENANTS, sent, beside, pauseAfter(sent))
    const found = askAll(otherGraphql, TENANTS, beside, ASK_EVERY_MS)
    const stored = { looks: 0, faults: [] as string[] }
    beside(async (isOver) => {
      while (!isOver()) {
        const seen = { projection: "page-views", generations: new Set(found.generations), position: new Map<number, bigint>() }
        stored.faults.push(...(await storedFaults(enginesFrom("looks"), seen, TENANTS.map(({ tenantId }) => tenantId))))
        stored.looks += 1
        await pause(LOOK_EVERY_MS)
      }
    })
    await expect.poll(() => sent.length, POLL).toBeGreaterThanOrEqual(VIEWS)
    // An answer may come too late on a busy machine; what it did is asked for below.
    const change = (address: string, text: string) => ask(address, KEYS.admin, `mutation { ${text} { id } }`)
    await change(graphql, `startRebuild(projection: "page-views", reason: "x", eventsPerSecondMax: ${CAPPED_PER_SECOND})`)
    const goesOn = (name: string) => (said.get(name) ?? []).filter((line) => line.includes("a rebuild goes on")).length
    const building = async () => Number((await newestRebuild(otherGraphql))?.progress?.processed)
    await expect.poll(building, POLL).toBeGreaterThan(0)
    const id = (await newestRebuild(otherGraphql))?.id
    const [first, second] = goesOn("projector-1") > 0 ? CARRIERS : ([...CARRIERS].reverse() as [string, string])
    expect([goesOn(first), goesOn(second)]).toEqual([1, 0])

    members[first as keyof typeof members].child.kill("SIGKILL")
    members.api.child.kill("SIGKILL")
    const killedMs = performance.now()
    expect(await newestRebuild(otherGraphql)).toMatchObject({ id, status: "BUILDING" })
    await change(otherGraphql, `capRebuild(id: "${id}", eventsPerSecondMax: null)`)
    await expect.poll(() => goesOn(second), POLL).toBe(1)
    const takenOverSeconds = (performance.now() - killedMs) / 1_000
    await expect.poll(() => newestRebuild(otherGraphql), POLL).toMatchObject({ id, status: "READY", generation: 2, parity: { faults: [] } })
    const { graphql: again = "" } = await role("api", "api,dashboard").ready
    expect(await ask(again, KEYS.admin, `mutation { cutOver(id: "${id}", acceptDifferences: "internal views count") { status } }`)).toEqual({ data: { cutOver: { status: "ACTIVE" } } })
    expect(await viewed()).toBeGreaterThan(0)
    const looks = stored.looks
    await expect.poll(() => stored.looks, POLL).toBeGreaterThan(looks + 1)
    await load.stop()
    await checkAll(again, 2, sent)
    await checkCopies()
    expect(stored.faults).toEqual([])
    expect(found).toMatchObject({ failed: 0, mixed: 0, back: 0, failures: [], generations: new Set([1, 2]) })
    process.stdout.write(`taken over after ${takenOverSeconds.toFixed(1)} s, ${sent.length} views, ${found.answers} answers, ${stored.looks} looks at what is stored\n`)
  }, 1_200_000)
})
