/** Rebuilds over GraphQL, on engines in memory: who may change them, what differs, what is pushed. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { changeRebuilds } from "@tidemark/commands/rebuild/aggregate"
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

const KEYS: Readonly<Record<string, KeyHolder>> = { reader: { tenantId: "t", kind: "read" }, admin: { tenantId: "t", kind: "admin", keyPrefix: "tm_admin" }, other: { tenantId: "other", kind: "read" } }
const ACT = { actor: "test", reason: "test" }

interface Answer {
  readonly data?: Record<string, Record<string, unknown> | null> | null
  readonly errors?: readonly { readonly extensions: Readonly<Record<string, unknown>> }[]
}

const codeOf = ({ errors }: Answer): unknown => errors?.[0]?.extensions["code"]

/** Serves the orders as generation 1, with tests counted; the shipped definition leaves them out. */
const withApi = (body: (api: { readonly post: (key: string, query: string) => Promise<Answer>; readonly url: string; readonly verify: (id: string) => Promise<void>; readonly tell: (id: string) => Promise<void>; readonly actors: () => readonly unknown[] }) => Promise<void>) =>
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
      const rebuilds = makeRebuildDesk({ services, definitions: [shipped], rate: { of: () => 50, last: () => 100 } })
      const api = makeApiHandlers({ services, resolveKey: (text) => KEYS[text], rebuilds })
      const server = createServer((req, res) => void api.handleGraphql(req, res)).on("upgrade", api.handleUpgrade)
      const verify = (rebuildId: string) => run(Effect.gen(function* () {
        yield* createShadow(shipped, 2)
        for (const to of ["preparing", "building", "catching_up", "verifying"] as const) yield* changeRebuilds("orders", ACT, (state, nowMs) => decideMove(state, rebuildId, to, nowMs))
        yield* joinServed({ projection: "orders", generation: 2 })
        const found = yield* parity({ projection: "orders", oldGeneration: 1, newGeneration: 2, tenants: [], differencesMax: 0 })
        const position = found.position.map(({ partition, nextOffset }) => ({ partition, nextOffset: String(nextOffset) }))
        yield* changeRebuilds("orders", ACT, (state, nowMs) => decideVerified(state, rebuildId, { ...found, position }, nowMs))
      }))
      const tell = (key: string) => run(Effect.flatMap(PubSub, (bus) => bus.publish(REBUILD_TOPIC, [{ key, version: "1" }])))
      yield* Effect.promise(async () => {
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
        const url = `127.0.0.1:${(server.address() as AddressInfo).port}/graphql`
        const post = async (key: string, query: string) => (await (await fetch(`http://${url}`, { method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${key}` }, body: JSON.stringify({ query }) })).json()) as Answer
        try {
          await body({ post, url, verify, tell, actors: () => events.stored.map(({ metadata }) => metadata?.["actor"]) })
        } finally {
          await api.close()
          await new Promise((resolve) => server.close(resolve))
        }
      })
    }))
  }))

const START = 'startRebuild(projection: "orders", reason: "tests were counted")'

describe("rebuilds over GraphQL", () => {
  it("are planned without a trace, changed by admin keys only, and refused with a code", () => withApi(async ({ post, actors }) => {
    const planned = await post("admin", `mutation { startRebuild(projection: "orders", reason: "x", dryRun: true) { status generation fromGeneration plan { events seconds } } }`)
    // 300 orders, 28 of them sent twice, and the first record of each of the four partitions.
    expect(planned).toMatchObject({ data: { startRebuild: { status: "PLANNED", generation: 2, fromGeneration: 1, plan: { events: "332", seconds: 3.32 } } } })
    expect(actors()).toEqual([])
    for (const change of [START, 'abortRebuild(id: "r")', 'pauseRebuild(id: "r")', 'resumeRebuild(id: "r")', 'cutOver(id: "r")', 'rollBack(projection: "orders")']) expect(codeOf(await post("reader", `mutation { ${change} { id } }`)), change).toBe("FORBIDDEN")
    expect(codeOf(await post("admin", `mutation { startRebuild(projection: "nothing", reason: "x") { id } }`))).toBe("UNKNOWN_PROJECTION")
    expect(codeOf(await post("admin", `mutation { startRebuild(projection: "orders", reason: " ") { id } }`))).toBe("BAD_ARGUMENT")
    expect(codeOf(await post("admin", 'mutation { cutOver(id: "r") { id } }'))).toBe("REBUILD_MISSING")
    expect(codeOf(await post("admin", `mutation { ${START} { id } }`))).toBeUndefined()
    expect(actors()).toEqual(["tm_admin"])
    expect(codeOf(await post("admin", `mutation { ${START} { id } }`))).toBe("REBUILD_RUNNING")
    expect(codeOf(await post("admin", 'mutation { rollBack(projection: "orders") { id } }'))).toBe("REBUILD_STATUS")
    expect(await post("reader", '{ rebuild(id: "r") { id } rebuilds(projection: "nothing") { id } }')).toEqual({ data: { rebuild: null, rebuilds: [] } })
  }))

  it("show what differs for the key's tenant page by page, and cut over once that is accepted", () => withApi(async ({ post, verify }) => {
    const id = String((await post("admin", `mutation { ${START} { id } }`)).data?.["startRebuild"]?.["id"])
    const differences = async (key: string, paging: string) => (await post(key, `{ rebuild(id: "${id}") { differences(${paging}) { edges { cursor node { key { name value } start resolution old new cause firstDivergingEvent { type } } } pageInfo { hasNextPage endCursor } } } }`))
      .data?.["rebuild"]?.["differences"] as { readonly edges: readonly { readonly node: { readonly key: readonly object[]; readonly cause: string } }[]; readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string } }
    expect((await differences("reader", "first: 5")).edges).toEqual([])
    await verify(id)
    const all = await differences("reader", "first: 500")
    const counted = (await post("reader", `{ rebuild(id: "${id}") { parity { differ onlyOld } } }`)).data?.["rebuild"]?.["parity"] as { readonly differ: string; readonly onlyOld: string } | undefined
    expect(all.edges.length + (await differences("other", "first: 500")).edges.length).toBe(Number(counted?.differ) + Number(counted?.onlyOld))
    expect(all.edges[0]?.node).toMatchObject({ key: [{ name: "shop" }], resolution: "MINUTE", cause: "INPUT", firstDivergingEvent: null })
    const first = await differences("reader", "first: 3")
    expect(first.pageInfo).toEqual({ hasNextPage: true, endCursor: "3" })
    expect((await differences("reader", `first: 500, after: "3"`)).edges).toEqual(all.edges.slice(3))
    expect((await post("admin", `mutation { cutOver(id: "${id}") { id } }`)).errors?.[0]?.extensions).toMatchObject({ code: "PARITY_DIFFERS", isAcceptable: true })
    expect(await post("admin", `mutation { cutOver(id: "${id}", acceptDifferences: "tests") { status parity { accepted } } }`)).toMatchObject({ data: { cutOver: { status: "ACTIVE", parity: { accepted: "tests" } } } })
    expect(await post("admin", 'mutation { rollBack(projection: "orders") { id status } }')).toEqual({ data: { rollBack: { id, status: "STANDBY" } } })
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
