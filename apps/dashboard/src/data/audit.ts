/** The background audit. */
import { queryOptions } from "@tanstack/react-query"
import { ask } from "./graphql.ts"
import type { Audit } from "../model/audit.ts"
import type { Api } from "./graphql.ts"

const AUDIT = "query Audit { audit { startedAt windows differing skipped { reason windows } lastAt lastDifferenceAt lastDifference } }"

const REFRESH_MS = 5_000

/** What it has found; null where the server that answers runs none. */
export const auditOptions = (api: Api) =>
  queryOptions({
    queryKey: ["audit", api.tenant] as const,
    queryFn: async ({ signal }): Promise<Audit | null> => (await ask<{ readonly audit: Audit | null }>(api, AUDIT, {}, signal)).audit,
    refetchInterval: REFRESH_MS
  })
