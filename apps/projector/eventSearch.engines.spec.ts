/** Event search on a real Elasticsearch: the contract, the same answers as a scan of the log, and an index that lags, fails or stops. */
import { encodeEvent } from "@tidemark/domain/events/envelope"
import { encodeHeartbeat } from "@tidemark/domain/events/systemRecords"
import { EventIndexing } from "@tidemark/domain/ports/EventIndexing"
import type { EventIndexer, EventIndexingShape } from "@tidemark/domain/ports/EventIndexing"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape, LogRecord } from "@tidemark/domain/ports/EventLog"
import { SearchIndex } from "@tidemark/domain/ports/SearchIndex"
import type { EventSearch, EventSearchPage, SearchIndexShape } from "@tidemark/domain/ports/SearchIndex"
import { searchIndexContract } from "@tidemark/domain/ports/SearchIndex.contract"
import { openFaultProxy } from "@tidemark/infra-elasticsearch/faultProxy"
import { eventSearchElasticsearch } from "@tidemark/infra-elasticsearch/SearchIndexElasticsearch"
import { dropNamespace, elasticsearchUrl, freshNamespace } from "@tidemark/infra-elasticsearch/specNamespace"
import { searchIndexLogScan } from "@tidemark/infra-embedded/SearchIndexLogScan"
import { createMemoryLogDisk, memoryEventLog } from "@tidemark/projections/simulation/memoryEventLog"
import { SeededRandom } from "@tidemark/projections/simulation/random"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { describe, expect, it } from "vitest"

const T0_MS = Date.UTC(2024, 0, 31, 23, 59, 0)
const PARTITIONS = 3

const makeLog = () => {
  const disk = createMemoryLogDisk()
  return { disk, layer: memoryEventLog(disk, { logId: "Log/1", partitions: PARTITIONS, lanes: 1, createdAtMs: T0_MS }) }
}

/** Runs the indexer until it stands at the log's end. */
const indexAll = (log: EventLogShape, indexer: EventIndexer) =>
  Effect.raceFirst(indexer.run, Effect.gen(function* () {
    const ends = yield* Effect.forEach(Array.from({ length: PARTITIONS }, (_, partition) => partition), (partition) => log.bounds(partition))
    while (!ends.every(({ end }, partition) => indexer.status().indexed.get(partition) === end)) yield* Effect.sleep(20)
  }))

searchIndexContract("Elasticsearch", () => {
  const namespace = freshNamespace()
  return {
    open: (records) => Layer.effect(SearchIndex, Effect.gen(function* () {
      const log = yield* EventLog
      if (records.length > 0) yield* log.append(records)
      yield* indexAll(log, (yield* EventIndexing).indexer({}))
      return yield* SearchIndex
    })).pipe(Layer.provide(eventSearchElasticsearch({ url: elasticsearchUrl(), namespace }).pipe(Layer.provideMerge(makeLog().layer)))),
    dispose: () => dropNamespace(namespace)
  }
})

const WORDS = ["alpha", "Beta", "γάμμα", "δΣ", "emoji 😀 end", "quo\"te", "back\\slash", "x", "", "a.b", "1", "true", "null", "long".repeat(100)]

const randomData = (random: SeededRandom, depth = 0): unknown => {
  const kind = random.between(0, depth > 2 ? 3 : 6)
  if (kind === 0) return random.between(-5, 5)
  if (kind === 1) return random.chance(0.5)
  if (kind <= 3) return random.pick(WORDS)
  if (kind === 4) return Array.from({ length: random.between(0, 3) }, () => randomData(random, depth + 1))
  return Object.fromEntries(Array.from({ length: random.between(0, 4) }, () => [random.pick(["a", "b", "c", "", "a.b", "0"]), randomData(random, depth + 1)]))
}

