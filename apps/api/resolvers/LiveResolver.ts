/** Live answers. */
import { eventTail } from "@tidemark/queries/eventTail"
import { freshnessChanged } from "@tidemark/queries/freshnessChanged"
import { seriesChanged } from "@tidemark/queries/live"
import { Arg, Int, Resolver, Root, Subscription } from "type-graphql"
import type { ApiContext } from "../context.ts"
import { follow } from "../context.ts"
import { DimensionFilter, EventFilter, PartitionOffsetInput } from "../schema/common.ts"
import { LoggedEvent } from "../schema/log.ts"
import { PartitionFreshness, SeriesChange } from "../schema/models.ts"
import { DateTime, Resolution, SeriesChangeKind } from "../schema/scalars.ts"
import { seriesInput } from "./ModelResolver.ts"
import { eventShape, freshnessShape, provenance, readPosition, searchFilter, seriesGroups } from "./shapes.ts"

interface SeriesArguments {
  readonly projection: string
  readonly measures: readonly string[]
  readonly from: number
  readonly to: number
  readonly resolution: Resolution
  readonly where?: readonly DimensionFilter[] | null
  readonly breakdownBy?: string | null
  readonly first?: number | null
  readonly fill?: boolean | null
  readonly since?: readonly PartitionOffsetInput[] | null
}

const followSeries = (args: SeriesArguments, context: ApiContext): AsyncIterable<SeriesChange> => {
  const input = { ...seriesInput(args.projection, args.measures, args, args.resolution, args), ...(args.since ? { since: readPosition(args.since) } : {}) }
  return follow(context, "seriesChanged", seriesChanged(input, context.tenantId), (change) => ({
    ...provenance(change),
    kind: SeriesChangeKind[change.kind],
    groups: seriesGroups(change.groups)
  }))
}

const followEvents = (filter: EventFilter | null | undefined, context: ApiContext): AsyncIterable<LoggedEvent> =>
  follow(context, "eventTail", eventTail(filter ? searchFilter(filter) : undefined, context.tenantId), eventShape)

const followFreshness = (context: ApiContext): AsyncIterable<PartitionFreshness[]> =>
  follow(context, "freshnessChanged", freshnessChanged({}, context.tenantId), (answer) => answer.map(freshnessShape))

const SERIES_CHANGED =
  "First what changed since the position (or the whole series), then every change; at most 10 messages a second. " +
  "RESYNC replaces what the client holds, UPSERT adds to it; an UPSERT of another pointerVersion than the answer held cannot, so ask again. " +
  "Everything folded up to position has been told: continue from it after a disconnection. " +
  "Of a break-down the groups of the last RESYNC stay, however large others become: a new one joins while there are fewer than first. " +
  "A RESYNC ranks them anew; it comes when hints were lost, when another generation is served, and to a new subscription. " +
  "Where groups are left out it also comes instead of the continuation of a position. " +
  "A break-down that grows beyond 10,000 points ends with LIMIT_EXCEEDED, as the query would."

@Resolver()
export class LiveResolver {
  @Subscription(() => SeriesChange, {
    description: SERIES_CHANGED,
    subscribe: ({ args, context }) => followSeries(args as SeriesArguments, context as ApiContext)
  })
  seriesChanged(
    @Root() change: SeriesChange,
    @Arg("projection", () => String) _projection: string,
    @Arg("measures", () => [String]) _measures: string[],
    @Arg("from", () => DateTime) _from: number,
    @Arg("to", () => DateTime) _to: number,
    @Arg("resolution", () => Resolution) _resolution: Resolution,
    @Arg("where", () => [DimensionFilter], { nullable: true }) _where?: DimensionFilter[] | null,
    @Arg("breakdownBy", () => String, { nullable: true }) _breakdownBy?: string | null,
    @Arg("first", () => Int, { nullable: true }) _first?: number | null,
    @Arg("fill", () => Boolean, { nullable: true, defaultValue: false }) _fill?: boolean | null,
    @Arg("since", () => [PartitionOffsetInput], { nullable: true }) _since?: PartitionOffsetInput[] | null
  ): SeriesChange {
    return change
  }

  @Subscription(() => LoggedEvent, {
    description: "Events as they are stored, from now on, none left out; a client that reads too slowly is closed with 1013.",
    subscribe: ({ args, context }) => followEvents((args as { readonly filter?: EventFilter | null }).filter, context as ApiContext)
  })
  eventTail(@Root() event: LoggedEvent, @Arg("filter", () => EventFilter, { nullable: true }) _filter?: EventFilter | null): LoggedEvent {
    return event
  }

  @Subscription(() => [PartitionFreshness], {
    description: "How far every projection is: first as it stands, then whenever a checkpoint moved; at most 2 messages a second.",
    subscribe: ({ context }) => followFreshness(context as ApiContext)
  })
  freshnessChanged(@Root() answer: PartitionFreshness[]): PartitionFreshness[] {
    return answer
  }
}
