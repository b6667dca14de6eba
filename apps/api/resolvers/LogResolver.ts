/** Questions to the log and its ledgers. */
import { event } from "@tidemark/queries/event"
import { events } from "@tidemark/queries/events"
import { lateEvents } from "@tidemark/queries/lateEvents"
import * as Effect from "effect/Effect"
import { Arg, Ctx, ID, Int, Query, Resolver } from "type-graphql"
import type { ApiContext } from "../context.ts"
import { ask } from "../context.ts"
import { EventFilter, PartitionOffsetInput } from "../schema/common.ts"
import { EventConnection, EventJourney, LateEventConnection } from "../schema/log.ts"
import { LateOutcome, LateReason } from "../schema/scalars.ts"
import { journeyShape } from "./journeyShape.ts"
import { hashSeed } from "./hashSeed.ts"
import { connection, eventShape, readPosition, searchFilter } from "./shapes.ts"

export const paging = (first: number | null | undefined, after: string | null | undefined) => ({
  ...(typeof first === "number" ? { first } : {}),
  ...(typeof after === "string" ? { after } : {})
})

@Resolver()
export class LogResolver {
  @Query(() => EventConnection, { description: "Events of the log, newest first." })
  async events(
    @Ctx() context: ApiContext,
    @Arg("filter", () => EventFilter, { nullable: true }) filter?: EventFilter | null,
    @Arg("first", () => Int, { nullable: true }) first?: number | null,
    @Arg("after", () => String, { nullable: true }) after?: string | null
  ): Promise<EventConnection> {
    const input = { ...(filter ? { filter: searchFilter(filter) } : {}), ...paging(first, after) }
    return connection(await ask(context, "events", events(input, context.tenantId)), eventShape)
  }

  @Query(() => EventJourney, { nullable: true, description: "One event and what every projection made of it: of several events with the id, the newest that counts. Searches at most the newest million records. With its place, as ingest answers it, nothing is searched and repetitions are not listed." })
  async event(
    @Ctx() context: ApiContext,
    @Arg("id", () => ID) id: string,
    @Arg("at", () => PartitionOffsetInput, { nullable: true }) at?: PartitionOffsetInput | null
  ): Promise<EventJourney | null> {
    const [place] = at ? readPosition([at]) : []
    const input = { id, ...(place === undefined ? {} : { at: { partition: place.partition, offset: place.nextOffset } }) }
    const journey = await ask(context, "event", Effect.flatMap(hashSeed, (seed) => event({ ...input, seed }, context.tenantId)))
    return journey === null ? null : journeyShape(journey)
  }

  @Query(() => LateEventConnection)
  async lateEvents(
    @Ctx() context: ApiContext,
    @Arg("projection", () => String) projection: string,
    @Arg("first", () => Int, { nullable: true }) first?: number | null,
    @Arg("after", () => String, { nullable: true }) after?: string | null,
    @Arg("outcome", () => LateOutcome, { nullable: true, description: "Only these; a page may then be short of first and still have a next one." }) outcome?: LateOutcome | null
  ): Promise<LateEventConnection> {
    const input = { projection, ...paging(first, after), ...(outcome ? { outcome } : {}) }
    const page = await ask(context, "lateEvents", lateEvents(input, context.tenantId))
    return connection(page, ({ entry, generation, key, reason, wasHeld, canApply }) => ({
      eventId: entry.eventId,
      type: entry.eventType,
      time: entry.eventTimeMs,
      windowStart: entry.windowStartMs,
      key: [...key],
      lateByMs: entry.lateByMs,
      outcome: entry.outcome === "held" ? LateOutcome.HELD : LateOutcome.APPLIED,
      reason: LateReason[reason],
      wasHeld,
      canApply,
      contribution: Object.entries(entry.contribution).map(([name, text]) => ({ name, text })),
      generation,
      partition: entry.partition,
      offset: entry.offset.toString()
    }))
  }
}
