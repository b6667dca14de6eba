/**
 * Key texts: making, checking and hashing them. The text is shown once and never stored.
 *
 * SHA-256 without salt is right for random keys: there is nothing to guess. Rules: docs/security.md §2.
 */
import { createHash, randomBytes } from "node:crypto"
import { InvalidSettingError } from "@tidemark/domain/settings/streams"
import type { HashedKey } from "@tidemark/domain/settings/key/decide"
import type { KeyRole } from "@tidemark/domain/settings/key/events"

/** Characters a key given by hand must have, and may have. */
export const KEY_LENGTH_MIN = 24
export const KEY_LENGTH_MAX = 256

const SECRET_BYTES = 32
const MARKS = { write: "tm_wk_", read: "tm_rk_", admin: "tm_ak_" } as const
const GENERATED = /^tm_[wra]k_[A-Za-z0-9_-]{43}$/
/** Shown of a generated key: its mark and 6 of 43 characters. */
const PREFIX_LENGTH = 12
const PRINTABLE = /^[!-~](?:[ -~]*[!-~])?$/

/** A new key: mark of its role and 256 random bits. From the system's generator, never from a seed. */
export const generateKeyText = (role: KeyRole): string => MARKS[role] + randomBytes(SECRET_BYTES).toString("base64url")

/** Why a key given by hand cannot be taken for `role`, if so. Says nothing of the key itself. */
export const validateKeyText = (text: string, role: KeyRole): InvalidSettingError | undefined => {
  const invalid = (detail: string) => new InvalidSettingError({ pointer: "/keyText", detail })
  if (text.length < KEY_LENGTH_MIN || text.length > KEY_LENGTH_MAX) return invalid(`expected ${KEY_LENGTH_MIN} to ${KEY_LENGTH_MAX} characters`)
  if (!PRINTABLE.test(text)) return invalid("expected printable ASCII without spaces at its ends")
  const other = Object.values(MARKS).some((mark) => mark !== MARKS[role] && text.startsWith(mark))
  return other ? invalid("begins with the mark of another role") : undefined
}

/** SHA-256 of the UTF-8 text, 32 bytes. */
export const hashKeyText = (text: string): Uint8Array => createHash("sha256").update(text, "utf8").digest()

/** What may be stored of a key. Of a key given by hand nothing but its hash is shown. */
export const hashedKey = (text: string): HashedKey => {
  const hash = Buffer.from(hashKeyText(text)).toString("hex")
  return { keyId: hash.slice(0, 32), hash, prefix: GENERATED.test(text) ? text.slice(0, PREFIX_LENGTH) : `sha256_${hash.slice(0, 8)}` }
}
