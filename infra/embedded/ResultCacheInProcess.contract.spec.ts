import { ResultCache } from "@tidemark/domain/ports/ResultCache"
import { resultCacheContract } from "@tidemark/domain/ports/ResultCache.contract"
import * as Effect from "effect/Effect"
import { expect, it } from "vitest"
import { resultCacheInProcess } from "./ResultCacheInProcess.ts"

resultCacheContract("this process", () => ({ open: () => resultCacheInProcess(), dispose: async () => {} }))

it("forgets what was not used for longest when its bytes are full", async () => {
  const key = (question: string) => ({ tenantId: "t", projection: "p", pointerVersion: 1, generation: 1, position: [], question })
  const kept = await Effect.runPromise(Effect.gen(function* () {
    const cache = yield* ResultCache
    for (const name of ["a", "b", "c"]) yield* cache.put(key(name), new Uint8Array(1_000))
    yield* cache.get(key("a"))
    yield* cache.put(key("d"), new Uint8Array(1_000))
    return yield* Effect.forEach(["a", "b", "c", "d"], (name) => Effect.map(cache.get(key(name)), (value) => value !== undefined))
  }).pipe(Effect.provide(resultCacheInProcess(4_200))))
  expect(kept).toEqual([true, false, true, true])
})
