/** What every result cache must do. Runs unchanged on each adapter. */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, it } from "vitest"
import { RESULT_BYTES_MAX, ResultCache } from "./ResultCache.ts"
import type { ResultCacheShape, ResultKey } from "./ResultCache.ts"

export interface ResultCacheHarness {
  readonly open: () => Layer.Layer<ResultCache, unknown>
  readonly dispose: () => Promise<void>
}

const key: ResultKey = {
  tenantId: "t", projection: "p", pointerVersion: 1, generation: 1, position: [{ partition: 0, nextOffset: 2n ** 53n + 1n }, { partition: 1, nextOffset: 3n }], question: "{}"
}

/** Differ from `key` in one part each. */
const others: readonly ResultKey[] = [
  { ...key, tenantId: "u" }, { ...key, projection: "q" }, { ...key, pointerVersion: 2 }, { ...key, generation: 2 }, { ...key, question: "{ }" },
  { ...key, position: [{ partition: 0, nextOffset: 2n ** 53n }, { partition: 1, nextOffset: 3n }] }, { ...key, position: key.position.slice(0, 1) },
  { ...key, tenantId: "t\",\"p", projection: "" }
]

/** Declares the suite for one adapter. */
export const resultCacheContract = (name: string, makeHarness: () => ResultCacheHarness): void => {
  const session = (use: (cache: ResultCacheShape) => Effect.Effect<void>) => async () => {
    const harness = makeHarness()
    try {
      await Effect.runPromise(Effect.gen(function* () { yield* use(yield* ResultCache) }).pipe(Effect.provide(harness.open())))
    } finally {
      await harness.dispose()
    }
  }

  describe(`ResultCache on ${name}`, () => {
    it("answers the bytes that were put, whatever they are, in whatever order the position is named", session((cache) => Effect.gen(function* () {
      const value = Uint8Array.from({ length: 256 }, (_, i) => i)
      expect(yield* cache.get(key)).toBeUndefined()
      yield* cache.put(key, value)
      expect(new Uint8Array((yield* cache.get(key)) ?? [])).toEqual(value)
      expect(new Uint8Array((yield* cache.get({ ...key, position: key.position.toReversed() })) ?? [])).toEqual(value)
      yield* cache.put(key, new Uint8Array())
      expect(yield* cache.get(key)).toHaveLength(0)
    })))

    it("answers nothing to a key that differs in any part", session((cache) => Effect.gen(function* () {
      yield* cache.put(key, new Uint8Array([1]))
      for (const other of others) expect(yield* cache.get(other)).toBeUndefined()
    })))

    it("does not keep what is too long", session((cache) => Effect.gen(function* () {
      yield* cache.put({ ...key, question: "long" }, new Uint8Array(RESULT_BYTES_MAX + 1))
      expect(yield* cache.get({ ...key, question: "long" })).toBeUndefined()
      yield* cache.put({ ...key, question: "longest" }, new Uint8Array(RESULT_BYTES_MAX))
      expect(yield* cache.get({ ...key, question: "longest" })).toHaveLength(RESULT_BYTES_MAX)
    })))

    it("shares no memory with who puts or gets", session((cache) => Effect.gen(function* () {
      const value = new Uint8Array([1, 2])
      yield* cache.put(key, value)
      value.fill(9)
      const first = yield* cache.get(key)
      first?.fill(9)
      expect(new Uint8Array((yield* cache.get(key)) ?? [])).toEqual(new Uint8Array([1, 2]))
    })))
  })
}
