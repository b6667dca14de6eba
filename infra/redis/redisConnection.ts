/**
 * Connections to Redis that never make anybody wait for long: a command fails at once while there is no connection and
 * after a second while the server does not answer; the connection is tried again for ever, with backoff and jitter.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Redis } from "ioredis"
import type { RedisOptions } from "ioredis"

/** Redis does not answer at start. `url` is without user and password. */
export class RedisUnreachableError extends Schema.TaggedError<RedisUnreachableError>()("RedisUnreachableError", { url: Schema.String, cause: Schema.Defect() }) {}

export interface RedisSettings {
  /** `redis://[user:password@]host:port[/db]`, or `rediss:` for TLS. */
  readonly url: string
  /** Comes before every channel and key, so that several installations may share a server. */
  readonly namespace: string
  /** How long the start waits for the server, ms. */
  readonly connectMaxMs?: number
}

const CONNECT_MAX_MS = 5_000
const COMMAND_MAX_MS = 1_000
/** A connection is asked for a sign of life this often, ms: a peer that is gone without a word is noticed by it. */
const PING_EVERY_MS = 2_000
const RETRY_FIRST_MS = 50
const RETRY_MAX_MS = 1_000

const retryDelayMs = (attempt: number): number => Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(attempt, 10)) * (0.5 + Math.random() / 2)

const OPTIONS: RedisOptions = {
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  maxRetriesPerRequest: 0,
  commandTimeout: COMMAND_MAX_MS,
  connectTimeout: CONNECT_MAX_MS,
  retryStrategy: retryDelayMs
}

/**
 * For who waits a moment only for each answer: the client's own question at the connection, whether the server has loaded
 * its data, would have to come back within that moment too, which a process that is just starting cannot promise.
 */
export const UNCHECKED: RedisOptions = { enableReadyCheck: false }

const withoutSecrets = (url: string): string => {
  try {
    const { protocol, host, pathname } = new URL(url)
    return `${protocol}//${host}${pathname}`
  } catch {
    return url
  }
}

/** Cuts a connection that does not answer; the client then connects again by itself. */
const watch = (client: Redis): (() => void) => {
  const timer = setInterval(() => {
    if (client.status !== "ready") return
    void client.ping().catch(() => client.disconnect(true))
  }, PING_EVERY_MS)
  timer.unref()
  return () => clearInterval(timer)
}

/** Nobody is at the address, as the system says it: no use in trying again at once. */
const NOBODY_THERE: readonly unknown[] = ["ECONNREFUSED", "ENOTFOUND", "EHOSTUNREACH", "ENETUNREACH", "EACCES"]

const isRefused = (error: unknown): boolean => NOBODY_THERE.includes((error as { readonly code?: unknown } | undefined)?.code)

/**
 * Waits until the server serves. A connection that breaks before, or a check that comes back late because either side is
 * busy, is tried again until the time is over; an address where nobody listens is not.
 */
const open = async (client: Redis, connectMaxMs: number): Promise<void> => {
  let failure: Error | undefined
  const onError = (error: Error) => (failure = error)
  client.on("error", onError)
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(failure ?? new Error(`no connection within ${connectMaxMs} ms`)), connectMaxMs)
  })
  const ready = new Promise<void>((resolve) => client.once("ready", () => resolve()))
  const first = client.connect().catch((error: unknown) => {
    if (isRefused(failure)) throw failure
    if (isRefused(error)) throw error
    return ready
  })
  try {
    await Promise.race([first, expired])
  } finally {
    clearTimeout(timer)
    client.off("error", onError)
  }
}

/** A connection that is ready, closed with the scope. */
export const connectRedis = (settings: RedisSettings, options: RedisOptions = {}): Effect.Effect<Redis, RedisUnreachableError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.tryPromise({
        try: async () => {
          const client = new Redis(settings.url, { ...OPTIONS, ...options, replyMapping: "legacy" })
          // What goes wrong is seen by who asked; without a listener the client prints it.
          client.on("error", () => {})
          try {
            await open(client, settings.connectMaxMs ?? CONNECT_MAX_MS)
          } catch (cause) {
            client.disconnect()
            throw cause
          }
          return { client, unwatch: watch(client) }
        },
        catch: (cause) => new RedisUnreachableError({ url: withoutSecrets(settings.url), cause })
      }),
      ({ client, unwatch }) => Effect.sync(() => {
        unwatch()
        client.disconnect()
      })
    ),
    ({ client }) => client
  )
