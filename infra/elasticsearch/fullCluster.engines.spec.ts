import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import { WindowIndex } from "@tidemark/domain/ports/WindowIndex"
import type { WindowDocument, WindowModel } from "@tidemark/domain/ports/WindowIndex"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { windowIndexElasticsearch } from "./WindowIndexElasticsearch.ts"
import { dropNamespace, elasticsearchUrl, freshNamespace } from "./specNamespace.ts"

const model: WindowModel = { projection: "p", generation: 1, incarnation: "abcdef0123456789", dimensions: [], figures: ["views"] }

const inYear = (year: number): WindowDocument => ({
  tenantId: "t", resolution: 0, windowStartMs: Date.UTC(year, 5), keyId: keyIdOf("t", []), key: [], figures: [1], events: 1n, lateEvents: 0n, backfillEvents: 0n,
  fingerprint: 1n, revision: 1n, contentHash: "0".repeat(32)
})

const ask = async (method: "GET" | "PUT", path: string, body?: object): Promise<unknown> => {
  const answer = await fetch(`${elasticsearchUrl()}${path}`, { method, headers: { "content-type": "application/json" }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
  expect(answer.status).toBe(200)
  return answer.json()
}

/** Lets the cluster have so many shards more than it has; null: as many as it usually may. */
const leaveRoom = async (shards: number | null): Promise<void> => {
  const { active_shards: there } = (await ask("GET", "/_cluster/health")) as { readonly active_shards: number }
  await ask("PUT", "/_cluster/settings", { persistent: { "cluster.max_shards_per_node": shards === null ? null : there + shards } })
}

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