const randomRecord = (random: SeededRandom, n: number): LogRecord => {
  const partition = random.between(0, PARTITIONS - 1)
  const receivedAtMs = T0_MS + n * 1_000
  if (random.chance(0.05)) return { partition, key: "", value: encodeHeartbeat(receivedAtMs) }
  if (random.chance(0.03)) return { partition, key: "", value: new Uint8Array([0xff, 0x7b, 0xfe]) }
  const optional = (name: string, value: string) => (random.chance(0.6) ? { [name]: value } : {})
  const attributes = {
    id: `e${random.between(0, 200)}`, source: "s", type: random.pick(["view", "buy"]), timeMs: receivedAtMs - random.between(0, 90_000), receivedAtMs,
    tenantId: random.pick(["t", "u"]), partitionKey: "k", schemaVersion: 0, ...optional("userId", random.pick(["u1", "u2", "x".repeat(9_000)])), ...optional("sessionId", random.pick(["s1", "s2"]))
  }
  // More leaves, or more pieces of text, than are indexed.
  const data = random.chance(0.05) ? Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`k${i}`, i === 399 ? "alpha" : random.next().toString(36)])) : randomData(random)
  return { partition, key: "k", value: encodeEvent(attributes, JSON.stringify(data)) }
}

const randomSearch = (random: SeededRandom): EventSearch => {
  const maybe = <A extends object>(part: A): A | object => (random.chance(0.3) ? part : {})
  const path = random.pick(["data.a", "a", "data", "data.a.b", "data.b.0", "data.", "data.c.a", "data.k399", "data.constructor"])
  const text = random.pick(WORDS)
  return {
    tenantId: random.pick(["t", "u", "nobody"]), ...maybe({ fromMs: T0_MS + random.between(0, 300) * 1_000 }), ...maybe({ toMs: T0_MS + random.between(0, 300) * 1_000 }),
    ...maybe({ types: random.pick([["view"], ["buy", "view"], []]) }), ...maybe({ userId: random.pick(["u1", "x".repeat(9_000)]) }), ...maybe({ sessionId: "s1" }), ...maybe({ eventId: `e${random.between(0, 200)}` }),
    ...maybe({ text: random.pick([text, text.slice(1), "\"a\":", "ALPHA", "😀", "i 😀 e", "no such text"]) }),
    ...maybe({ where: [{ path, ...maybe({ equals: text }), ...maybe({ in: [text, "1", "x"] }), ...maybe({ contains: text.slice(0, 2) }) }] })
  }
}

/** All pages of a search as places. */
const placesOf = (index: SearchIndexShape, query: EventSearch, limit: number) => Effect.gen(function* () {
  const places: string[] = []
  let before: EventSearchPage["next"]
  do {
    const page: EventSearchPage = yield* index.searchEvents(query, { limit, scanMaxRecords: 100_000, ...(before === undefined ? {} : { before }) })
    for (const { partition, offset, value } of page.hits) places.push(`${partition}/${offset} ${Buffer.from(value).toString("base64")}`)
    before = page.next
  } while (before !== undefined)
  return places
})

interface Opened {
  readonly log: EventLogShape
  readonly disk: ReturnType<typeof makeLog>["disk"]
  readonly search: SearchIndexShape
  readonly scan: SearchIndexShape
  readonly indexer: EventIndexingShape["indexer"]
}

const opened = async (use: (open: Opened, namespace: string) => Effect.Effect<void, unknown, Scope.Scope>, url = elasticsearchUrl()): Promise<void> => {
  const namespace = freshNamespace()
  const { disk, layer } = makeLog()
  try {
    await Effect.runPromise(Effect.gen(function* () {
      const log = yield* EventLog
      const scan = yield* Effect.provide(Effect.gen(function* () { return yield* SearchIndex }), searchIndexLogScan)
      const { indexer } = yield* EventIndexing
      yield* use({ log, disk, search: yield* SearchIndex, indexer: (options) => indexer({ eventsPerSecondMax: 1_000_000, ...options }), scan }, namespace)
    }).pipe(Effect.scoped, Effect.provide(eventSearchElasticsearch({ url, namespace }).pipe(Layer.provideMerge(layer)))))
  } finally {
    await dropNamespace(namespace)
  }
}

