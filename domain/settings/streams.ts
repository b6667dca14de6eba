/** Names of settings streams: `<tenant>-<aggregate>-<id>`, built here only. Rules: docs/security.md §3. */
import * as Schema from "effect/Schema"

const TENANT_ID = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/

/** 1 to 64 lower-case letters, digits and inner hyphens. */
export const isTenantId = (text: string): boolean => TENANT_ID.test(text)

/** Neither the aggregate's name nor the id may have a hyphen, so two tenants never share a name. */
const streamName = (tenantId: string, aggregate: string, id: string): string => `${tenantId}-${aggregate}-${id}`

/** The tenant's own stream. */
export const tenantStream = (tenantId: string): string => streamName(tenantId, "tenant", "self")

/** `keyId` is hexadecimal. */
export const keyStream = (tenantId: string, keyId: string): string => streamName(tenantId, "key", keyId)

/** Rebuilds of one projection, of all tenants; no tenant id has a tilde. */
export const rebuildStream = (projection: string): string => `rebuild~${projection}`

/** What a comparison of a rebuild found of one tenant's windows; `comparisonId` is a UUID. */
export const differenceStream = (comparisonId: string, tenantId: string): string => `differences~${comparisonId}~${tenantId}`

/** What became of one entry of the rejected log that was sent again; `entryId` is a UUID. */
export const redriveStream = (tenantId: string, entryId: string): string => `redrive~${tenantId}~${entryId}`

/** A field of a command is not as it must be. Send it again only when corrected. */
export class InvalidSettingError extends Schema.TaggedError<InvalidSettingError>()("InvalidSettingError", {
  /** JSON pointer into the command. */
  pointer: Schema.String,
  detail: Schema.String
}) {}

/** A stored settings event of a known type whose content cannot be read. */
export class SettingsCorruptError extends Schema.TaggedError<SettingsCorruptError>()("SettingsCorruptError", {
  stream: Schema.String,
  type: Schema.String
}) {}
