/** Rebuilds over GraphQL, on engines in memory: who may change them, what differs, what is pushed. */
import { randomUUID } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { changeRebuilds } from "@tidemark/commands/rebuild/aggregate"
import { pagesOf, storeDifferences } from "@tidemark/commands/rebuild/differences"
import { makeFakeEventStore } from "@tidemark/commands/settings/fakes"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { EventStore } from "@tidemark/domain/ports/EventStore"
import { PubSub } from "@tidemark/domain/ports/PubSub"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { decideMove, decideVerified } from "@tidemark/domain/settings/rebuild/decide"
import { REBUILD_TOPIC } from "@tidemark/domain/settings/rebuild/topic"
import { portsOf } from "@tidemark/queries/fakePorts"
import { World } from "@tidemark/queries/fakes"
import { createShadow, joinServed } from "@tidemark/replay/buildGeneration"
import { parity } from "@tidemark/replay/parity"
import { appendOrders, folded, makeMemory, orders, whileServed } from "@tidemark/replay/rebuildSpec"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { createClient } from "graphql-ws"
import { describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import type { KeyHolder } from "./context.ts"
import { makeApiHandlers } from "./makeApiHandlers.ts"
import { makeRebuildDesk } from "./rebuildDesk.ts"
import type { RateFigures } from "./rebuildDesk.ts"

const KEYS: Readonly<Record<string, KeyHolder>> = { reader: { tenantId: "t", kind: "read" }, admin: { tenantId: "t", kind: "admin", operator: true, keyPrefix: "tm_admin" }, tenantAdmin: { tenantId: "other", kind: "admin", keyPrefix: "tm_other" }, forged: { tenantId: "t", kind: "read", operator: true }, other: { tenantId: "other", kind: "read" } }
/** Fewer than differ, more than a stored page holds. */
const LISTED_MAX = 130
const ACT = { actor: "test", reason: "test" }

interface Answer {
  readonly data?: Record<string, Record<string, unknown> | null> | null
  readonly errors?: readonly { readonly extensions: Readonly<Record<string, unknown>> }[]
}

const codeOf = ({ errors }: Answer): unknown => errors?.[0]?.extensions["code"]

/** What the process knows of the rate; undefined where another one carries the rebuild out. */
let rateOfRebuild: RateFigures | undefined

/** Serves the orders as generation 1, with tests counted; the shipped definition leaves them out. */
const withApi = (body: (api: { readonly post: (key: string, query: string) => Promise<Answer>; readonly url: string; readonly verify: (id: string) => Promise<void>; readonly compare: (id: string) => Promise<void>; readonly fault: (id: string, ...faults: readonly string[]) => Promise<void>; readonly tell: (id: string) => Promise<void>; readonly actors: () => readonly unknown[] }) => Promise<void>) =>
  makeMemory().run(Effect.gen(function* () {
    const old = orders()
    const shipped = orders({ version: 2, filter: "event.data.test == false" })
    yield* createShadow(old, 1)
    yield* (yield* ReadModelStore).flip("orders", 1, 0)
    yield* appendOrders(0, 300)
    return yield* whileServed(Effect.gen(function* () {
      yield* folded(1)
      const events = makeFakeEventStore()
      const ports = Context.make(EventStore, events.shape).pipe(Context.add(EventLog, yield* EventLog), Context.add(ReadModelStore, yield* ReadModelStore))
      const services = Context.merge(portsOf(new World()), ports)
      const run = Effect.runPromiseWith(services)
      const rebuilds = makeRebuildDesk({ services, definitions: [shipped], tenants: () => ["t"], diskFreeBytes: () => 5_000_000_000, standbyMs: 3_600_000, rate: { of: () => rateOfRebuild, last: () => 100 }, throttle: () => ({ allowedPerSecond: 60, reason: "gives way: live lag 3.2 s" }) })
      const api = makeApiHandlers({ services, resolveKey: (text) => KEYS[text], rebuilds })
      const server = createServer((req, res) => void api.handleGraphql(req, res)).on("upgrade", api.handleUpgrade)
      const compare = (rebuildId: string) => run(Effect.gen(function* () {
        const found = yield* parity({ projection: "orders", oldGeneration: 1, newGeneration: 2, tenants: [], differencesMax: LISTED_MAX })
        const position = found.position.map(({ partition, nextOffset }) => ({ partition, nextOffset: String(nextOffset) }))
        const comparisonId = randomUUID()
        for (const { tenantId, counts, differences } of found.lists) {
          const list = { comparisonId, tenantId }
          yield* storeDifferences(list, { type: "rebuild.differences.counted", data: counts }, -1, ACT)
          for (const [at, page] of pagesOf(differences).entries()) yield* storeDifferences(list, { type: "rebuild.differences.listed", data: { differences: page } }, at, ACT)
        }
        yield* changeRebuilds("orders", ACT, (state, nowMs) => decideVerified(state, rebuildId, { ...found, servedHalt: null, comparisonId, position, tenants: found.lists.map(({ tenantId, counts }) => ({ tenantId, windows: counts.differ + counts.onlyOld + counts.onlyNew })).sort((a, b) => b.windows - a.windows) }, nowMs))
      }))
      const verify = async (rebuildId: string) => {
        await run(Effect.gen(function* () {
          yield* appendOrders(300, 1_500)
          yield* folded(1)
          yield* createShadow(shipped, 2)
          for (const to of ["preparing", "building", "catching_up", "verifying"] as const) yield* changeRebuilds("orders", ACT, (state, nowMs) => decideMove(state, rebuildId, to, nowMs))
          yield* joinServed({ projection: "orders", generation: 2 })
        }))
        await compare(rebuildId)
      }
      const fault = (rebuildId: string, ...faults: readonly string[]) => run(Effect.asVoid(changeRebuilds("orders", ACT, (state, nowMs) => {
        const found = state?.rebuilds.find((one) => one.rebuildId === rebuildId)?.parity
        if (found === undefined || found === null) throw new RangeError("not compared")
        return decideVerified(state, rebuildId, { ...found, faults }, nowMs)
      })))
      const tell = (key: string) => run(Effect.flatMap(PubSub, (bus) => bus.publish(REBUILD_TOPIC, [{ key, version: "1" }])))
      yield* Effect.promise(async () => {
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
        const url = `127.0.0.1:${(server.address() as AddressInfo).port}/graphql`
        const post = async (key: string, query: string) => (await (await fetch(`http://${url}`, { method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${key}` }, body: JSON.stringify({ query }) })).json()) as Answer
        try {
          await body({ post, url, verify, compare, fault, tell, actors: () => events.stored.map(({ metadata }) => metadata?.["actor"]) })
        } finally {
          await api.close()
          await new Promise((resolve) => server.close(resolve))
        }
      })
    }))
  }))

const START = 'startRebuild(projection: "orders", reason: "tests were counted")'

describe("rebuilds over GraphQL", () => {
  it("are planned without a trace, changed by the operator only, and refused with a code", () => withApi(async ({ post, actors }) => {
    const planned = await post("admin", `mutation { startRebuild(projection: "orders", reason: "x", dryRun: true) { status generation fromGeneration plan { events seconds rows rowBytes diskFreeBytes rateFrom } } }`)
    // 300 orders, 28 of them sent twice, and the first record of each of the four partitions.
    expect(planned).toMatchObject({ data: { startRebuild: { status: "PLANNED", generation: 2, fromGeneration: 1, plan: { events: "332", seconds: 3.32, rows: expect.stringMatching(/^\d\d+$/) as string, rowBytes: expect.stringMatching(/^\d{4,}$/) as string, diskFreeBytes: "5000000000", rateFrom: "LAST_REBUILD" } } } })
    // Generation 1 counts the tests, the shipped definition does not: offered, and nothing was started by itself.
    expect(await post("reader", "{ projections { name generation rebuildOffered } rebuilds { id } }")).toEqual({ data: { projections: [{ name: "orders", generation: 1, rebuildOffered: true }], rebuilds: [] } })
    expect(actors()).toEqual([])
    for (const change of [START, 'abortRebuild(id: "r")', 'pauseRebuild(id: "r")', 'resumeRebuild(id: "r")', 'cutOver(id: "r")', 'rollBack(projection: "orders")', 'capRebuild(id: "r")', 'compareRebuild(id: "r")']) for (const key of ["reader", "tenantAdmin", "forged"]) expect(codeOf(await post(key, `mutation { ${change} { id } }`)), `${key} ${change}`).toBe("FORBIDDEN")
    for (const change of ["pause", "resume"]) for (const key of ["reader", "tenantAdmin"]) expect(codeOf(await post(key, `mutation { ${change}Projection(name: "orders"${change === "pause" ? ', reason: "x"' : ""}) { name } }`)), change).toBe("FORBIDDEN")
    expect(codeOf(await post("admin", `mutation { startRebuild(projection: "nothing", reason: "x") { id } }`))).toBe("UNKNOWN_PROJECTION")
    expect(codeOf(await post("admin", `mutation { startRebuild(projection: "orders", reason: " ") { id } }`))).toBe("BAD_ARGUMENT")
    expect(codeOf(await post("admin", 'mutation { cutOver(id: "r") { id } }'))).toBe("REBUILD_MISSING")
    expect(codeOf(await post("admin", `mutation { ${START} { id } }`))).toBeUndefined()
    expect(actors()).toEqual(["tm_admin"])
    expect(codeOf(await post("admin", `mutation { ${START} { id } }`))).toBe("REBUILD_RUNNING")
    expect(codeOf(await post("admin", 'mutation { rollBack(projection: "orders") { id } }'))).toBe("REBUILD_STATUS")
    expect(await post("reader", '{ rebuild(id: "r") { id } rebuilds(projection: "nothing") { id } }')).toEqual({ data: { rebuild: null, rebuilds: [] } })
  }))

  it("show what differed for the key's tenant when it was compared, page by page, counted whole, and cut over once that is accepted", () => withApi(async ({ post, verify, compare, fault }) => {
    const id = String((await post("admin", `mutation { ${START} { id } }`)).data?.["startRebuild"]?.["id"])
    const differences = async (key: string, paging: string) => (await post(key, `{ rebuild(id: "${id}") { differences(${paging}) { edges { cursor node { key { name value } start resolution old new cause firstDivergingEvent { id type partition offset old new } noEvent { code detail } } } pageInfo { hasNextPage endCursor } counts { differ onlyOld listed measures { measure windows } } } } }`))
      .data?.["rebuild"]?.["differences"] as { readonly edges: readonly { readonly node: { readonly key: readonly object[]; readonly cause: string } }[]; readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string }; readonly counts: { readonly differ: string; readonly onlyOld: string; readonly listed: string; readonly measures: readonly object[] } | null }
    expect(await differences("reader", "first: 5")).toEqual({ edges: [], pageInfo: { hasNextPage: false, endCursor: null }, counts: null })
    await verify(id)
    const all = await differences("reader", "first: 500")
    const counted = (await post("reader", `{ rebuild(id: "${id}") { parity { differ onlyOld } } }`)).data?.["rebuild"]?.["parity"] as { readonly differ: string; readonly onlyOld: string } | undefined
    const others = await differences("other", "first: 500")
    expect(all.edges.length + others.edges.length).toBe(LISTED_MAX)
    // The operator sees whose windows differ, and each tenant's list; another key its own tenant's only.
    const parityOf = async (key: string) => (await post(key, `{ rebuild(id: "${id}") { parity { faults tenants { tenantId windows } sample { differing } } } }`)).data?.["rebuild"]?.["parity"]
    const windows = (list: typeof all) => String(Number(list.counts?.differ) + Number(list.counts?.onlyOld))
    expect(await parityOf("admin")).toMatchObject({ tenants: [{ tenantId: "t", windows: windows(all) }, { tenantId: "other", windows: windows(others) }] })
    for (const key of ["reader", "tenantAdmin"]) expect(await parityOf(key)).toMatchObject({ tenants: null })
    await fault(id, 'minute 2023-11-14T22:14:00.000Z, key ["s1"] of t: rows differ')
    expect(await parityOf("admin")).toMatchObject({ faults: ['minute 2023-11-14T22:14:00.000Z, key ["s1"] of t: rows differ'] })
    for (const key of ["reader", "tenantAdmin"]) expect(await parityOf(key)).toMatchObject({ faults: ["named to the operator's key"] })
    await fault(id)
    expect(await differences("admin", 'first: 500, tenant: "other"')).toEqual(others)
    expect(await differences("tenantAdmin", 'first: 500, tenant: "other"')).toEqual(others)
    for (const key of ["reader", "forged"]) expect(codeOf(await post(key, `{ rebuild(id: "${id}") { differences(tenant: "other") { edges { cursor } } } }`))).toBe("FORBIDDEN")
    expect(Number(all.counts?.differ) + Number(others.counts?.differ)).toBe(Number(counted?.differ))
    expect(Number(all.counts?.onlyOld) + Number(others.counts?.onlyOld)).toBe(Number(counted?.onlyOld))
    expect(all.counts).toMatchObject({ listed: String(all.edges.length), measures: expect.arrayContaining([{ measure: "events", windows: all.counts?.differ }]) as object })
    expect(Number(all.counts?.differ) + Number(all.counts?.onlyOld)).toBeGreaterThan(all.edges.length)
    expect(all.edges[0]?.node).toMatchObject({ key: [{ name: "shop" }], resolution: "MINUTE", cause: "INPUT", firstDivergingEvent: { id: expect.stringMatching(/^o-\d+$/) as string, type: "order", offset: expect.stringMatching(/^\d+$/) as string, old: expect.stringMatching(/^events \d+, amount /) as string }, noEvent: null })
    const first = await differences("reader", "first: 3")
    expect(first).toMatchObject({ edges: all.edges.slice(0, 3), pageInfo: { hasNextPage: true } })
    expect(await differences("reader", `first: 500, after: "${first.pageInfo.endCursor}"`)).toMatchObject({ edges: all.edges.slice(3), pageInfo: { hasNextPage: false } })
    const seen: unknown[] = []
    for (let page = await differences("reader", "first: 37"); ; page = await differences("reader", `first: 37, after: "${page.pageInfo.endCursor}"`)) {
      seen.push(...page.edges)
      if (!page.pageInfo.hasNextPage) break
    }
    expect(seen).toEqual(all.edges)
    // One of them from its events: what each side counts, for the tenant's own key and the operator's.
    const [listed] = all.edges as unknown as readonly { readonly node: { readonly key: readonly { readonly value: string }[]; readonly start: string; readonly resolution: string; readonly firstDivergingEvent: object } }[]
    const at = `key: ${JSON.stringify(listed?.node.key.map(({ value }) => value))}, start: "${listed?.node.start}", resolution: ${listed?.node.resolution}`
    const lookedAt = async (key: string, more = "") => post(key, `{ rebuild(id: "${id}") { differingWindow(${at}${more}) { figures { name old new } both onlyOld onlyNew events { countedBy event { id data } } firstDivergingEvent { id type partition offset old new } fault } } }`)
    const window = (await lookedAt("reader")).data?.["rebuild"]?.["differingWindow"] as { readonly figures: readonly { readonly name: string; readonly old: string; readonly new: string }[]; readonly both: string; readonly onlyOld: string; readonly events: readonly { readonly countedBy: string; readonly event: { readonly data: { readonly test: boolean } } }[] }
    expect(window).toMatchObject({ onlyNew: "0", fault: null, firstDivergingEvent: listed?.node.firstDivergingEvent })
    expect(window.events.map(({ countedBy, event }) => `${countedBy} ${event.data.test}`).sort()).toEqual([...Array<string>(Number(window.both)).fill("BOTH false"), ...Array<string>(Number(window.onlyOld)).fill("OLD true")])
    expect(Number(window.onlyOld)).toBeGreaterThan(0)
    expect(window.figures.find(({ name }) => name === "events")).toMatchObject({ old: String(window.events.length), new: window.both })
    expect((await lookedAt("reader", ", first: 1")).data?.["rebuild"]?.["differingWindow"]).toMatchObject({ onlyOld: window.onlyOld, events: [{ countedBy: "OLD" }] })
    expect(codeOf(await lookedAt("reader", ', tenant: "other"'))).toBe("FORBIDDEN")
    expect(codeOf(await lookedAt("admin", ', tenant: "other"'))).toBeUndefined()
    // A cursor gives nothing but what its bearer's tenant may see, and is one of such a list.
    expect((await differences("other", `first: 500, after: "${first.pageInfo.endCursor}"`)).edges).toEqual(others.edges.slice(3))
    expect(codeOf(await post("reader", `{ rebuild(id: "${id}") { differences(after: "3") { edges { cursor } } } }`))).toBe("BAD_CURSOR")
    expect((await post("admin", `mutation { cutOver(id: "${id}") { id } }`)).errors?.[0]?.extensions).toMatchObject({ code: "PARITY_DIFFERS", isAcceptable: true })
    // Compared again, nothing may be decided before its end; then there is a list of its own.
    expect(await post("admin", `mutation { compareRebuild(id: "${id}") { status } }`)).toEqual({ data: { compareRebuild: { status: "VERIFYING" } } })
    expect(codeOf(await post("admin", `mutation { cutOver(id: "${id}", acceptDifferences: "tests") { id } }`))).toBe("REBUILD_STATUS")
    await compare(id)
    expect((await differences("reader", "first: 500")).edges.map(({ node }) => node)).toEqual(all.edges.map(({ node }) => node))
    const before = ((await post("reader", "{ projections { position { partition offset } handOver { offset } } }")).data as { readonly projections?: readonly { readonly position: object; readonly handOver: null }[] } | undefined)?.projections?.map(({ position, handOver }) => handOver ?? position)[0]
    expect(await post("admin", `mutation { cutOver(id: "${id}", acceptDifferences: "tests") { status parity { accepted } } }`)).toMatchObject({ data: { cutOver: { status: "ACTIVE", parity: { accepted: "tests" } } } })
    const served = async () => ((await post("reader", "{ projections { generation rebuildOffered position { partition offset } handOver { partition offset } } }")).data as { readonly projections?: readonly { readonly position: object }[] } | undefined)?.projections?.[0]
    const told = (await post("reader", `{ rebuild(id: "${id}") { startedAt finishedAt standbySeconds standbyUntil history { status at detail } } }`)).data?.["rebuild"] as { readonly startedAt: string; readonly finishedAt: string; readonly standbySeconds: number; readonly standbyUntil: string; readonly history: readonly { readonly status: string; readonly at: string; readonly detail: string | null }[] }
    expect(Date.parse(told.standbyUntil) - Date.parse(told.finishedAt)).toBe(told.standbySeconds * 1_000)
    expect(told.standbySeconds).toBe(3_600)
    expect(told.history.map(({ status }) => status)).toEqual(["PLANNED", "PREPARING", "BUILDING", "CATCHING_UP", "VERIFYING", "READY", "READY", "READY", "VERIFYING", "READY", "READY", "ACTIVE"])
    expect([told.history[0], told.history.at(-2), told.history.at(-1)]).toMatchObject([{ at: told.startedAt, detail: "tests were counted" }, { status: "READY", detail: "accepted: tests" }, { status: "ACTIVE", at: told.finishedAt, detail: null }])
    // No event comes meanwhile, so what took over stands where it took over.
    expect(await served()).toEqual({ generation: 2, rebuildOffered: false, position: before, handOver: before })
    expect(await post("admin", 'mutation { rollBack(projection: "orders", reason: "the boards were wrong") { id status } }')).toEqual({ data: { rollBack: { id, status: "STANDBY" } } })
    expect(await served()).toMatchObject({ generation: 1, handOver: before })
  }))

  it("give those who follow a series the other generation's whole answer at once, there and back, though no event comes", () => withApi(async ({ post, url, verify }) => {
    const id = String((await post("admin", `mutation { ${START} { id } }`)).data?.["startRebuild"]?.["id"])
    await verify(id)
    const client = createClient({ url: `ws://${url}`, webSocketImpl: WebSocket, connectionParams: { authorization: "Bearer reader" }, retryAttempts: 0 })
    const question = 'projection: "orders", measures: ["count"], from: "2023-11-14T00:00:00Z", to: "2023-11-16T00:00:00Z", resolution: DAY'
    const followed = client.iterate<{ seriesChanged: object }>({ query: `subscription { seriesChanged(${question}) { kind generation pointerVersion groups { points { start events } } } }` })
    const frame = async () => (await followed.next()).value?.data?.seriesChanged
    const answer = async (pointerVersion: number) => ({ kind: "RESYNC", pointerVersion, ...(await post("reader", `{ series(${question}) { generation groups { points { start events } } } }`)).data?.["series"] })
    const [first, before] = [await frame(), await answer(1)]
    expect(first).toEqual(before)
    await post("admin", `mutation { cutOver(id: "${id}", acceptDifferences: "tests") { id } }`)
    const [second, after] = [await frame(), await answer(2)]
    expect(second).toEqual(after)
    await post("admin", 'mutation { rollBack(projection: "orders") { id } }')
    expect([await frame(), after.pointerVersion]).toEqual([{ ...before, pointerVersion: 3 }, 2])
    expect(second).not.toMatchObject({ groups: (first as { readonly groups: readonly object[] }).groups })
    await client.dispose()
  }))

  it("have generations beside each other, each with where it stands, what it has otherwise, and what it holds and takes", () => withApi(async ({ post, verify }) => {
    const id = String((await post("admin", `mutation { ${START} { id } }`)).data?.["startRebuild"]?.["id"])
    const asked = async () => (await post("reader", '{ generations(projection: "orders") { generation served version definitionHash changedMeasures missingMeasures position { partition offset } lagEvents deadLetters halt size { rows bytes } } }')).data?.["generations"] as unknown as readonly { readonly position: object; readonly definitionHash: string; readonly size: { readonly rows: string; readonly bytes: string } }[]
    expect(await asked()).toMatchObject([{ generation: 1, served: true, version: 1, changedMeasures: [], missingMeasures: [], lagEvents: "0", deadLetters: "0", halt: null }])
    await verify(id)
    const [served, built] = await asked()
    expect(built).toMatchObject({ generation: 2, served: false, version: 2, lagEvents: "0", position: served?.position })
    expect(built?.definitionHash).not.toBe(served?.definitionHash)
    expect(Number(built?.size.rows)).toBeGreaterThan(0)
    expect(Number(built?.size.bytes)).toBeGreaterThan(Number(built?.size.rows))
    // What is measured is good for a while; a generation that was not there before is measured at once.
    expect((await asked())[1]?.size).toEqual(built?.size)
    expect(await post("reader", '{ generations(projection: "nothing") { generation } }')).toEqual({ data: { generations: [] } })
  }))

  it("are slowed by admin keys, from the beginning and while they run, and say what they give way to", () => withApi(async ({ post }) => {
    const FIELDS = "id status eventsPerSecondMax eventsPerSecondAllowed throttle"
    expect(codeOf(await post("admin", `mutation { startRebuild(projection: "orders", reason: "x", eventsPerSecondMax: 0) { id } }`))).toBe("BAD_ARGUMENT")
    const started = await post("admin", `mutation { startRebuild(projection: "orders", reason: "x", eventsPerSecondMax: 5000) { ${FIELDS} } }`)
    expect(started).toMatchObject({ data: { startRebuild: { status: "PLANNED", eventsPerSecondMax: 5_000, eventsPerSecondAllowed: 60, throttle: "gives way: live lag 3.2 s" } } })
    const id = String(started.data?.["startRebuild"]?.["id"])
    expect(codeOf(await post("reader", `mutation { capRebuild(id: "${id}", eventsPerSecondMax: 7) { id } }`))).toBe("FORBIDDEN")
    expect(codeOf(await post("admin", `mutation { capRebuild(id: "${id}", eventsPerSecondMax: -7) { id } }`))).toBe("BAD_ARGUMENT")
    expect(await post("admin", `mutation { capRebuild(id: "${id}", eventsPerSecondMax: 7) { eventsPerSecondMax } }`)).toMatchObject({ data: { capRebuild: { eventsPerSecondMax: 7 } } })
    expect(await post("admin", `mutation { capRebuild(id: "${id}") { eventsPerSecondMax } }`)).toMatchObject({ data: { capRebuild: { eventsPerSecondMax: null } } })
    for (const [step, status] of [["pause", "PAUSED"], ["resume", "PLANNED"], ["abort", "ABORTED"]] as const) expect(await post("admin", `mutation { ${step}Rebuild(id: "${id}") { status } }`)).toMatchObject({ data: { [`${step}Rebuild`]: { status } } })
    expect(codeOf(await post("admin", `mutation { capRebuild(id: "${id}", eventsPerSecondMax: 7) { id } }`))).toBe("REBUILD_STATUS")
  }))

  it("have beside them the pause of a live projection, for the operator, with who and why", () => withApi(async ({ post }) => {
    const state = "{ projections { name status halts { code detail } } freshness { paused } }"
    expect(codeOf(await post("reader", 'mutation { pauseProjection(name: "orders", reason: "x") { name } }'))).toBe("FORBIDDEN")
    expect(codeOf(await post("admin", 'mutation { pauseProjection(name: "nothing", reason: "x") { name } }'))).toBe("UNKNOWN_PROJECTION")
    expect(codeOf(await post("admin", 'mutation { pauseProjection(name: "orders", reason: " ") { name } }'))).toBe("BAD_ARGUMENT")
    const paused = { name: "orders", status: "PAUSED", halts: [{ code: "PAUSED", detail: "by tm_admin: disk is moved" }] }
    expect(await post("admin", 'mutation { pauseProjection(name: "orders", reason: "disk is moved") { name status halts { code detail } } }')).toEqual({ data: { pauseProjection: paused } })
    // Who pauses it once more changes nothing of what was said first.
    await post("admin", 'mutation { pauseProjection(name: "orders", reason: "me too") { name } }')
    expect(await post("reader", state)).toEqual({ data: { projections: [paused], freshness: Array.from({ length: 4 }, () => ({ paused: true })) } })
    expect(await post("admin", 'mutation { resumeProjection(name: "orders") { status halts { code } } }')).toEqual({ data: { resumeProjection: { status: "LIVE", halts: [] } } })
    expect(await post("admin", 'mutation { resumeProjection(name: "orders") { status } }')).toMatchObject({ data: { resumeProjection: { status: "LIVE" } } })
    expect(await post("reader", state)).toMatchObject({ data: { freshness: Array.from({ length: 4 }, () => ({ paused: false })) } })
  }))

  it("say how quickly they go where it is known, and null, not 0, where another process carries them out", () => withApi(async ({ post, verify }) => {
    const id = String((await post("admin", `mutation { ${START} { id } }`)).data?.["startRebuild"]?.["id"])
    await verify(id)
    await post("admin", `mutation { compareRebuild(id: "${id}") { id } }`)
    const asked = (): Promise<Answer> => post("reader", `{ rebuild(id: "${id}") { status progress { eventsPerSecond etaSeconds etaSecondsMin etaSecondsMax eventsPerSecondUnslowed time { read fold write throttle } } } }`)
    const time = { read: 0.1, fold: 0.6, write: 0.2, throttle: 0.1 }
    rateOfRebuild = { perSecond: 50, slowest: 40, quickest: 60, unslowed: 80, time }
    expect(await asked()).toEqual({ data: { rebuild: { status: "VERIFYING", progress: { eventsPerSecond: 50, etaSeconds: expect.any(Number) as number, etaSecondsMin: expect.any(Number) as number, etaSecondsMax: expect.any(Number) as number, eventsPerSecondUnslowed: 80, time } } } })
    rateOfRebuild = undefined
    expect(await asked()).toEqual({ data: { rebuild: { status: "VERIFYING", progress: { eventsPerSecond: null, etaSeconds: null, etaSecondsMin: null, etaSecondsMax: null, eventsPerSecondUnslowed: null, time: null } } } })
  }))

  it("are pushed as they stand and whenever they moved on", () => withApi(async ({ post, url, tell }) => {
    const id = String((await post("admin", `mutation { ${START} { id } }`)).data?.["startRebuild"]?.["id"])
    const client = createClient({ url: `ws://${url}`, webSocketImpl: WebSocket, connectionParams: { authorization: "Bearer reader" }, retryAttempts: 0 })
    const pushed = client.iterate<{ rebuildProgress: { status: string } }>({ query: `subscription { rebuildProgress(id: "${id}") { status progress { processed } } }` })
    expect((await pushed.next()).value).toMatchObject({ data: { rebuildProgress: { status: "PLANNED", progress: null } } })
    await post("admin", `mutation { pauseRebuild(id: "${id}") { id } }`)
    await tell(id)
    expect((await pushed.next()).value).toMatchObject({ data: { rebuildProgress: { status: "PAUSED" } } })
    await pushed.return?.()
    await client.dispose()
  }))
})
