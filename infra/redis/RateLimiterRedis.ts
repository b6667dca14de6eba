/**
 * Token buckets shared by all processes, on Redis' own clock. While Redis is away or slow each process limits by what it
 * sees itself.
 */
import { RateLimiter } from "@tidemark/domain/ports/RateLimiter"
import type { RateLimit, RateLimiterShape, RateState } from "@tidemark/domain/ports/RateLimiter"
import { makeLocalLimiter } from "@tidemark/domain/ports/tokenBuckets"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { UNCHECKED, connectRedis } from "./redisConnection.ts"
import type { RedisSettings, RedisUnreachableError } from "./redisConnection.ts"

/** A request does not wait longer than this for its limit, ms. */
const ANSWER_MAX_MS = 100

/**
 * KEYS[1] bucket; ARGV capacity, tokens per second, count. Answers whether it was taken and the tokens before and after,
 * as text: a number would lose its fraction. The same arithmetic as `TokenBuckets`.
 */
const TAKE_SCRIPT = `
local capacity, per_second = tonumber(ARGV[1]), tonumber(ARGV[2])
local wanted = math.min(tonumber(ARGV[3]), capacity)
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local stored = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local at = tonumber(stored[2]) or now
local available = math.min(capacity, (tonumber(stored[1]) or capacity) + math.max(0, now - at) / 1000 * per_second)
local taken = available >= wanted and 1 or 0
local left = available - taken * wanted
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', left), 'at', string.format('%.3f', math.max(now, at)))
redis.call('PEXPIRE', KEYS[1], math.ceil((capacity - left) / per_second * 1000) + 1000)
return { taken, string.format('%.6f', left), string.format('%.6f', available) }
`

const stateOf = ({ capacity, perSecond }: RateLimit, count: number, [taken, left, available]: readonly [number, string, string]): RateState => {
  const seconds = (tokens: number): number => Math.max(1, Math.ceil(tokens / perSecond))
  return {
    limit: capacity,
    remaining: Math.floor(Number(left)),
    resetSeconds: seconds(capacity - Number(left)),
    retryAfterSeconds: taken === 1 ? undefined : seconds(Math.min(count, capacity) - Number(available))
  }
}

const makeLimiter = (settings: RedisSettings): Effect.Effect<RateLimiterShape, RedisUnreachableError, Scope.Scope> =>
  Effect.map(connectRedis(settings, { commandTimeout: ANSWER_MAX_MS, ...UNCHECKED }), (client) => {
    client.defineCommand("takeTokens", { numberOfKeys: 1, lua: TAKE_SCRIPT })
    const { takeTokens } = client as unknown as { readonly takeTokens: (...args: readonly (string | number)[]) => Promise<readonly [number, string, string]> }
    const takeHere = makeLocalLimiter()
    return {
      take: (limit, id, count) => Effect.gen(function* () {
        const nowMs = yield* Clock.currentTimeMillis
        return yield* Effect.promise(async () => {
          try {
            const { name, capacity, perSecond } = limit
            return stateOf(limit, count, await takeTokens.call(client, `${settings.namespace}:rate:${name}:${id}`, capacity, perSecond, count))
          } catch {
            return takeHere(limit, id, count, nowMs)
          }
        })
      })
    }
  })

/** Limits shared over the Redis at `settings.url`. */
export const rateLimiterRedis = (settings: RedisSettings): Layer.Layer<RateLimiter, RedisUnreachableError> => Layer.effect(RateLimiter, makeLimiter(settings))
