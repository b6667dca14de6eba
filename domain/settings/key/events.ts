/** What can happen to a key. The key itself is never stored, only its SHA-256. */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

export const KEY_CREATED = "key.created"
export const KEY_REVOKED = "key.revoked"
/** An admin key may act for all tenants from now on. */
export const KEY_OPERATES = "key.operates"

const Created = Schema.Struct({
  /** First half of the hash, hexadecimal. */
  keyId: Schema.String,
  tenantId: Schema.String,
  /** SHA-256 of the key's UTF-8 text, 64 hexadecimal digits. */
  hash: Schema.String,
  /** What people tell keys apart by; not secret. */
  prefix: Schema.String,
  role: Schema.Literals(["write", "read", "admin"]),
  /** An admin key that acts for all tenants; absent in keys of earlier versions, which act for their own. */
  operator: Schema.optionalKey(Schema.Boolean),
  name: Schema.String,
  /** Origins a browser may send from; empty = any. Write keys only. */
  allowedOrigins: Schema.Array(Schema.String),
  createdAtMs: Schema.Finite,
  /** First instant at which it is no longer taken; null = never. */
  expiresAtMs: Schema.NullOr(Schema.Finite)
})

const Revoked = Schema.Struct({ keyId: Schema.String, tenantId: Schema.String, revokedAtMs: Schema.Finite })

const Operates = Schema.Struct({ keyId: Schema.String, tenantId: Schema.String, sinceMs: Schema.Finite })

export type KeyRole = typeof Created.Type.role

export type KeyEvent =
  | { readonly type: typeof KEY_CREATED; readonly data: typeof Created.Type }
  | { readonly type: typeof KEY_REVOKED; readonly data: typeof Revoked.Type }
  | { readonly type: typeof KEY_OPERATES; readonly data: typeof Operates.Type }

const decodeCreated = Schema.decodeUnknownOption(Created)
const decodeRevoked = Schema.decodeUnknownOption(Revoked)
const decodeOperates = Schema.decodeUnknownOption(Operates)

/** The event, "other" for another type, "corrupt" for content that cannot be read. */
export const readKeyEvent = (type: string, data: unknown): KeyEvent | "other" | "corrupt" => {
  const onNone = () => "corrupt" as const
  if (type === KEY_CREATED) return Option.match(decodeCreated(data), { onNone, onSome: (read) => ({ type, data: read }) })
  if (type === KEY_REVOKED) return Option.match(decodeRevoked(data), { onNone, onSome: (read) => ({ type, data: read }) })
  if (type === KEY_OPERATES) return Option.match(decodeOperates(data), { onNone, onSome: (read) => ({ type, data: read }) })
  return "other"
}
