/** What the background audit has found. */
import { Ctx, Query, Resolver } from "type-graphql"
import type { ApiContext } from "../context.ts"
import { Audit } from "../schema/audit.ts"

@Resolver()
export class AuditResolver {
  @Query(() => Audit, { nullable: true, description: "Null where this process runs no audit: one that folds does." })
  audit(@Ctx() { audit, operates }: ApiContext): Audit | null {
    if (audit === undefined) return null
    const { startedAtMs, windows, differing, skipped, lastAtMs, difference } = audit()
    const reasons = Object.entries(skipped).flatMap(([reason, count]) => (count === 0 ? [] : [{ reason, windows: count }]))
    // It names a tenant's window.
    return { startedAt: startedAtMs, windows, differing, skipped: reasons, lastAt: lastAtMs, lastDifferenceAt: difference?.atMs ?? null, lastDifference: operates ? (difference?.text ?? null) : null }
  }
}
