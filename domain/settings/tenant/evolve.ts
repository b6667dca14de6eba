/** A tenant as its events left it. */
import type { TenantEvent } from "./events.ts"

export interface Tenant {
  readonly tenantId: string
  readonly name: string
  readonly strict: boolean
}

/** The tenant after `event`; undefined before the first. */
export const evolveTenant = (_tenant: Tenant | undefined, { data }: TenantEvent): Tenant => data
