/**
 * Token buckets shared by all processes, on Redis' own clock. While Redis is away or slow each process limits by what it
 * sees itself. A process that spends much of a bucket takes some ahead (`tokenLeases.ts`).
 */
import { RateLimiter } from "@tidemark/domain/ports/RateLimiter"
import type { RateLimit, RateLimiterShape, RateState } from "@tidemark/domain/ports/RateLimiter"
import { makeLocalLimiter } from "@tidemark/domain/ports/tokenBuckets"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { UNCHECKED, connectRedis } from "./redisConnection.ts"
import type { RedisSettings, RedisUnreachableError } from "./redisConnection.ts"
import { TokenLeases } from "./tokenLeases.ts"

/** A request does not wait longer than this for its limit, ms. */
const ANSWER_MAX_MS = 100

/**
 * KEYS[1] bucket; ARGV capacity, tokens per second, count, how many to take ahead. Answers whether the count was taken, the
 * tokens after and before, as text since a number would lose its fraction, and how many were taken ahead: all or none, and
 * none where less than half of the bucket would be left. The same arithmetic as `TokenBuckets`.
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
local ahead = tonumber(ARGV[4])
if taken == 0 or left - ahead < capacity / 2 then ahead = 0 end
left = left - ahead
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', left), 'at', string.format('%.3f', math.max(now, at)))
redis.call('PEXPIRE', KEYS[1], math.ceil((capacity - left) / per_second * 1000) + 1000)
return { taken, string.format('%.6f', left), string.format('%.6f', available), ahead }
`

type Answer = readonly [taken: number, left: string, available: string, ahead: number]

const bucketOf = ({ name }: RateLimit, id: string): string => `${name}:${id}`

const secondsFor = (tokens: number, { perSecond }: RateLimit): number => Math.max(1, Math.ceil(tokens / perSecond))

const takenState = (limit: RateLimit, left: number): RateState => ({
  limit: limit.capacity, remaining: Math.floor(left), resetSeconds: secondsFor(limit.capacity - left, limit), retryAfterSeconds: undefined
})

const stateOf = (limit: RateLimit, count: number, [taken, left, available, ahead]: Answer): RateState => {
  const state = takenState(limit, Number(left) + ahead)
  return taken === 1 ? state : { ...state, retryAfterSeconds: secondsFor(Math.min(count, limit.capacity) - Number(available), limit) }
}

const makeLimiter = (settings: RedisSettings): Effect.Effect<RateLimiterShape, RedisUnreachableError, Scope.Scope> =>
  Effect.map(connectRedis(settings, { commandTimeout: ANSWER_MAX_MS, ...UNCHECKED }), (client) => {
    client.defineCommand("takeTokens", { numberOfKeys: 1, lua: TAKE_SCRIPT })
    const { takeTokens } = client as unknown as { readonly takeTokens: (...args: readonly (string | number)[]) => Promise<Answer> }
    const takeHere = makeLocalLimiter()
    const leases = new TokenLeases()
    /** Calls under way that take some ahead, by bucket. */
    const under = new Map<string, Promise<unknown>>()
    const ask = async (limit: RateLimit, id: string, count: number, ahead: number): Promise<RateState> => {
      const { capacity, perSecond } = limit
      const bucket = bucketOf(limit, id)
      try {
        const answer = await takeTokens.call(client, `${settings.namespace}:rate:${bucket}`, capacity, perSecond, count, ahead)
        leases.hold(bucket, ahead, answer[3], Number(answer[1]), performance.now())
        return stateOf(limit, count, answer)
      } catch {
        leases.hold(bucket, ahead, 0, 0, performance.now())
        return takeHere(limit, id, count, performance.now())
      }
    }
    const take = async (limit: RateLimit, id: string, count: number): Promise<RateState> => {
      const bucket = bucketOf(limit, id)
      const fetched = under.get(bucket)
      if (fetched !== undefined) {
        // Once: a bucket that gives nothing ahead is asked by everybody.
        await fetched
        const left = leases.spend(bucket, count, performance.now())
        if (left !== undefined) return takenState(limit, left)
      }
      const ahead = leases.ahead(bucket, limit.capacity, performance.now())
      const asked = ask(limit, id, count, ahead)
      if (ahead > 0) under.set(bucket, asked.finally(() => under.delete(bucket)))
      return asked
    }
    return {
      take: (limit, id, count) => Effect.suspend(() => {
        const bucket = bucketOf(limit, id)
        leases.want(bucket, count, performance.now())
        const left = leases.spend(bucket, count, performance.now())
        return left === undefined ? Effect.promise(() => take(limit, id, count)) : Effect.succeed(takenState(limit, left))
      })
    }
  })

/** Limits shared over the Redis at `settings.url`. */
export const rateLimiterRedis = (settings: RedisSettings): Layer.Layer<RateLimiter, RedisUnreachableError> => Layer.effect(RateLimiter, makeLimiter(settings))
