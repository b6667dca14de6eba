/** Rankings with window documents in a real Elasticsearch, while they follow the store: the answers are those of all rows. */
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { dropNamespace, elasticsearchUrl, freshNamespace } from "@tidemark/infra-elasticsearch/specNamespace"
import { windowIndexElasticsearch } from "@tidemark/infra-elasticsearch/WindowIndexElasticsearch"
import { makeSearchPublisher } from "@tidemark/projections/runtime/searchPublisher"
import { GrowingModel } from "@tidemark/projections/simulation/growingModel"
import { createMemoryModelDisk, memoryReadModelStore } from "@tidemark/projections/simulation/memoryReadModelStore"
import { SeededRandom } from "@tidemark/projections/simulation/random"
import { facetsOf } from "@tidemark/queries/facets"
import { openModel } from "@tidemark/queries/openModel"
import type { OpenModel } from "@tidemark/queries/openModel"
import { topOf } from "@tidemark/queries/top"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { afterEach, beforeEach, describe, expect, it } from "vitest"

let namespace: string
beforeEach(() => { namespace = freshNamespace() })
afterEach(() => dropNamespace(namespace))

const PROJECTION = "clicks"
/** No whole hour: only the minutes that the model has are read. */
const RANGE = { fromMs: 0, toMs: 50 * 60_000 }
const PAGES = Array.from({ length: 120 }, (_, at) => (at === 7 ? "/\u{1F600}" : at === 8 ? "/\uFFEE" : at % 2 === 0 ? `/Docs/${at}` : `/shop*/${at}`))

type Question = (model: OpenModel) => Effect.Effect<unknown, unknown>

/** Asks in one snapshot of all rows, then with the index; tells whether it was the index that named the rows read last. */
const compare = (question: Question) => Effect.scoped(Effect.gen(function* () {
  const { candidates, ...plain } = yield* openModel(PROJECTION, "t")
  if (candidates === undefined) throw new Error("no index")
  const expected = yield* question(plain)
  let byIndex = false
  const rows: OpenModel["rows"] = { scan: (scan, visit) => {
    byIndex = scan.where !== undefined
    return plain.rows.scan(scan, visit)
  } }
  expect(yield* question({ ...plain, rows, candidates: { ...candidates, rowsFirst: 0 } })).toEqual(expected)
  return byIndex
}))

const questionOf = (random: SeededRandom): Question => {
  const first = random.between(1, 15)
  const text = random.pick(["", "DOCS", "*", "/1", "\u{1F600}", "nowhere"])
  return random.chance(0.5)
    ? (model) => topOf(model, { projection: PROJECTION, measure: "clicks", by: "page", ...RANGE, first })
    : (model) => facetsOf(model, { projection: PROJECTION, by: "page", ...RANGE, first, text })
}

describe("rankings with window documents in Elasticsearch", () => {
  it("are those of all rows at any moment, while the documents follow, and mostly by the index", async () => {
    for (const seed of [21, 22]) {
      const models = createMemoryModelDisk()
      const growing = new GrowingModel()
      const random = new SeededRandom(seed)
      const grow = (commits: number) => Effect.gen(function* () {
        for (let i = 0; i < commits; i++) {
          const pages = new Set(Array.from({ length: random.between(1, 40) }, () => PAGES[Math.min(random.between(0, 119), random.between(0, 119))] ?? "/"))
          yield* growing.commit(yield* ReadModelStore, random.between(0, 1), [...pages], random.between(0, 3))
          if (random.chance(0.3)) yield* Effect.sleep(random.between(1, 40))
        }
      })
      const asked = Effect.gen(function* () {
        let byIndex = 0
        for (let round = 0; round < 12; round++) {
          yield* grow(5)
          if (yield* compare(questionOf(random))) byIndex += 1
        }
        while (models.state.outbox.size > 0) yield* Effect.sleep(50)
        for (let round = 0; round < 8; round++) if (yield* compare(questionOf(random))) byIndex += 1
        return byIndex
      })
      const whole = Effect.gen(function* () {
        yield* growing.begin(yield* ReadModelStore)
        yield* grow(20)
        const publisher = makeSearchPublisher({ tenants: Effect.succeed([]) })
        return yield* Effect.raceFirst(publisher.run, asked)
      })
      const byIndex = await Effect.runPromise(whole.pipe(Effect.provide(Layer.mergeAll(memoryReadModelStore(models), windowIndexElasticsearch({ url: elasticsearchUrl(), namespace })))))
      expect({ seed, byIndex: byIndex > 8 }).toEqual({ seed, byIndex: true })
      await dropNamespace(namespace)
    }
  })
})
