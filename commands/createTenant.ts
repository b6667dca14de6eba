/** Creates a tenant. */
import * as Effect from "effect/Effect"
import { decideCreateTenant, validateCreateTenant } from "@tidemark/domain/settings/tenant/decide"
import type { CreateTenant } from "@tidemark/domain/settings/tenant/decide"
import { readTenantEvent } from "@tidemark/domain/settings/tenant/events"
import type { TenantEvent } from "@tidemark/domain/settings/tenant/events"
import { evolveTenant } from "@tidemark/domain/settings/tenant/evolve"
import type { Tenant } from "@tidemark/domain/settings/tenant/evolve"
import { tenantStream } from "@tidemark/domain/settings/streams"
import { decideAndAppend } from "./settings/decideAndAppend.ts"
import type { Act, Aggregate } from "./settings/decideAndAppend.ts"

/** How a tenant's stream is read. */
export const tenantAggregate = (tenantId: string): Aggregate<Tenant, TenantEvent> => ({ stream: tenantStream(tenantId), read: readTenantEvent, evolve: evolveTenant })

/** Fails with InvalidSettingError or TenantExistsError, and then nothing was stored. */
export const createTenant = Effect.fn(function* (command: CreateTenant, act: Act) {
  const invalid = validateCreateTenant(command)
  if (invalid !== undefined) return yield* invalid
  return yield* decideAndAppend(tenantAggregate(command.tenantId), act, (tenant) => decideCreateTenant(tenant, command))
})
