/**
 * Change hints between processes over Redis, which delivers at most once. A connection that was lost may have lost hints
 * with it: every subscription is then told to resync, again and again while Redis is away (which makes a poll of it) and
 * once more when it listens again.
 */
import { makeNotificationBuffer } from "@tidemark/domain/ports/notificationBuffer"
import type { NotificationBuffer } from "@tidemark/domain/ports/notificationBuffer"
import { PubSub, PubSubUnavailableError } from "@tidemark/domain/ports/PubSub"
import type { Notification, PubSubShape } from "@tidemark/domain/ports/PubSub"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Redis } from "ioredis"
import { connectRedis } from "./redisConnection.ts"
import type { RedisSettings, RedisUnreachableError } from "./redisConnection.ts"

/** Notifications in one message; a longer list goes in several, in order. */
const MESSAGE_MAX = 1_000
/** While Redis is away subscriptions are told to resync this often, ms. */
const RESYNC_EVERY_MS = 2_000

const encode = (notifications: readonly Notification[]): string => JSON.stringify(notifications.map(({ key, version }) => [key, version]))

/** Undefined for what is not a list of hints: another writer on the channel. */
const decode = (message: string): readonly Notification[] | undefined => {
  try {
    const parsed: unknown = JSON.parse(message)
    if (!Array.isArray(parsed)) return undefined
    const notifications: Notification[] = []
    for (const entry of parsed as readonly unknown[]) {
      if (!Array.isArray(entry) || typeof entry[0] !== "string" || typeof entry[1] !== "string") return undefined
      notifications.push({ key: entry[0], version: entry[1] })
    }
    return notifications
  } catch {
    return undefined
  }
}

/** The channels this process listens to and who reads each. */
class Listener {
  private readonly channels = new Map<string, Set<NotificationBuffer>>()
  private readonly client: Redis
  private readonly resyncTimer: NodeJS.Timeout
  private isLive = true

  constructor(client: Redis) {
    this.client = client
    client.on("message", (channel: string, message: string) => this.receive(channel, message))
    client.on("close", () => this.lost())
    client.on("ready", () => void this.resume())
    this.resyncTimer = setInterval(() => {
      if (!this.isLive) this.overflowAll()
    }, RESYNC_EVERY_MS)
    this.resyncTimer.unref()
  }

  private receive(channel: string, message: string): void {
    const notifications = decode(message)
    for (const buffer of this.channels.get(channel) ?? []) {
      if (notifications === undefined) buffer.overflow()
      else buffer.receive(notifications)
    }
  }

  private overflowAll(): void {
    for (const buffers of this.channels.values()) for (const buffer of buffers) buffer.overflow()
  }

  private lost(): void {
    this.isLive = false
    this.overflowAll()
  }

  /** After a new connection: listens to everything again, then says that something may have been missed. */
  private async resume(): Promise<void> {
    try {
      const names = [...this.channels.keys()]
      if (names.length > 0) await this.client.subscribe(...names)
      this.isLive = true
      this.overflowAll()
    } catch {
      this.client.disconnect(true)
    }
  }

  /** Resolves when the channel is listened to; while Redis is away at once, with word to resync. */
  async add(channel: string, buffer: NotificationBuffer): Promise<void> {
    this.channels.set(channel, (this.channels.get(channel) ?? new Set()).add(buffer))
    try {
      // Also when others read the channel already: their command may still be on its way.
      await this.client.subscribe(channel)
    } catch {
      buffer.overflow()
      // A connection that is up and refuses would leave this channel unheard: the next one listens to all.
      if (this.client.status === "ready") this.client.disconnect(true)
    }
  }

  remove(channel: string, buffer: NotificationBuffer): void {
    buffer.end()
    const buffers = this.channels.get(channel)
    if (buffers === undefined || !buffers.delete(buffer) || buffers.size > 0) return
    this.channels.delete(channel)
    // Should this fail, messages nobody reads are passed over until the connection ends.
    void this.client.unsubscribe(channel).catch(() => {})
  }

  close(): void {
    clearInterval(this.resyncTimer)
  }
}

const makePubSub = (settings: RedisSettings): Effect.Effect<PubSubShape, RedisUnreachableError, Scope.Scope> =>
  Effect.gen(function* () {
    const publisher = yield* connectRedis(settings, { enableAutoPipelining: true })
    const subscriber = yield* connectRedis(settings)
    const listener = yield* Effect.acquireRelease(Effect.sync(() => new Listener(subscriber)), (held) => Effect.sync(() => held.close()))
    const channelOf = (topic: string): string => `${settings.namespace}:hints:${topic}`
    const publish = async (channel: string, notifications: readonly Notification[]): Promise<void> => {
      const sent: Promise<number>[] = []
      for (let at = 0; at < notifications.length; at += MESSAGE_MAX) sent.push(publisher.publish(channel, encode(notifications.slice(at, at + MESSAGE_MAX))))
      await Promise.all(sent)
    }
    return {
      publish: (topic, notifications) =>
        Effect.tryPromise({ try: () => publish(channelOf(topic), notifications), catch: (cause) => new PubSubUnavailableError({ cause }) }),
      subscribe: (topic, bufferMax) =>
        Effect.acquireRelease(
          Effect.promise(async () => {
            const buffer = makeNotificationBuffer(bufferMax)
            await listener.add(channelOf(topic), buffer)
            return buffer
          }),
          (buffer) => Effect.sync(() => listener.remove(channelOf(topic), buffer))
        ).pipe(Effect.map(({ subscription }) => subscription))
    }
  })

/** Pub/sub on the Redis at `settings.url`. Needs it at start and goes on without it later. */
export const pubSubRedis = (settings: RedisSettings): Layer.Layer<PubSub, RedisUnreachableError> => Layer.effect(PubSub, makePubSub(settings))
