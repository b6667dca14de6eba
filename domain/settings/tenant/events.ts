/** What can happen to a tenant. */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

export const TENANT_CREATED = "tenant.created"

export interface TenantCreated {
  readonly type: typeof TENANT_CREATED
  readonly data: {
    readonly tenantId: string
    readonly name: string
    /** Ingest refuses event types without a schema. */
    readonly strict: boolean
  }
}

export type TenantEvent = TenantCreated

const decodeCreated = Schema.decodeUnknownOption(Schema.Struct({ tenantId: Schema.String, name: Schema.String, strict: Schema.Boolean }))

/** The event, "other" for another type, "corrupt" for content that cannot be read. */
export const readTenantEvent = (type: string, data: unknown): TenantEvent | "other" | "corrupt" =>
  type === TENANT_CREATED ? Option.match(decodeCreated(data), { onNone: () => "corrupt" as const, onSome: (read) => ({ type, data: read }) }) : "other"
