/** Rebuilds: questions for every key that reads, changes for the operator's. */
import type { DifferenceCounts, WindowDifference } from "@tidemark/domain/settings/rebuild/differences"
import { REBUILD_TOPIC } from "@tidemark/domain/settings/rebuild/topic"
import type { Rebuild as Stored } from "@tidemark/domain/settings/rebuild/evolve"
import { PAGE_DEFAULT, pageSize } from "@tidemark/queries/limits"
import { listen } from "@tidemark/queries/news"
import type { BuildProgress } from "@tidemark/replay/buildGeneration"
import type { DifferingWindow as Differing } from "@tidemark/replay/differingWindow"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { GraphQLError } from "graphql"
import { Arg, Ctx, FieldResolver, Float, ID, Int, Mutation, Query, Resolver, Root, Subscription } from "type-graphql"
import type { ApiContext } from "../context.ts"
import { ask, follow } from "../context.ts"
import type { RateFigures, RebuildDesk, Step } from "../rebuildDesk.ts"
import type { PartitionOffset } from "../schema/common.ts"
import { CountedBy, DifferenceCause, DifferenceConnection, DifferingWindow, NoEventCode, RateSource, Rebuild, RebuildPlan, RebuildProgress, RebuildStatus } from "../schema/rebuilds.ts"
import type { Difference, DifferenceCount, MeasureDifference } from "../schema/rebuilds.ts"
import { DateTime, Resolution } from "../schema/scalars.ts"
import { eventShape, offsetsOf } from "./shapes.ts"

/** Least time between two messages of one subscription. */
const MESSAGE_EVERY_MS = 250

const STATUSES = new Map(Object.values(RebuildStatus).map((status) => [status as string, status]))
const statusOf = (status: string): RebuildStatus => STATUSES.get(status) ?? RebuildStatus.FAILED
const RESOLUTIONS = [Resolution.MINUTE, Resolution.HOUR, Resolution.DAY] as const

const measuresShape = (measures: DifferenceCounts["measures"]): MeasureDifference[] => measures.map(({ measure, windows }) => ({ measure, windows: String(windows) }))

/** Texts that may name windows of other tenants are for the operator. */
const told = ({ operates }: ApiContext, texts: readonly string[]): string[] => (operates ? [...texts] : texts.map(() => "named to the operator's key"))

const RATES = { "last-rebuild": RateSource.LAST_REBUILD, sample: RateSource.SAMPLE } as const

const planShape = ({ events, bytes, seconds, rows, rowBytes, diskFreeBytes, rateFrom }: Stored["plan"]): RebuildPlan =>
  ({ events, bytes, seconds, rows: rows ?? null, rowBytes: rowBytes ?? null, diskFreeBytes: diskFreeBytes ?? null, rateFrom: rateFrom == null ? null : RATES[rateFrom] })

const positionShape = (position: NonNullable<Stored["parity"]>["position"]): PartitionOffset[] =>
  offsetsOf(position.map(({ partition, nextOffset }) => ({ partition, nextOffset: BigInt(nextOffset) })))

const shapeOf = (context: ApiContext, stored: Stored): Rebuild => {
  const { parity } = stored
  return {
    stored,
    id: stored.rebuildId,
    projection: stored.projection,
    status: statusOf(stored.status),
    generation: stored.generation,
    fromGeneration: stored.fromGeneration,
    reason: stored.reason,
    plan: planShape(stored.plan),
    parity: parity === null ? null : {
      compared: String(parity.compared), equal: String(parity.equal), differ: String(parity.differ), onlyOld: String(parity.onlyOld), onlyNew: String(parity.onlyNew),
      sameDefinition: parity.sameDefinition,
      sample: parity.sample === undefined || parity.sample === null ? null : { ...parity.sample, wholeRows: parity.sample.wholeRows?.toString() ?? null, differing: told(context, parity.sample.differing) },
      servedHalt: parity.servedHalt === undefined || parity.servedHalt === null ? null : {
        code: parity.servedHalt.code, detail: told(context, [parity.servedHalt.detail]).join(""), position: positionShape(parity.servedHalt.position)
      },
      measures: measuresShape(parity.measures ?? []), addedMeasures: [...(parity.addedMeasures ?? [])], removedMeasures: [...(parity.removedMeasures ?? [])],
      faults: told(context, parity.faults), tenants: context.operates ? (parity.tenants ?? []).map(({ tenantId, windows }) => ({ tenantId, windows: String(windows) })) : null, accepted: stored.accepted, position: positionShape(parity.position)
    },
    error: stored.error,
    eventsPerSecondMax: stored.eventsPerSecondMax,
    startedAt: stored.startedAtMs,
    finishedAt: stored.finishedAtMs,
    standbySeconds: (context.rebuilds?.standbyMs ?? 0) / 1_000,
    standbyUntil: context.rebuilds?.standbyUntilMs(stored) ?? null,
    history: stored.history.map(({ status, atMs, detail }) => ({ status: statusOf(status), at: atMs, detail }))
  }
}

