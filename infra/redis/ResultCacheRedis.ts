/** Answers shared by all processes. Redis away, slow or emptied is a miss. */
import { createHash } from "node:crypto"
import { RESULT_BYTES_MAX, ResultCache, resultKeyText } from "@tidemark/domain/ports/ResultCache"
import type { ResultCacheShape, ResultKey } from "@tidemark/domain/ports/ResultCache"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { UNCHECKED, connectRedis } from "./redisConnection.ts"
import type { RedisSettings, RedisUnreachableError } from "./redisConnection.ts"

/** A position is passed by within seconds on a busy log and asked for again on a quiet one. */
const KEEP_SECONDS = 300
/** A question does not wait longer than this for the cache, ms: the store answers it too. */
const ANSWER_MAX_MS = 100

const makeCache = (settings: RedisSettings): Effect.Effect<ResultCacheShape, RedisUnreachableError, Scope.Scope> =>
  Effect.map(connectRedis(settings, { enableAutoPipelining: true, commandTimeout: ANSWER_MAX_MS, ...UNCHECKED }), (client) => {
    const nameOf = (key: ResultKey): string => `${settings.namespace}:result:${createHash("sha256").update(resultKeyText(key)).digest("base64url")}`
    return {
      get: (key) => Effect.promise(async () => {
        const value = await client.getBuffer(nameOf(key)).catch(() => null)
        return value === null ? undefined : new Uint8Array(value)
      }),
      put: (key, value) => Effect.promise(async () => {
        if (value.length <= RESULT_BYTES_MAX) await client.set(nameOf(key), Buffer.from(value), "EX", KEEP_SECONDS).catch(() => undefined)
      })
    }
  })

/** The cache on the Redis at `settings.url`. Set an eviction policy there (`allkeys-lru`), or its memory is the limit. */
export const resultCacheRedis = (settings: RedisSettings): Layer.Layer<ResultCache, RedisUnreachableError> => Layer.effect(ResultCache, makeCache(settings))
