/** A key as its events left it. */
import { KEY_CREATED, KEY_REVOKED } from "./events.ts"
import type { KeyEvent, KeyRole } from "./events.ts"

/** A key without its secret. */
export interface KeyRecord {
  readonly keyId: string
  readonly tenantId: string
  /** SHA-256 of the key's text, hexadecimal. */
  readonly hash: string
  readonly prefix: string
  readonly role: KeyRole
  /** An admin key that acts for all tenants. */
  readonly operator: boolean
  readonly name: string
  /** Origins a browser may send from; empty = any. */
  readonly allowedOrigins: readonly string[]
  readonly createdAtMs: number
  readonly expiresAtMs: number | null
  readonly revokedAtMs: number | null
}

/** The key after `event`; a second creation, and whatever happens to a key that was never created, change nothing. */
export const evolveKey = (key: KeyRecord | undefined, event: KeyEvent): KeyRecord | undefined => {
  if (event.type === KEY_CREATED) return key ?? { ...event.data, operator: event.data.operator === true, revokedAtMs: null }
  if (key === undefined) return undefined
  return event.type === KEY_REVOKED ? { ...key, revokedAtMs: key.revokedAtMs ?? event.data.revokedAtMs } : { ...key, operator: true }
}

/** Is the key taken at `nowMs`? At its expiry it no longer is; a revocation holds whatever the clock says. */
export const isKeyValid = ({ expiresAtMs, revokedAtMs }: KeyRecord, nowMs: number): boolean =>
  revokedAtMs === null && (expiresAtMs === null || nowMs < expiresAtMs)