const progressShape = ({ processed, total }: BuildProgress, rate: RateFigures | undefined): RebuildProgress => {
  const left = Number(total - processed)
  const etaAt = (perSecond: number | undefined): number | null => (perSecond === undefined || perSecond <= 0 ? null : left / perSecond)
  return {
    processed: processed.toString(), total: total.toString(), eventsPerSecond: rate?.perSecond ?? null,
    etaSeconds: etaAt(rate?.perSecond), etaSecondsMin: etaAt(rate?.quickest), etaSecondsMax: etaAt(rate?.slowest), eventsPerSecondUnslowed: rate?.unslowed ?? null, time: rate?.time ?? null
  }
}

const listed = (figures: Readonly<Record<string, string>>): string => Object.entries(figures).map(([name, text]) => `${name} ${text}`).join(", ")

/** The figures that are not the same on the other side. */
const figuresText = (own: WindowDifference["old"], other: WindowDifference["old"]): string | null =>
  own === null ? null : listed(Object.fromEntries(Object.entries(own).filter(([name, text]) => other?.[name] !== text)))

const differenceShape = ({ oldDimensions, newDimensions }: DifferenceCounts, { key, startMs, resolution, old, new: now, cause, firstDivergingEvent: first, noEvent }: WindowDifference): Difference => ({
  key: key.map((value, at) => ({ name: (old === null ? newDimensions : oldDimensions)[at] ?? "", value })),
  start: startMs,
  resolution: RESOLUTIONS[resolution],
  old: figuresText(old, now),
  new: figuresText(now, old),
  cause: DifferenceCause[cause],
  firstDivergingEvent: first === null ? null : { ...first, old: listed(first.old), new: listed(first.new) },
  noEvent: noEvent === null ? null : { code: NoEventCode[noEvent.code], detail: noEvent.detail }
})

/** Throws `UNAVAILABLE` where the process serves no rebuilds. */
export const deskOf = ({ rebuilds }: ApiContext): RebuildDesk => {
  if (rebuilds === undefined) throw new GraphQLError("Rebuilds are not served here.", { extensions: { code: "UNAVAILABLE" } })
  return rebuilds
}

const forOperator = () => new GraphQLError("This concerns all tenants and needs the operator's key.", { extensions: { code: "FORBIDDEN" } })

/** The tenant that is asked about: the key's own, or another one for the operator. */
const ownOr = (context: ApiContext, tenant: string | null | undefined): string => {
  const tenantId = tenant ?? context.tenantId
  if (tenantId !== context.tenantId && !context.operates) throw forOperator()
  return tenantId
}

/** The desk for a change, and whose it is: projections are of all tenants, so only the operator changes them. */
export const changing = (context: ApiContext): { readonly desk: RebuildDesk; readonly actor: string } => {
  if (!context.operates) throw forOperator()
  return { desk: deskOf(context), actor: context.actor }
}

const steer = async (context: ApiContext, step: Step, id: string): Promise<Rebuild> => {
  const { desk, actor } = changing(context)
  return shapeOf(context, await ask(context, `${step}Rebuild`, desk.steer(step, id, actor)))
}

const followRebuild = (context: ApiContext, id: string): AsyncIterable<Rebuild> => {
  const desk = deskOf(context)
  const changes = Effect.gen(function* () {
    let isTold = true
    const news = yield* listen([REBUILD_TOPIC], ({ notifications, overflowed }) => {
      isTold ||= overflowed || notifications.some(({ key }) => key === id)
      return MESSAGE_EVERY_MS
    })
    const next = Effect.gen(function* () {
      while (!isTold) yield* news.next
      isTold = false
      return yield* desk.one(id)
    })
    return Stream.fromEffectRepeat(next)
  })
  return follow(context, "rebuildProgress", Stream.unwrap(changes), (stored) => shapeOf(context, stored))
}

const COUNTED_BY = { both: CountedBy.BOTH, old: CountedBy.OLD, new: CountedBy.NEW } as const
const RESOLUTION_CODES = { [Resolution.MINUTE]: 0, [Resolution.HOUR]: 1, [Resolution.DAY]: 2 } as const

const differingShape = ({ old, new: now, counts, events, firstDivergingEvent: first, fault }: Differing): DifferingWindow => ({
  figures: [...new Set([...Object.keys(old ?? {}), ...Object.keys(now ?? {})])].map((name) => ({ name, old: old?.[name] ?? null, new: now?.[name] ?? null })),
  both: String(counts.both), onlyOld: String(counts.old), onlyNew: String(counts.new),
  events: events.map(({ event, countedBy }) => ({ event: eventShape(event), countedBy: COUNTED_BY[countedBy] })),
  firstDivergingEvent: first === null ? null : { ...first, old: listed(first.old), new: listed(first.new) }, fault
})

