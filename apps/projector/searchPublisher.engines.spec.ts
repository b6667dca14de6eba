/** The search publisher into a real Elasticsearch: answers that lie or are lost, and a node that is killed. */
import { spawnSync } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { ReadModelStoreShape } from "@tidemark/domain/ports/ReadModelStore"
import { WindowIndex } from "@tidemark/domain/ports/WindowIndex"
import type { WindowDocument, WindowIndexShape } from "@tidemark/domain/ports/WindowIndex"
import { openFaultProxy } from "@tidemark/infra-elasticsearch/faultProxy"
import type { FaultProxy } from "@tidemark/infra-elasticsearch/faultProxy"
import { dropNamespace, elasticsearchUrl, freshNamespace } from "@tidemark/infra-elasticsearch/specNamespace"
import { windowIndexElasticsearch } from "@tidemark/infra-elasticsearch/WindowIndexElasticsearch"
import { makeSearchPublisher } from "@tidemark/projections/runtime/searchPublisher"
import { documentModel } from "@tidemark/projections/runtime/windowDocument"
import { GrowingModel, growingRecord, owedDocuments } from "@tidemark/projections/simulation/growingModel"
import { createMemoryModelDisk, memoryReadModelStore } from "@tidemark/projections/simulation/memoryReadModelStore"
import { SeededRandom } from "@tidemark/projections/simulation/random"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { afterEach, beforeEach, describe, expect, it } from "vitest"

let namespace: string
let proxy: FaultProxy
beforeEach(async () => {
  namespace = freshNamespace()
  proxy = await openFaultProxy(elasticsearchUrl())
})
afterEach(async () => {
  await proxy.close()
  await dropNamespace(namespace)
})

const makeWorld = () => {
  const models = createMemoryModelDisk()
  return { models, growing: new GrowingModel(), model: documentModel(growingRecord, models.incarnation) }
}

type World = ReturnType<typeof makeWorld>

/** With a publisher that runs through the proxy. */
const publishing = (
  world: World, use: (store: ReadModelStoreShape, index: WindowIndexShape, status: ReturnType<typeof makeSearchPublisher>["status"]) => Effect.Effect<void, unknown>,
  { url = proxy.url, wrap = (index: WindowIndexShape) => index }: { readonly url?: string; readonly wrap?: (index: WindowIndexShape) => WindowIndexShape } = {}
): Promise<void> => {
  const index = Layer.effect(WindowIndex, Effect.map(WindowIndex, wrap)).pipe(Layer.provide(windowIndexElasticsearch({ url, namespace })))
  return Effect.runPromise(Effect.gen(function* () {
    const store = yield* ReadModelStore
    yield* world.growing.begin(store)
    const publisher = makeSearchPublisher({ tenants: Effect.succeed([]) })
    yield* Effect.raceFirst(publisher.run, use(store, yield* WindowIndex, publisher.status))
  }).pipe(Effect.provide(Layer.mergeAll(memoryReadModelStore(world.models), index))))
}

const resolved = ({ models }: World) => Effect.gen(function* () {
  while (models.state.outbox.size > 0 || models.state.outboxCursors.size === 0) yield* Effect.sleep(50)
})

/** Documents of the index that are missing, other or too many, compared by id with the merged rows. */
const differences = async (world: World): Promise<readonly string[]> => {
  const owed = owedDocuments(world.models)
  const stored = await Effect.runPromise(Effect.flatMap(WindowIndex, (index) => index.read(world.model, owed)).pipe(Effect.provide(windowIndexElasticsearch({ url: elasticsearchUrl(), namespace }))))
  const text = (document: WindowDocument | undefined) => JSON.stringify(document, (_name, value: unknown) => (typeof value === "bigint" ? String(value) : value))
  const found = owed.filter((document, at) => text(document) !== text(stored[at])).map((document, at) => `${text(document)} is ${text(stored[at])}`)
  await fetch(`${elasticsearchUrl()}/${namespace}-windowdocs-*/_refresh`, { method: "POST" })
  const { count } = (await (await fetch(`${elasticsearchUrl()}/${namespace}-windowdocs-*/_count`)).json()) as { readonly count: number }
  return count === owed.length ? found : [...found, `${count} documents for ${owed.length} windows`]
}

