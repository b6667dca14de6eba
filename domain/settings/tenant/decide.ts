/** Decisions about a tenant. Pure: the same state and command give the same events. */
import * as Schema from "effect/Schema"
import { InvalidSettingError, isTenantId } from "../streams.ts"
import { TENANT_CREATED } from "./events.ts"
import type { TenantEvent } from "./events.ts"
import type { Tenant } from "./evolve.ts"

/** Characters a tenant's name may have. */
const NAME_LENGTH_MAX = 128

export interface CreateTenant {
  readonly tenantId: string
  /** For people. */
  readonly name: string
  /** Refuse event types without a schema. */
  readonly strict: boolean
}

/** Choose another id, or use the tenant that is there. */
export class TenantExistsError extends Schema.TaggedError<TenantExistsError>()("TenantExistsError", { tenantId: Schema.String }) {}

/** Create the tenant first. */
export class TenantMissingError extends Schema.TaggedError<TenantMissingError>()("TenantMissingError", { tenantId: Schema.String }) {}

/** What is wrong with the command by itself, if anything. */
export const validateCreateTenant = ({ tenantId, name }: CreateTenant): InvalidSettingError | undefined => {
  if (!isTenantId(tenantId)) return new InvalidSettingError({ pointer: "/tenantId", detail: "expected 1 to 64 lower-case letters, digits and inner hyphens" })
  if (name.trim() === "" || name.length > NAME_LENGTH_MAX) return new InvalidSettingError({ pointer: "/name", detail: `expected 1 to ${NAME_LENGTH_MAX} characters` })
  return undefined
}

/** A tenant is created once. */
export const decideCreateTenant = (tenant: Tenant | undefined, { tenantId, name, strict }: CreateTenant): readonly TenantEvent[] | TenantExistsError =>
  tenant === undefined ? [{ type: TENANT_CREATED, data: { tenantId, name, strict } }] : new TenantExistsError({ tenantId })
