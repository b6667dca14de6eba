/** Decisions about a key. Pure: the same state and command give the same events. */
import * as Schema from "effect/Schema"
import { InvalidSettingError, isTenantId } from "../streams.ts"
import { KEY_CREATED, KEY_OPERATES, KEY_REVOKED } from "./events.ts"
import type { KeyEvent, KeyRole } from "./events.ts"
import type { KeyRecord } from "./evolve.ts"

const NAME_LENGTH_MAX = 128
const ORIGINS_MAX = 100
const ORIGIN = /^https?:\/\/[a-z0-9.-]+(?::\d{1,5})?$/

export interface CreateKey {
  readonly tenantId: string
  readonly role: KeyRole
  /** For all tenants; admin keys only. */
  readonly operator?: boolean
  /** For people. */
  readonly name: string
  /** Origins a browser may send from; empty = any. Write keys only. */
  readonly allowedOrigins: readonly string[]
  /** First instant at which the key is no longer taken, Unix ms; null = never. */
  readonly expiresAtMs: number | null
}

/** The key's text turned into what may be stored. */
export interface HashedKey {
  readonly keyId: string
  readonly hash: string
  readonly prefix: string
}

/** Which key a command is about. */
export interface KeyPlace {
  readonly tenantId: string
  readonly keyId: string
}

/** The same key text was created before. Choose another. */
export class KeyExistsError extends Schema.TaggedError<KeyExistsError>()("KeyExistsError", { keyId: Schema.String }) {}

/** The tenant has no such key. */
export class KeyMissingError extends Schema.TaggedError<KeyMissingError>()("KeyMissingError", { keyId: Schema.String }) {}

const invalid = (pointer: string, detail: string) => new InvalidSettingError({ pointer, detail })

/** What is wrong with the command by itself at `nowMs`, if anything. */
export const validateCreateKey = ({ tenantId, role, operator, name, allowedOrigins, expiresAtMs }: CreateKey, nowMs: number): InvalidSettingError | undefined => {
  if (!isTenantId(tenantId)) return invalid("/tenantId", "not a tenant id")
  if (name.length > NAME_LENGTH_MAX) return invalid("/name", `longer than ${NAME_LENGTH_MAX} characters`)
  if (expiresAtMs !== null && (!Number.isSafeInteger(expiresAtMs) || expiresAtMs <= nowMs)) return invalid("/expiresAtMs", "expected a time in the future, in Unix milliseconds")
  if (operator === true && role !== "admin") return invalid("/operator", "only an admin key acts for all tenants")
  if (allowedOrigins.length > 0 && role !== "write") return invalid("/allowedOrigins", "only a write key is used from browsers")
  if (allowedOrigins.length > ORIGINS_MAX) return invalid("/allowedOrigins", `more than ${ORIGINS_MAX} origins`)
  const wrong = allowedOrigins.findIndex((origin) => !ORIGIN.test(origin))
  return wrong < 0 ? undefined : invalid(`/allowedOrigins/${wrong}`, "expected an origin such as https://shop.example")
}

/** A key is created once. */
export const decideCreateKey = (key: KeyRecord | undefined, command: CreateKey, hashed: HashedKey, nowMs: number): readonly KeyEvent[] | KeyExistsError => {
  const { tenantId, role, operator = false, name, allowedOrigins, expiresAtMs } = command
  if (key !== undefined) return new KeyExistsError({ keyId: hashed.keyId })
  return [{ type: KEY_CREATED, data: { ...hashed, tenantId, role, operator, name, allowedOrigins, createdAtMs: nowMs, expiresAtMs } }]
}

/** Revoking a second time changes nothing. */
export const decideRevokeKey = (key: KeyRecord | undefined, { tenantId, keyId }: KeyPlace, nowMs: number): readonly KeyEvent[] | KeyMissingError => {
  if (key === undefined) return new KeyMissingError({ keyId })
  return key.revokedAtMs === null ? [{ type: KEY_REVOKED, data: { keyId, tenantId, revokedAtMs: nowMs } }] : []
}

/** An admin key acts for all tenants from now on. Nothing to do when it does. */
export const decideOperates = (key: KeyRecord | undefined, { tenantId, keyId }: KeyPlace, nowMs: number): readonly KeyEvent[] | KeyMissingError | InvalidSettingError => {
  if (key === undefined) return new KeyMissingError({ keyId })
  if (key.role !== "admin") return invalid("/keyId", "only an admin key acts for all tenants")
  return key.operator ? [] : [{ type: KEY_OPERATES, data: { keyId, tenantId, sinceMs: nowMs } }]
}
