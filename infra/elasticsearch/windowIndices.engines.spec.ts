import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import { WindowIndex } from "@tidemark/domain/ports/WindowIndex"
import type { WindowDocument, WindowIndexShape, WindowModel } from "@tidemark/domain/ports/WindowIndex"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { windowIndexElasticsearch } from "./WindowIndexElasticsearch.ts"
import { dropNamespace, elasticsearchUrl, freshNamespace } from "./specNamespace.ts"

const model: WindowModel = { projection: "p", generation: 1, incarnation: "abcdef0123456789", dimensions: [], figures: ["views"] }

const inYear = (year: number): WindowDocument => ({
  tenantId: "t", resolution: 0, windowStartMs: Date.UTC(year, 5), keyId: keyIdOf("t", []), key: [], figures: [1], events: 1n, lateEvents: 0n, backfillEvents: 0n,
  fingerprint: 1n, revision: 1n, contentHash: "0".repeat(32)
})

const ask = async (method: "GET" | "PUT" | "DELETE", path: string, body?: object): Promise<unknown> => {
  const answer = await fetch(`${elasticsearchUrl()}${path}`, { method, headers: { "content-type": "application/json" }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
  expect(answer.ok).toBe(true)
  return answer.json()
}

/** Lets the cluster have so many shards more than it has; null: as many as it usually may. */
const leaveRoom = async (shards: number | null): Promise<void> => {
  const { active_shards: there } = (await ask("GET", "/_cluster/health")) as { readonly active_shards: number }
  await ask("PUT", "/_cluster/settings", { persistent: { "cluster.max_shards_per_node": shards === null ? null : there + shards } })
}

describe("windows of old years", () => {
  let namespace: string
  beforeEach(() => { namespace = freshNamespace() })
  afterEach(() => dropNamespace(namespace))
  const onIndex = <A>(use: (index: WindowIndexShape) => Effect.Effect<A, unknown>): Promise<A> =>
    Effect.runPromise(Effect.flatMap(WindowIndex, use).pipe(Effect.provide(windowIndexElasticsearch({ url: elasticsearchUrl(), namespace }))))
  const names = async (): Promise<readonly string[]> =>
    Object.keys((await ask("GET", `/${namespace}-windowdocs-*/_settings?filter_path=*.settings.index.provided_name`)) as object).map((name) => name.slice(name.lastIndexOf("-") + 1)).sort()

  it("share an index a year, which goes once all of it is out of retention", async () => {
    const months = [[1998, 1], [1998, 12], [2023, 12], [2024, 1], [2024, 2]] as const
    const documents = months.map(([year, month]) => ({ ...inYear(year), windowStartMs: Date.UTC(year, month - 1, 28) }))
    await onIndex((index) => index.put(model, documents))
    expect(await names()).toEqual(["1998", "2023", "2024.01", "2024.02"])
    expect(await onIndex((index) => index.read(model, documents))).toEqual(documents)
    expect(await onIndex((index) => index.images)).toEqual([{ projection: "p", generation: 1, incarnation: model.incarnation }])
    await onIndex((index) => index.drop(model, Date.UTC(1999, 0) - 1))
    expect(await names()).toEqual(["1998", "2023", "2024.01", "2024.02"])
    await onIndex((index) => index.drop(model, Date.UTC(2024, 1)))
    expect(await names()).toEqual(["2024.02"])
  })
})

describe("an image", () => {
  let namespace: string
  beforeEach(() => { namespace = freshNamespace() })
  afterEach(() => dropNamespace(namespace))
  const onIndex = <A>(use: (index: WindowIndexShape) => Effect.Effect<A, unknown>): Promise<A> =>
    Effect.runPromise(Effect.flatMap(WindowIndex, use).pipe(Effect.provide(windowIndexElasticsearch({ url: elasticsearchUrl(), namespace }))))
  const complete = (index: WindowIndexShape) => Effect.map(index.state(model), (state) => state.complete)

  it("is not complete any more once one of its indices is gone, whoever looks, and is again when it was published anew", async () => {
    await onIndex((index) => Effect.andThen(index.put(model, [inYear(2024), inYear(2025)]), index.setComplete(model, true)))
    expect(await onIndex(complete)).toBe(true)
    await ask("DELETE", `/${namespace}-windowdocs-p-g1-${model.incarnation}-2024.06`)
    expect(await onIndex(complete)).toBe(false)
    await onIndex((index) => Effect.andThen(index.put(model, [inYear(2024)]), index.setComplete(model, true)))
    expect(await onIndex(complete)).toBe(true)
  })

  it("is not complete once a write found an index gone, though the index is there again", async () => {
    await onIndex((index) => Effect.gen(function* () {
      yield* index.put(model, [inYear(2024), inYear(2025)])
      yield* index.setComplete(model, true)
      yield* Effect.promise(() => ask("DELETE", `/${namespace}-windowdocs-p-g1-${model.incarnation}-2024.06`))
      expect((yield* index.put(model, [inYear(2024)])).map(({ kind }) => kind)).toEqual(["again"])
      expect(yield* index.put(model, [inYear(2024)])).toEqual([{ kind: "done" }])
      expect(yield* complete(index)).toBe(false)
    }))
  })

  it("stays complete when windows out of retention are dropped", async () => {
    await onIndex((index) => Effect.gen(function* () {
      yield* index.put(model, [inYear(2024), inYear(2025)])
      yield* index.setComplete(model, true)
      yield* index.drop(model, Date.UTC(2025, 0))
      expect(yield* complete(index)).toBe(true)
    }))
  })

  it("of an earlier version of the program is dropped, and published anew under other names", async () => {
    await ask("PUT", `/${namespace}-windows-p-g1-${model.incarnation}-1998`, {})
    await ask("PUT", `/${namespace}-windowstate-p-g1-${model.incarnation}/_create/complete.2?refresh=true`, { kind: "complete", complete: true })
    expect(await onIndex((index) => index.state(model))).toEqual({ complete: false, refused: 0 })
    expect(await onIndex((index) => index.images)).toEqual([])
    expect(Object.keys((await ask("GET", `/${namespace}-*/_settings`)) as object)).toEqual([])
  })
})

describe("a cluster that takes no more indices", () => {
  let namespace: string
  beforeEach(() => { namespace = freshNamespace() })
  afterEach(async () => {
    await leaveRoom(null)
    await dropNamespace(namespace)
  })

  it("refuses the documents that need one, keeps them aside with the reason, and takes all others", async () => {
    // An index is reckoned as two shards when it is made, and is one on one node: its state, one month, and no second one.
    await leaveRoom(3)
    await Effect.runPromise(Effect.scoped(Effect.gen(function* () {
      const index = yield* WindowIndex
      const [first, second] = [inYear(2024), inYear(1998)]
      expect(yield* index.put(model, [first])).toEqual([{ kind: "done" }])
      const outcomes = yield* index.put(model, [second, { ...first, revision: 2n }])
      expect(outcomes).toEqual([{ kind: "refused", reason: expect.stringMatching(/^400 .*maximum (normal )?shards open/) as string }, { kind: "done" }])
      yield* index.keepRefused(model, [{ document: second, reason: "as above" }])
      expect(yield* index.state(model)).toEqual({ complete: false, refused: 1 })
      expect(yield* index.read(model, [first, second])).toEqual([{ ...first, revision: 2n }, undefined])
    }).pipe(Effect.provide(windowIndexElasticsearch({ url: elasticsearchUrl(), namespace })))))
  })
})
