/** The rejected log: what ingest refused, and sending it again with an admin key. */
import type { RedriveDecision } from "@tidemark/commands/rejected/redriveRejected"
import { rejectedEvents } from "@tidemark/queries/rejectedEvents"
import { GraphQLError } from "graphql"
import { Arg, Ctx, FieldResolver, ID, Int, Mutation, Query, Resolver, Root } from "type-graphql"
import type { ApiContext } from "../context.ts"
import { ask } from "../context.ts"
import { RedriveRecord, Redrives, RejectedEvent, RejectedEventConnection } from "../schema/log.ts"
import type { Redrive } from "../schema/log.ts"
import { RedriveVerdict } from "../schema/scalars.ts"
import { paging } from "./LogResolver.ts"
import { connection } from "./shapes.ts"

const VERDICTS: Readonly<Record<RedriveDecision["verdict"], RedriveVerdict>> = {
  append: RedriveVerdict.APPEND, duplicate: RedriveVerdict.DUPLICATE, done: RedriveVerdict.DONE, rejected: RedriveVerdict.REJECTED,
  failed: RedriveVerdict.FAILED, unsettled: RedriveVerdict.UNSETTLED, unknown: RedriveVerdict.UNKNOWN
}

const redriveShape = ({ entryId, verdict, eventId, place, refusal }: RedriveDecision): Redrive => ({ id: entryId, verdict: VERDICTS[verdict], eventId, place, refusal })

@Resolver(() => RejectedEvent)
export class RejectedResolver {
  @Query(() => RejectedEventConnection, { description: "Events that ingest refused, newest first." })
  async rejectedEvents(
    @Ctx() context: ApiContext,
    @Arg("first", () => Int, { nullable: true }) first?: number | null,
    @Arg("after", () => String, { nullable: true }) after?: string | null,
    @Arg("eventId", () => ID, { nullable: true, description: "Only those that were sent with this id; a page may then be short of first and still have a next one." }) eventId?: string | null
  ): Promise<RejectedEventConnection> {
    const input = { ...paging(first, after), ...(typeof eventId === "string" ? { eventId } : {}) }
    const page = await ask(context, "rejectedEvents", rejectedEvents(input, context.tenantId))
    return connection(page, ({ entryId, receivedAtMs, eventId: id, eventType, code, pointer, detail, origin, body }) => ({
      id: entryId, receivedAt: receivedAtMs, eventId: id, type: eventType, code, pointer, detail, origin, body
    }))
  }

  @FieldResolver(() => RedriveRecord, { nullable: true, description: "When it was sent again, by whom and why; null when it never was." })
  async redrive(@Root() { id }: RejectedEvent, @Ctx() context: ApiContext): Promise<RedriveRecord | null> {
    const { redrives } = context
    const found = redrives === undefined ? null : await ask(context, "redrive", redrives.redriven(context.tenantId, id))
    return found === null ? null : { at: found.atMs, eventId: found.eventId, wasThere: found.outcome === "duplicate", place: found.place, actor: found.actor, reason: found.reason }
  }

  @Mutation(() => Redrives, {
    description: "Sends refused events again, at most 100, named by the ids of their entries: each is checked as events are checked now, and appended under the id it was sent with, so that a second time adds nothing. With dryRun nothing is appended: the answer says what would become of them."
  })
  async redriveRejected(
    @Ctx() context: ApiContext,
    @Arg("ids", () => [ID]) ids: string[],
    @Arg("reason", () => String) reason: string,
    @Arg("body", () => String, { nullable: true, description: "The event as it should have been, JSON; for one entry. Its id stays the one it was sent with." }) body?: string | null,
    @Arg("dryRun", () => Boolean, { nullable: true, defaultValue: false }) dryRun?: boolean | null
  ): Promise<Redrives> {
    if (context.kind !== "admin") throw new GraphQLError("This needs an admin key.", { extensions: { code: "FORBIDDEN" } })
    const { redrives, tenantId, actor } = context
    if (redrives === undefined) throw new GraphQLError("This process takes no events. Ask one that does.", { extensions: { code: "UNAVAILABLE" } })
    const command = { tenantId, entryIds: ids, dryRun: dryRun === true, ...(typeof body === "string" ? { body } : {}) }
    const entries = (await ask(context, "redriveRejected", redrives.redrive(command, { actor, reason }))).map(redriveShape)
    return { appended: command.dryRun ? 0 : entries.filter(({ verdict }) => verdict === RedriveVerdict.APPEND).length, entries }
  }
}