const expectSame = ({ search, scan }: Opened, random: SeededRandom, seed: number, searches: number) => Effect.gen(function* () {
  for (let n = 0; n < searches; n++) {
    const [query, limit] = [randomSearch(random), random.pick([7, 100, 1_000])]
    const expected = yield* placesOf(scan, query, limit)
    expect({ seed, query, found: yield* placesOf(search, query, limit) }).toEqual({ seed, query, found: expected })
  }
})

const event = (n: number, partition = 0): LogRecord => ({
  partition, key: "k", value: encodeEvent({ id: `e${n}`, source: "s", type: "x", timeMs: T0_MS + n, receivedAtMs: T0_MS + n, tenantId: "t", partitionKey: "k", schemaVersion: 0 }, "{}")
})
const found = (search: SearchIndexShape, limit = 100) => Effect.map(search.searchEvents({ tenantId: "t" }, { limit, scanMaxRecords: 100_000 }), ({ hits }) => hits.length)

describe("event search on Elasticsearch", () => {
  it("property: answers what a scan of the log answers, wherever the index stands", async () => {
    for (const seed of [1, 2]) {
      await opened((open) => Effect.gen(function* () {
        const random = new SeededRandom(seed)
        const records = Array.from({ length: 400 }, (_, n) => randomRecord(random, n))
        yield* open.log.append(records.slice(0, 300))
        yield* indexAll(open.log, open.indexer({}))
        yield* expectSame(open, random, seed, 25)
        // The tail is in the log only.
        yield* open.log.append(records.slice(300))
        yield* expectSame(open, random, seed, 25)
        yield* indexAll(open.log, open.indexer({}))
        yield* expectSame(open, random, seed, 25)
      }))
    }
  })

  it("copies every event once however often indexers are stopped, run side by side, and hear 429, 503, 409 or nothing", async () => {
    const proxy = await openFaultProxy(elasticsearchUrl())
    try {
      await opened((open, namespace) => Effect.gen(function* () {
        const random = new SeededRandom(5)
        yield* open.log.append(Array.from({ length: 3_000 }, (_, n) => event(n, n % PARTITIONS)))
        // 409 to a create says that the document is there: never answered falsely here.
        proxy.faults = { item: () => (random.chance(0.1) ? random.pick([429, 503] as const) : undefined), loseAnswer: () => random.chance(0.2), request: () => (random.chance(0.2) ? 503 : undefined) }
        for (let run = 0; run < 5; run++) {
          const two = Effect.all([open.indexer({}).run, open.indexer({}).run], { concurrency: 2 })
          yield* Effect.raceFirst(two, Effect.sleep(random.between(20, 600)))
        }
        proxy.faults = {}
        yield* indexAll(open.log, open.indexer({}))
        yield* Effect.promise(() => fetch(`${elasticsearchUrl()}/${namespace}-events-*/_refresh`, { method: "POST" }))
        const counted = yield* Effect.promise(async () => ((await (await fetch(`${elasticsearchUrl()}/${namespace}-events-*/_count`)).json()) as { readonly count: number }).count)
        expect(counted).toBe(3_000)
        expect([...proxy.actions]).toEqual(["bulk create", "bulk index"])
      }), proxy.url)
    } finally {
      await proxy.close()
    }
  })

  it("finds events whose documents the engine refuses by their records, and counts those it refuses in any form", async () => {
    const proxy = await openFaultProxy(elasticsearchUrl())
    try {
      await opened((open) => Effect.gen(function* () {
        const random = new SeededRandom(9)
        yield* open.log.append(Array.from({ length: 60 }, (_, n) => randomRecord(random, n)))
        proxy.faults = { item: (source) => (source.includes('"maybe":false') ? 400 : undefined) }
        const indexer = open.indexer({})
        yield* indexAll(open.log, indexer)
        expect(indexer.status().refused).toBe(0)
        yield* expectSame(open, random, 9, 25)
        yield* open.log.append([event(1_000), event(1_001)])
        proxy.faults = { item: (source) => (/"next":|"kind":/.test(source) ? undefined : 400) }
        const other = open.indexer({})
        yield* indexAll(open.log, other)
        expect(other.status().refused).toBe(2)
      }), proxy.url)
    } finally {
      await proxy.close()
    }
  })

  it("gathers events that come one by one, and search finds each of them at once", async () => {
    const proxy = await openFaultProxy(elasticsearchUrl())
    try {
      await opened((open) => Effect.gen(function* () {
        let [requests, beganMs] = [0, 0]
        const indexer = open.indexer({})
        const trickle = Effect.gen(function* () {
          yield* open.log.append([event(0)])
          // The indices are made by then.
          while (indexer.status().indexed.get(0) !== 2n) yield* Effect.sleep(10)
          proxy.faults = { request: () => void (requests += 1) }
          beganMs = performance.now()
          for (let n = 1; n < 100; n++) {
            yield* open.log.append([event(n, n % PARTITIONS)])
            yield* Effect.sleep(20)
          }
        })
        yield* Effect.raceFirst(indexer.run, trickle)
        // A request for the events and one for the checkpoints each time.
        expect(requests).toBeLessThanOrEqual(2 * ((performance.now() - beganMs) / 1_000 + 1))
        expect(yield* found(open.search)).toBe(100)
      }), proxy.url)
    } finally {
      await proxy.close()
    }
  })

  it("answers from the log alone while the engine is away, and goes on indexing when it is back", async () => {
    const proxy = await openFaultProxy(elasticsearchUrl())
    const { url } = proxy
    await opened((open) => Effect.gen(function* () {
      yield* open.log.append([event(1), event(2)])
      yield* indexAll(open.log, open.indexer({}))
      yield* Effect.promise(() => proxy.close())
      yield* open.log.append([event(3)])
      expect(yield* found(open.search)).toBe(3)
      const causes: string[] = []
      const indexer = open.indexer({ retrying: (cause) => causes.push(cause) })
      yield* Effect.raceFirst(indexer.run, Effect.gen(function* () {
        while (causes.length === 0) yield* Effect.sleep(10)
        const back = yield* Effect.promise(() => openFaultProxy(elasticsearchUrl(), Number(new URL(url).port)))
        yield* Effect.addFinalizer(() => Effect.promise(() => back.close()))
        while (indexer.status().indexed.get(0) !== 4n) yield* Effect.sleep(20)
      }))
      expect(yield* found(open.search)).toBe(3)
    }), url)
  })

  it("stops where the log is not the one that was indexed or lacks what comes next, and never skips", async () => {
    await opened((open) => Effect.gen(function* () {
      yield* open.log.append([event(1), event(2), event(3)])
      yield* indexAll(open.log, open.indexer({}))
      const halts: string[] = []
      const halted = ({ code }: { readonly code: string }) => void halts.push(code)
      const partition = open.disk.partitions[0]
      if (partition === undefined) throw new Error("there is no partition")
      const untilHalted = Effect.raceFirst(open.indexer({ halted }).run, Effect.gen(function* () {
        const before = halts.length
        while (halts.length === before) yield* Effect.sleep(10)
      }))
      // The first record tells of the log itself.
      partition.records.length = 2
      yield* untilHalted
      // A checkpoint beyond the log is of another log: nothing of the index is believed.
      expect(yield* found(open.search)).toBe(1)
      partition.records = [event(5).value]
      partition.start = 5n
      yield* untilHalted
      expect(halts).toEqual(["LOG_DIVERGED", "LOG_GAP"])
    }))
  })
})
