import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { eventCounts } from "./event-counts/projection.ts"
import { pageViews } from "./page-views/projection.ts"
import { requests } from "./requests/projection.ts"
import { revenue } from "./revenue/projection.ts"
import { trafficSources } from "./traffic-sources/projection.ts"

/** The projections that ship as data. */
export const projections: readonly ProjectionDefinition[] = [pageViews, eventCounts, requests, revenue, trafficSources]