const countsShape = ({ compared, equal, differ, onlyOld, onlyNew, listed, measures }: DifferenceCounts): DifferenceCount => ({
  compared: String(compared), equal: String(equal), differ: String(differ), onlyOld: String(onlyOld), onlyNew: String(onlyNew), listed: String(listed), measures: measuresShape(measures)
})

@Resolver(() => Rebuild)
export class RebuildResolver {
  @Query(() => [Rebuild], { description: "Newest first." })
  async rebuilds(@Ctx() context: ApiContext, @Arg("projection", () => String, { nullable: true }) projection?: string | null): Promise<Rebuild[]> {
    return (await ask(context, "rebuilds", deskOf(context).all(projection ?? undefined))).map((stored) => shapeOf(context, stored))
  }

  @Query(() => Rebuild, { nullable: true })
  async rebuild(@Ctx() context: ApiContext, @Arg("id", () => ID) id: string): Promise<Rebuild | null> {
    const question = deskOf(context).one(id).pipe(Effect.map((stored) => shapeOf(context, stored)), Effect.catchTag("RebuildMissingError", () => Effect.succeed(null)))
    return ask(context, "rebuild", question)
  }

  @FieldResolver(() => RebuildProgress, { nullable: true, description: "While it is built; read from its checkpoints." })
  async progress(@Root() { stored }: Rebuild, @Ctx() context: ApiContext): Promise<RebuildProgress | null> {
    const desk = deskOf(context)
    const progress = await ask(context, "rebuild", desk.progress(stored))
    if (progress === undefined) return null
    return progressShape(progress, desk.rate(stored.rebuildId))
  }

  @FieldResolver(() => Float, { nullable: true, description: "Events a second that it may fold now; null: all it can, or not carried out by the process that answers." })
  eventsPerSecondAllowed(@Root() { stored }: Rebuild, @Ctx() context: ApiContext): number | null {
    return deskOf(context).throttle(stored.rebuildId)?.allowedPerSecond ?? null
  }

  @FieldResolver(() => String, { nullable: true, description: "Why it may fold no more: what of the live traffic it gives way to, a cap, or another rebuild." })
  throttle(@Root() { stored }: Rebuild, @Ctx() context: ApiContext): string | null {
    return deskOf(context).throttle(stored.rebuildId)?.reason ?? null
  }

  @FieldResolver(() => String, { nullable: true, description: "STANDBY_HALTED and why: what stands by of it has halted, so it is no way back or forth. Null while it goes on, or nothing stands by." })
  async standbyHalt(@Root() { stored }: Rebuild, @Ctx() context: ApiContext): Promise<string | null> {
    const halt = await ask(context, "rebuild", deskOf(context).standbyHalt(stored))
    return halt === undefined ? null : `STANDBY_HALTED ${halt.code}`
  }

  @FieldResolver(() => DifferenceConnection, { description: "Windows of the key's tenant that differ, as the last comparison stored them: of all tenants together at most 5,000, the shorter windows first." })
  async differences(
    @Root() { stored }: Rebuild,
    @Ctx() context: ApiContext,
    @Arg("first", () => Int, { nullable: true }) first?: number | null,
    @Arg("after", () => String, { nullable: true }) after?: string | null,
    @Arg("tenant", () => String, { nullable: true, description: "Another tenant's; for the operator's key." }) tenant?: string | null
  ): Promise<DifferenceConnection> {
    const tenantId = ownOr(context, tenant)
    const limit = await ask(context, "differences", pageSize(first ?? undefined, PAGE_DEFAULT))
    const page = await ask(context, "differences", deskOf(context).differences(stored, tenantId, limit, after ?? undefined))
    if (page === undefined) return { edges: [], pageInfo: { hasNextPage: false, endCursor: null }, counts: null }
    const edges = page.edges.map(({ cursor, node }) => ({ cursor, node: differenceShape(page.counts, node) }))
    return { edges, pageInfo: { hasNextPage: page.hasNextPage, endCursor: edges.at(-1)?.cursor ?? null }, counts: countsShape(page.counts) }
  }

