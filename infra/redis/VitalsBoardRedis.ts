/** A board of vitals in one hash, on Redis' own clock. While Redis is away or slow nobody hears of anybody. */
import { ProcessVitals, VITALS_KEPT_MS, VitalsBoard } from "@tidemark/domain/ports/VitalsBoard"
import type { VitalsBoardShape } from "@tidemark/domain/ports/VitalsBoard"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { UNCHECKED, connectRedis } from "./redisConnection.ts"
import type { RedisSettings, RedisUnreachableError } from "./redisConnection.ts"

/** Nobody waits for it: an answer that takes longer than this is none, ms. */
const ANSWER_MAX_MS = 500

/** KEYS[1] board; ARGV process, its vitals, ms they are kept. Answers those of the others; removes what is too old. */
const EXCHANGE_SCRIPT = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now) .. ' ' .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local all, others = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #all, 2 do
  local at, vitals = string.match(all[i + 1], '^(%d+) (.*)$')
  if now - tonumber(at) > tonumber(ARGV[3]) then redis.call('HDEL', KEYS[1], all[i])
  elseif all[i] ~= ARGV[1] then table.insert(others, vitals) end
end
return others
`

/** What a process of another version tells in other words is left out. */
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(ProcessVitals))

const makeBoard = (settings: RedisSettings, keptMs: number): Effect.Effect<VitalsBoardShape, RedisUnreachableError, Scope.Scope> =>
  Effect.map(connectRedis(settings, { commandTimeout: ANSWER_MAX_MS, ...UNCHECKED }), (client) => {
    client.defineCommand("exchangeVitals", { numberOfKeys: 1, lua: EXCHANGE_SCRIPT })
    const { exchangeVitals } = client as unknown as { readonly exchangeVitals: (...args: readonly (string | number)[]) => Promise<readonly string[]> }
    return {
      exchange: (own) => Effect.promise(async () => {
        const others = await exchangeVitals.call(client, `${settings.namespace}:vitals`, own.process, JSON.stringify(own), keptMs).catch(() => [])
        return others.flatMap((text) => Option.toArray(decode(text)))
      })
    }
  })

/** The board shared over the Redis at `settings.url`. */
export const vitalsBoardRedis = (settings: RedisSettings, keptMs = VITALS_KEPT_MS): Layer.Layer<VitalsBoard, RedisUnreachableError> => Layer.effect(VitalsBoard, makeBoard(settings, keptMs))