const grow = (world: World, store: ReadModelStoreShape, random: SeededRandom, commits: number) => Effect.gen(function* () {
  for (let i = 0; i < commits; i++) {
    const pages = new Set(Array.from({ length: random.between(1, 20) }, () => `/${random.between(0, 40)}`))
    yield* world.growing.commit(store, random.between(0, 1), [...pages], random.between(0, 3))
    if (random.chance(0.2)) yield* Effect.sleep(random.between(1, 30))
  }
})

const seededFaults = (random: SeededRandom) => ({
  item: () => (random.chance(0.2) ? random.pick([429, 503, 409] as const) : undefined),
  loseAnswer: () => random.chance(0.2),
  request: () => (random.chance(0.2) ? random.pick([429, 503] as const) : undefined)
})

describe("the search publisher into Elasticsearch", () => {
  it("ends equal to the merged rows after items answered 429, 503 and 409 by mistake and lost answers, and never deletes a document", async () => {
    for (const seed of [1, 2, 3]) {
      const world = makeWorld()
      const random = new SeededRandom(seed)
      await publishing(world, (store) => Effect.gen(function* () {
        proxy.faults = seededFaults(random)
        yield* grow(world, store, random, 60)
        proxy.faults = {}
        yield* resolved(world)
      }))
      expect({ seed, wrong: await differences(world) }).toEqual({ seed, wrong: [] })
      await dropNamespace(namespace)
    }
    expect([...proxy.actions]).toEqual(["bulk index"])
  })

  it("planted bug 12: a 409 that is believed loses documents, and the comparison finds it", async () => {
    const world = makeWorld()
    const random = new SeededRandom(7)
    // The adapter answers "again" for a 409 whose stored document is older; the bug takes it for done.
    const believing = (index: WindowIndexShape): WindowIndexShape => ({
      ...index, put: (model, documents) => Effect.map(index.put(model, documents), (outcomes) => outcomes.map((outcome) => (outcome.kind === "again" && outcome.cause.startsWith("409") ? { kind: "done" as const } : outcome)))
    })
    await publishing(world, (store) => Effect.gen(function* () {
      proxy.faults = { item: () => (random.chance(0.3) ? 409 : undefined) }
      yield* grow(world, store, random, 30)
      yield* resolved(world)
    }), { wrap: believing })
    expect((await differences(world)).length).toBeGreaterThan(0)
  })

  it("planted bug 7: a document deleted for good is raised by a delayed older write once the engine forgets the deletion, and the comparison finds it", async () => {
    const world = makeWorld()
    await publishing(world, (store, index) => Effect.gen(function* () {
      yield* world.growing.commit(store, 0, ["/a"])
      yield* resolved(world)
      const [before] = yield* index.read(world.model, owedDocuments(world.models))
      if (before === undefined) throw new Error("nothing was published")
      yield* world.growing.commit(store, 0, ["/a"])
      yield* resolved(world)
      // The bug: the window goes from the store, and somebody deletes its document under a version of its own.
      const alias = `${namespace}-windowdocs-clicks-g1-${world.models.incarnation}-1970`
      yield* Effect.promise(() => fetch(`${elasticsearchUrl()}/${alias}/_settings`, { method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify({ "index.gc_deletes": "0s" }) }))
      yield* Effect.promise(() => fetch(`${elasticsearchUrl()}/${alias}/_doc/${before.resolution}.${before.windowStartMs}.${before.keyId}?version=9&version_type=external`, { method: "DELETE" }))
      world.models.state.rows.clear()
      yield* Effect.promise(() => fetch(`${elasticsearchUrl()}/${alias}/_refresh`, { method: "POST" }))
      yield* Effect.sleep(1_500)
      expect(yield* index.put(world.model, [before])).toEqual([{ kind: "done" }])
      expect(yield* index.read(world.model, [before])).toEqual([before])
    }))
    expect(await differences(world)).toEqual(["1 documents for 0 windows"])
  })

  it("stops at two contents of one revision, says where, and leaves the stored one as it is", async () => {
    const world = makeWorld()
    await publishing(world, (store, index, status) => Effect.gen(function* () {
      yield* world.growing.commit(store, 0, ["/a"])
      yield* resolved(world)
      const [owed] = owedDocuments(world.models)
      if (owed === undefined) throw new Error("nothing is owed")
      const other = { ...owed, revision: 2n, contentHash: "f".repeat(32) }
      yield* index.put(world.model, [other])
      yield* world.growing.commit(store, 0, ["/a"])
      while (status().halt === undefined) yield* Effect.sleep(20)
      expect(status().halt).toMatchObject({ code: "REV_CONFLICT", detail: expect.stringContaining("revision 2") as unknown })
      expect(world.models.state.outbox.size).toBe(1)
      expect(yield* index.read(world.model, [owed])).toEqual([other])
    }))
  })

  it("keeps a document aside that the engine refuses, goes on with its neighbours and calls the view degraded", async () => {
    const world = makeWorld()
    const poison = (document: WindowDocument): WindowDocument => (document.key[0] === "/bad" ? { ...document, figures: ["\"no number\""] as unknown as number[] } : document)
    await publishing(world, (store, index, status) => Effect.gen(function* () {
      yield* world.growing.commit(store, 0, ["/a", "/bad", "/c"])
      yield* resolved(world)
      expect(status().refused).toEqual(new Map([["clicks/1", 1]]))
      const pages = (yield* index.read(world.model, owedDocuments(world.models))).map((document) => document?.key[0])
      expect(pages).toEqual(["/a", undefined, "/c"])
    }), { wrap: (index) => ({ ...index, put: (model, documents) => index.put(model, documents.map(poison)) }) })
  })

  it("waits while the engine is away, answers nothing of the store's falsely, and is complete after the node was killed and started again", async () => {
    const world = makeWorld()
    const random = new SeededRandom(11)
    await publishing(world, (store) => Effect.gen(function* () {
      yield* grow(world, store, random, 30)
      yield* Effect.promise(killNode)
      yield* grow(world, store, random, 30)
      expect(world.models.state.outbox.size).toBeGreaterThan(0)
      yield* Effect.promise(startNode)
      yield* grow(world, store, random, 5)
      yield* resolved(world)
    }), { url: elasticsearchUrl() })
    expect(await differences(world)).toEqual([])
  })

  it("says at start where it looked for an engine that is not there, without user and password", async () => {
    const closed = createServer().listen(0, "127.0.0.1")
    await once(closed, "listening")
    const { port } = closed.address() as AddressInfo
    closed.close()
    const failure = await Effect.runPromise(Effect.flip(WindowIndex.pipe(Effect.provide(windowIndexElasticsearch({ url: `http://me:canary@127.0.0.1:${port}`, namespace })))))
    expect(failure).toMatchObject({ _tag: "ElasticsearchUnreachableError", url: `http://127.0.0.1:${port}` })
  })
})

/** Ends the node like a power cut. */
const killNode = async (): Promise<void> => {
  const answer = (await (await fetch(`${elasticsearchUrl()}/_nodes/process?filter_path=nodes.*.process.id`)).json()) as { readonly nodes: Readonly<Record<string, { readonly process: { readonly id: number } }>> }
  for (const { process: node } of Object.values(answer.nodes)) process.kill(node.id, "SIGKILL")
  for (;;) {
    try {
      await fetch(elasticsearchUrl())
    } catch {
      return
    }
    await pause(50)
  }
}

/** Starts it again as `npm run engines` does. */
const startNode = async (): Promise<void> => {
  const main = join(import.meta.dirname, "..", "..", "infra", "dev-engines", "main.mjs")
  const { status, stderr } = spawnSync(process.execPath, [main, "up", "--only", "elasticsearch"], { encoding: "utf8" })
  if (status !== 0) throw new Error(stderr)
}
