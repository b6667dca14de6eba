/** Questions to read models. */
import { RESOLUTIONS } from "@tidemark/domain/time/window"
import { facetsOf } from "@tidemark/queries/facets"
import { freshness } from "@tidemark/queries/freshness"
import { pageSize, PAGE_DEFAULT } from "@tidemark/queries/limits"
import { readPositionCursor } from "@tidemark/queries/cursor"
import { projections } from "@tidemark/queries/projections"
import { seriesOf } from "@tidemark/queries/series"
import { topOf } from "@tidemark/queries/top"
import { windowOf } from "@tidemark/queries/window"
import { why } from "@tidemark/replay/lineage"
import * as Effect from "effect/Effect"
import { Arg, Ctx, FieldResolver, Int, Query, Resolver, Root } from "type-graphql"
import type { ApiContext } from "../context.ts"
import { ask } from "../context.ts"
import { readAsOf, readModel, readModelOnce } from "../past.ts"
import { AsOfInput, DimensionFilter, DimensionValue } from "../schema/common.ts"
import type { PartitionOffset } from "../schema/common.ts"
import { WindowLineage } from "../schema/log.ts"
import { Facets, PartitionFreshness, Projection, Series, Top, Window } from "../schema/models.ts"
import { DateTime, Resolution } from "../schema/scalars.ts"
import { hashSeed } from "./hashSeed.ts"
import { freshnessShape, placedEvents, projectionShape, provenance, seriesGroups, stateOf } from "./shapes.ts"

/** Arguments of `series` in the question's shape. */
export const seriesInput = (
  projection: string, measures: readonly string[], range: { readonly from: number; readonly to: number }, resolution: Resolution,
  more: { readonly where?: readonly DimensionFilter[] | null | undefined; readonly breakdownBy?: string | null | undefined; readonly first?: number | null | undefined; readonly fill?: boolean | null | undefined }
) => ({
  projection,
  measures,
  fromMs: range.from,
  toMs: range.to,
  resolution,
  ...(more.where ? { where: more.where } : {}),
  ...(typeof more.breakdownBy === "string" ? { breakdownBy: more.breakdownBy } : {}),
  ...(typeof more.first === "number" ? { first: more.first } : {}),
  fill: more.fill === true
})

const positionOf = (position: readonly PartitionOffset[]): ReadonlyMap<number, bigint> => new Map(position.map(({ partition, offset }) => [partition, BigInt(offset)]))

@Resolver(() => Window)
export class ModelResolver {
  @Query(() => [Projection])
  async projections(@Ctx() context: ApiContext): Promise<Projection[]> {
    return (await ask(context, "projections", projections({}, context.tenantId))).map(projectionShape)
  }

  @Query(() => Projection, { nullable: true })
  async projection(@Ctx() context: ApiContext, @Arg("name", () => String) name: string): Promise<Projection | null> {
    const found = (await ask(context, "projection", projections({}, context.tenantId))).find(({ projection }) => projection === name)
    return found === undefined ? null : projectionShape(found)
  }

  @Query(() => Series, { description: "Windows of one projection over time, filtered or broken down by its dimensions." })
  async series(
    @Ctx() context: ApiContext,
    @Arg("projection", () => String) projection: string,
    @Arg("measures", () => [String]) measures: string[],
    @Arg("from", () => DateTime) from: number,
    @Arg("to", () => DateTime) to: number,
    @Arg("resolution", () => Resolution) resolution: Resolution,
    @Arg("where", () => [DimensionFilter], { nullable: true }) where?: DimensionFilter[] | null,
    @Arg("breakdownBy", () => String, { nullable: true }) breakdownBy?: string | null,
    @Arg("first", () => Int, { nullable: true }) first?: number | null,
    @Arg("fill", () => Boolean, { nullable: true, defaultValue: false }) fill?: boolean | null,
    @Arg("asOf", () => AsOfInput, { nullable: true }) asOf?: AsOfInput | null
  ): Promise<Series> {
    const input = seriesInput(projection, measures, { from, to }, resolution, { where, breakdownBy, first, fill })
    const answer = await ask(context, "series", readModelOnce(context, "series", input, readAsOf(asOf), (model) => seriesOf(model, input)))
    return { ...provenance(answer), groups: seriesGroups(answer.groups), truncated: answer.truncated }
  }

  @Query(() => Top, { description: "The keys with the largest value of a measure." })
  async top(
    @Ctx() context: ApiContext,
    @Arg("projection", () => String) projection: string,
    @Arg("measure", () => String) measure: string,
    @Arg("by", () => String) by: string,
    @Arg("from", () => DateTime) from: number,
    @Arg("to", () => DateTime) to: number,
    @Arg("where", () => [DimensionFilter], { nullable: true }) where?: DimensionFilter[] | null,
    @Arg("first", () => Int, { nullable: true, defaultValue: 10 }) first?: number | null,
    @Arg("asOf", () => AsOfInput, { nullable: true }) asOf?: AsOfInput | null
  ): Promise<Top> {
    const more = { ...(where ? { where } : {}), ...(typeof first === "number" ? { first } : {}) }
    const input = { projection, measure, by, fromMs: from, toMs: to, ...more }
    const answer = await ask(context, "top", readModelOnce(context, "top", input, readAsOf(asOf), (model) => topOf(model, input)))
    return { ...provenance(answer), rows: answer.rows.map((row) => ({ ...row, events: row.events.toString() })), truncated: answer.truncated }
  }