  @FieldResolver(() => DifferingWindow, { description: "One window of the key's tenant in both generations, from its events: which of them each side counts and what it makes of them. Nothing stored is asked but the two generations, so both have to be there." })
  async differingWindow(
    @Root() { stored: { projection, fromGeneration, generation } }: Rebuild,
    @Ctx() context: ApiContext,
    @Arg("key", () => [String], { description: "Dimension texts as `differences` gives them." }) key: string[],
    @Arg("start", () => DateTime) startMs: number,
    @Arg("resolution", () => Resolution) resolution: Resolution,
    @Arg("first", () => Int, { nullable: true, description: "Events told, 50 when absent." }) first?: number | null,
    @Arg("tenant", () => String, { nullable: true, description: "Another tenant's; for the operator's key." }) tenant?: string | null
  ): Promise<DifferingWindow> {
    const tenantId = ownOr(context, tenant)
    const eventsMax = await ask(context, "differingWindow", pageSize(first ?? undefined, PAGE_DEFAULT))
    const window = { tenantId, resolution: RESOLUTION_CODES[resolution], startMs, key }
    return differingShape(await ask(context, "differingWindow", deskOf(context).differingWindow({ projection, oldGeneration: fromGeneration, newGeneration: generation, window, eventsMax })))
  }

  @Mutation(() => Rebuild, { description: "Builds the shipped definition beside the served generation. With dryRun nothing is written: the answer is the plan." })
  async startRebuild(
    @Ctx() context: ApiContext,
    @Arg("projection", () => String) projection: string,
    @Arg("reason", () => String) reason: string,
    @Arg("dryRun", () => Boolean, { nullable: true, defaultValue: false }) dryRun?: boolean | null,
    @Arg("eventsPerSecondMax", () => Int, { nullable: true, description: "No quicker than that; without it as quickly as live traffic leaves room." }) eventsPerSecondMax?: number | null
  ): Promise<Rebuild> {
    const { desk, actor } = changing(context)
    const input = { projection, reason, dryRun: dryRun === true, ...(eventsPerSecondMax == null ? {} : { eventsPerSecondMax }) }
    return shapeOf(context, await ask(context, "startRebuild", desk.start(input, actor)))
  }

  @Mutation(() => Rebuild, { description: "From now on no quicker than that; null takes the cap away. Live traffic comes first in any case." })
  async capRebuild(@Ctx() context: ApiContext, @Arg("id", () => ID) id: string, @Arg("eventsPerSecondMax", () => Int, { nullable: true }) eventsPerSecondMax?: number | null): Promise<Rebuild> {
    const { desk, actor } = changing(context)
    return shapeOf(context, await ask(context, "capRebuild", desk.cap(id, eventsPerSecondMax ?? null, actor)))
  }

  @Mutation(() => Rebuild)
  async pauseRebuild(@Ctx() context: ApiContext, @Arg("id", () => ID) id: string): Promise<Rebuild> {
    return steer(context, "pause", id)
  }

  @Mutation(() => Rebuild, { description: "Goes on where it was paused or has failed." })
  async resumeRebuild(@Ctx() context: ApiContext, @Arg("id", () => ID) id: string): Promise<Rebuild> {
    return steer(context, "resume", id)
  }

  @Mutation(() => Rebuild, { description: "Compares a ready rebuild again, as the numbers stand now; differences have to be accepted anew. It is VERIFYING until then." })
  async compareRebuild(@Ctx() context: ApiContext, @Arg("id", () => ID) id: string): Promise<Rebuild> {
    return steer(context, "compare", id)
  }

  @Mutation(() => Rebuild, { description: "At any moment before the cut-over; its generation is dropped." })
  async abortRebuild(@Ctx() context: ApiContext, @Arg("id", () => ID) id: string): Promise<Rebuild> {
    return steer(context, "abort", id)
  }

  @Mutation(() => Rebuild, { description: "Serves the rebuilt generation. Differences of another definition are accepted with a note." })
  async cutOver(@Ctx() context: ApiContext, @Arg("id", () => ID) id: string, @Arg("acceptDifferences", () => String, { nullable: true }) note?: string | null): Promise<Rebuild> {
    const { desk, actor } = changing(context)
    return shapeOf(context, await ask(context, "cutOver", desk.cutOver(id, note ?? undefined, actor)))
  }

  @Mutation(() => Rebuild, { description: "Serves again what the last cut-over replaced." })
  async rollBack(@Ctx() context: ApiContext, @Arg("projection", () => String) projection: string, @Arg("reason", () => String, { nullable: true, description: "Why, for the audit trail." }) reason?: string | null): Promise<Rebuild> {
    const { desk, actor } = changing(context)
    return shapeOf(context, await ask(context, "rollBack", desk.rollBack(projection, actor, reason ?? undefined)))
  }

  @Subscription(() => Rebuild, {
    description: "First as it stands, then whenever it moved on; at most 4 messages a second.",
    subscribe: ({ args, context }) => followRebuild(context as ApiContext, (args as { readonly id: string }).id)
  })
  rebuildProgress(@Root() rebuild: Rebuild, @Arg("id", () => ID) _id: string): Rebuild {
    return rebuild
  }
}
