/**
 * Tenants and keys as this process knows them: folded from the event store at start, then followed live.
 *
 * Keys are found by the hash of what was sent and compared in constant time. A process that cannot read a settings
 * event takes no key any more: it cannot know whether it was a revocation. Rules: docs/security.md §2.
 */
import { timingSafeEqual } from "node:crypto"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { EventStore } from "@tidemark/domain/ports/EventStore"
import type { StoredEvent } from "@tidemark/domain/ports/EventStore"
import { readKeyEvent } from "@tidemark/domain/settings/key/events"
import type { KeyEvent } from "@tidemark/domain/settings/key/events"
import { evolveKey, isKeyValid } from "@tidemark/domain/settings/key/evolve"
import type { KeyRecord } from "@tidemark/domain/settings/key/evolve"
import { SettingsCorruptError, keyStream, tenantStream } from "@tidemark/domain/settings/streams"
import { readTenantEvent } from "@tidemark/domain/settings/tenant/events"
import { evolveTenant } from "@tidemark/domain/settings/tenant/evolve"
import type { Tenant } from "@tidemark/domain/settings/tenant/evolve"
import { KEY_LENGTH_MAX, hashKeyText } from "./settings/keyText.ts"

const PAGE_EVENTS = 1_000
const WAIT_MAX_MS = 30_000
const RETRY_AFTER_MS = 500

/** Why the model no longer follows, or how far it has. */
export interface SettingsHealth {
  /** When the event store last answered, Unix ms. */
  readonly readAtMs: number
  /** A settings event that could not be read; no key is taken from then on. */
  readonly corrupt: SettingsCorruptError | undefined
}

export interface SettingsModel {
  /** The key of this text if it is taken now: known, not expired, not revoked. */
  readonly verifyKey: (keyText: string) => KeyRecord | undefined
  /** Was a key of this text ever created, by whatever tenant? */
  readonly isKnown: (keyText: string) => boolean
  readonly tenant: (tenantId: string) => Tenant | undefined
  readonly tenants: () => readonly Tenant[]
  /** Keys of one tenant in the order of their creation, revoked ones too. */
  readonly keys: (tenantId: string) => readonly KeyRecord[]
  /** Waits until the model has folded the event store up to `position`. */
  readonly reached: (position: bigint) => Effect.Effect<void, SettingsCorruptError>
  readonly health: () => SettingsHealth
}

interface Waiter {
  readonly position: bigint
  readonly done: Deferred.Deferred<void, SettingsCorruptError>
}

class Model {
  readonly tenants = new Map<string, Tenant>()
  /** By hash. A text belongs to whoever created it first. */
  readonly keys = new Map<string, KeyRecord>()
  position = 0n
  readAtMs = 0
  corrupt: SettingsCorruptError | undefined

  private foldKey(stream: string, event: KeyEvent): void {
    const { keyId, tenantId } = event.data
    if (stream !== keyStream(tenantId, keyId)) throw new SettingsCorruptError({ stream, type: event.type })
    const known = "hash" in event.data ? this.keys.get(event.data.hash) : [...this.keys.values()].find((key) => key.tenantId === tenantId && key.keyId === keyId)
    if (known !== undefined && known.tenantId !== tenantId) return
    const key = evolveKey(known, event)
    if (key !== undefined) this.keys.set(key.hash, key)
  }

  private foldOne({ stream, type, data }: StoredEvent): void {
    const tenantEvent = readTenantEvent(type, data)
    const keyEvent = tenantEvent === "other" ? readKeyEvent(type, data) : "other"
    if (tenantEvent === "corrupt" || keyEvent === "corrupt") throw new SettingsCorruptError({ stream, type })
    if (keyEvent !== "other") return this.foldKey(stream, keyEvent)
    if (tenantEvent === "other") return
    const { tenantId } = tenantEvent.data
    if (stream !== tenantStream(tenantId)) throw new SettingsCorruptError({ stream, type })
    this.tenants.set(tenantId, evolveTenant(this.tenants.get(tenantId), tenantEvent))
  }

  /** Throws SettingsCorruptError at the first event that cannot be read. */
  fold(events: readonly StoredEvent[]): void {
    for (const event of events) {
      this.foldOne(event)
      this.position = event.position
    }
  }

  find(keyText: string): KeyRecord | undefined {
    const hash = hashKeyText(keyText.slice(0, KEY_LENGTH_MAX + 1))
    const key = this.keys.get(Buffer.from(hash).toString("hex"))
    return timingSafeEqual(hash, key === undefined ? new Uint8Array(hash.length) : Buffer.from(key.hash, "hex")) ? key : undefined
  }
}

const foldInto = (model: Model, events: readonly StoredEvent[]) =>
  Effect.try({
    try: () => model.fold(events),
    catch: (cause) => (cause instanceof SettingsCorruptError ? cause : new SettingsCorruptError({ stream: "", type: String(cause) }))
  })

/**
 * Reads everything there is, then follows until its scope closes. Fails at the start with
 * EventStoreUnavailableError or SettingsCorruptError; later it reads again until the store answers.
 */
export const makeSettingsModel = Effect.fn(function* () {
  const store = yield* EventStore
  const clock = yield* Clock.Clock
  const model = new Model()
  const waiters = new Set<Waiter>()
  const read = Effect.fn(function* (waitMaxMs: number) {
    const events = yield* store.readAll(model.position, PAGE_EVENTS, waitMaxMs)
    yield* foldInto(model, events)
    model.readAtMs = clock.currentTimeMillisUnsafe()
    for (const waiter of waiters) if (waiter.position <= model.position && waiters.delete(waiter)) yield* Deferred.succeed(waiter.done, undefined)
    return events.length
  })
  while ((yield* read(0)) > 0) continue
  const step = read(WAIT_MAX_MS).pipe(
    Effect.catchTag("EventStoreUnavailableError", () => Effect.as(Effect.sleep(RETRY_AFTER_MS), 0))
  )
  const stop = Effect.fn(function* (error: SettingsCorruptError) {
    model.corrupt = error
    for (const waiter of waiters) yield* Deferred.fail(waiter.done, error)
  })
  yield* Effect.forkScoped(Effect.forever(step).pipe(Effect.catchTag("SettingsCorruptError", stop)))
  const reached = Effect.fn(function* (position: bigint) {
    if (position <= model.position) return
    if (model.corrupt !== undefined) return yield* model.corrupt
    const waiter: Waiter = { position, done: yield* Deferred.make<void, SettingsCorruptError>() }
    waiters.add(waiter)
    yield* Deferred.await(waiter.done)
  })
  return {
    verifyKey: (keyText) => {
      const key = model.find(keyText)
      return key !== undefined && model.corrupt === undefined && isKeyValid(key, clock.currentTimeMillisUnsafe()) ? key : undefined
    },
    isKnown: (keyText) => model.find(keyText) !== undefined,
    tenant: (tenantId) => model.tenants.get(tenantId),
    tenants: () => [...model.tenants.values()],
    keys: (tenantId) => [...model.keys.values()].filter((key) => key.tenantId === tenantId),
    reached,
    health: () => ({ readAtMs: model.readAtMs, corrupt: model.corrupt })
  } satisfies SettingsModel as SettingsModel
})