  @Query(() => Facets, { description: "The values of a dimension with the events behind each, to set a filter by." })
  async facets(
    @Ctx() context: ApiContext,
    @Arg("projection", () => String) projection: string,
    @Arg("by", () => String) by: string,
    @Arg("from", () => DateTime) from: number,
    @Arg("to", () => DateTime) to: number,
    @Arg("where", () => [DimensionFilter], { nullable: true, description: "Filters on the dimension itself are left aside: one that is set must not hide what else it could be set to." }) where?: DimensionFilter[] | null,
    @Arg("text", () => String, { nullable: true, description: "Only values that hold it, whatever the case of the letters A to Z." }) text?: string | null,
    @Arg("first", () => Int, { nullable: true, defaultValue: 10 }) first?: number | null,
    @Arg("asOf", () => AsOfInput, { nullable: true }) asOf?: AsOfInput | null
  ): Promise<Facets> {
    const more = { ...(where ? { where } : {}), ...(typeof text === "string" ? { text } : {}), ...(typeof first === "number" ? { first } : {}) }
    const input = { projection, by, fromMs: from, toMs: to, ...more }
    const answer = await ask(context, "facets", readModelOnce(context, "facets", input, readAsOf(asOf), (model) => facetsOf(model, input)))
    return { ...provenance(answer), values: answer.values.map(({ value, events }) => ({ value, events: events.toString() })), truncated: answer.truncated, exact: answer.exact }
  }

  @Query(() => Window, { nullable: true })
  async window(
    @Ctx() context: ApiContext,
    @Arg("projection", () => String) projection: string,
    @Arg("key", () => [DimensionValue]) key: DimensionValue[],
    @Arg("start", () => DateTime) start: number,
    @Arg("resolution", () => Resolution) resolution: Resolution,
    @Arg("asOf", () => AsOfInput, { nullable: true }) asOf?: AsOfInput | null
  ): Promise<Window | null> {
    const input = { projection, key, startMs: start, resolution }
    const answer = await ask(context, "window", readModel(projection, context.tenantId, readAsOf(asOf), (model) => windowOf(model, input)))
    if (answer === null) return null
    return {
      ...provenance(answer),
      key: [...answer.key],
      start: answer.startMs,
      end: answer.endMs,
      resolution,
      measures: [...answer.measures],
      state: stateOf(answer.state),
      revision: answer.revision.toString(),
      corrections: answer.corrections.toString(),
      events: answer.events.toString(),
      fingerprint: answer.fingerprint.toString(16).padStart(16, "0"),
      isPast: asOf !== null && asOf !== undefined
    }
  }

  @FieldResolver(() => WindowLineage, { description: "The events behind the number, verified." })
  async why(
    @Root() root: Window,
    @Ctx() context: ApiContext,
    @Arg("first", () => Int, { nullable: true }) first?: number | null,
    @Arg("after", () => String, { nullable: true }) after?: string | null
  ): Promise<WindowLineage> {
    const question = Effect.gen(function* () {
      const limit = yield* pageSize(first ?? undefined, PAGE_DEFAULT)
      const place = typeof after === "string" ? (yield* readPositionCursor(after))[0] : undefined
      return yield* why({
        projection: root.projection,
        generation: root.generation,
        tenantId: context.tenantId,
        key: root.key.map(({ value }) => value),
        resolution: RESOLUTIONS.find(({ name }) => name === root.resolution)?.code ?? 0,
        startMs: root.start,
        seed: yield* hashSeed,
        limit,
        ...(root.isPast === true ? { past: { position: positionOf(root.position), events: BigInt(root.events), fingerprint: BigInt(`0x${root.fingerprint}`) } } : {}),
        ...(place === undefined ? {} : { after: { partition: place.partition, offset: place.nextOffset } })
      })
    })
    const lineage = await ask(context, "why", question)
    return {
      expectedEvents: lineage.expectedEvents.toString(),
      foundEvents: lineage.foundEvents.toString(),
      fingerprintMatches: lineage.fingerprintMatches,
      events: placedEvents(lineage.events, lineage.hasNextPage)
    }
  }

  @Query(() => [PartitionFreshness])
  async freshness(@Ctx() context: ApiContext): Promise<PartitionFreshness[]> {
    const answer = await ask(context, "freshness", freshness({}, context.tenantId))
    return answer.map(freshnessShape)
  }
}
