/** Held events: counted by hand with an admin key. */
import type { LateChange as Change, LateDecision } from "@tidemark/commands/late/applyLate"
import { openModel } from "@tidemark/queries/openModel"
import { labelled } from "@tidemark/queries/dimensions"
import * as Effect from "effect/Effect"
import { GraphQLError } from "graphql"
import { Arg, Ctx, Mutation, Resolver } from "type-graphql"
import type { ApiContext } from "../context.ts"
import { ask } from "../context.ts"
import { PartitionOffsetInput } from "../schema/common.ts"
import { LateApplication } from "../schema/late.ts"
import type { LateChange, LateRelease } from "../schema/late.ts"
import { LateVerdict } from "../schema/scalars.ts"
import { readPosition } from "./shapes.ts"

const VERDICTS = { apply: LateVerdict.APPLY, applied: LateVerdict.APPLIED, expired: LateVerdict.EXPIRED, unknown: LateVerdict.UNKNOWN } as const

/** Dimensions of the projections that change, by name. */
const dimensionsOf = (decisions: readonly LateDecision[], tenantId: string) =>
  Effect.gen(function* () {
    const names = new Set(decisions.flatMap(({ changes }) => changes.map(({ projection }) => projection)))
    const found = new Map<string, readonly string[]>()
    for (const name of names) found.set(name, yield* Effect.scoped(Effect.map(openModel(name, tenantId), ({ dimensions }) => dimensions)))
    return found
  })

const changeShape = (dimensions: ReadonlyMap<string, readonly string[]>, { projection, generation, entry }: Change): LateChange => ({
  projection, generation, windowStart: entry.windowStartMs, key: [...labelled(dimensions.get(projection) ?? [], entry.key)],
  contribution: Object.entries(entry.contribution).map(([name, text]) => ({ name, text }))
})

@Resolver()
export class LateResolver {
  @Mutation(() => LateApplication, {
    description: "Counts held events, named by their places, at most 100: a record appended to the log releases each in every projection that holds it, once, and survives every rebuild. With dryRun nothing is appended: the answer says what would change."
  })
  async applyLateEvents(
    @Ctx() context: ApiContext,
    @Arg("projection", () => String) projection: string,
    @Arg("events", () => [PartitionOffsetInput]) events: PartitionOffsetInput[],
    @Arg("reason", () => String) reason: string,
    @Arg("dryRun", () => Boolean, { nullable: true, defaultValue: false }) dryRun?: boolean | null
  ): Promise<LateApplication> {
    if (context.kind !== "admin") throw new GraphQLError("This needs an admin key.", { extensions: { code: "FORBIDDEN" } })
    const places = readPosition(events).map(({ partition, nextOffset }) => ({ partition, offset: nextOffset }))
    const command = { tenantId: context.tenantId, projection, places, dryRun: dryRun === true }
    const decisions = await ask(context, "applyLateEvents", context.late.apply(command, { actor: context.actor, reason }))
    const dimensions = await ask(context, "applyLateEvents", dimensionsOf(decisions, context.tenantId))
    const released = decisions.map(({ place, verdict, entry, changes, release }): LateRelease => ({
      partition: place.partition, offset: place.offset.toString(), eventId: entry?.eventId ?? null, verdict: VERDICTS[verdict],
      releasedAt: release?.offset.toString() ?? null, changes: changes.map((change) => changeShape(dimensions, change))
    }))
    return { applied: released.filter(({ releasedAt }) => releasedAt !== null).length, events: released }
  }
}
