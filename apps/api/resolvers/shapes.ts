/** Answers of the questions in the schema's shapes: offsets and counts as decimal text, absent as null. */
import type { EventFilter as SearchFilter } from "@tidemark/queries/events"
import type { LoggedEvent as Logged } from "@tidemark/queries/loggedEvent"
import { positionCursor } from "@tidemark/queries/cursor"
import type { Provenance as Origin } from "@tidemark/queries/openModel"
import type { PartitionFreshness as Freshness } from "@tidemark/queries/freshness"
import type { Page } from "@tidemark/queries/page"
import type { ProjectionStatus } from "@tidemark/queries/projections"
import type { SeriesGroup as Group } from "@tidemark/queries/series"
import type { PositionPart, WindowState as State } from "@tidemark/queries/windowState"
import type { LineageEvent } from "@tidemark/replay/windowProof"
import { GraphQLError } from "graphql"
import type { EventFilter, PartitionOffset, PartitionOffsetInput } from "../schema/common.ts"
import type { EventConnection, LoggedEvent } from "../schema/log.ts"
import type { PartitionFreshness, Projection, Provenance, SeriesGroup } from "../schema/models.ts"
import { ProjectionState, WindowState } from "../schema/scalars.ts"

export const offsetsOf = (position: readonly PositionPart[]): PartitionOffset[] =>
  position.map(({ partition, nextOffset }) => ({ partition, offset: nextOffset.toString() }))

/** Throws `BAD_ARGUMENT` when an offset is no decimal number. */
export const readPosition = (position: readonly PartitionOffsetInput[]): readonly PositionPart[] =>
  position.map(({ partition, offset }) => {
    if (!/^\d{1,19}$/.test(offset)) throw new GraphQLError("an offset is a decimal number", { extensions: { code: "BAD_ARGUMENT" } })
    return { partition, nextOffset: BigInt(offset) }
  })

export const provenance = (origin: Origin): Provenance => ({
  projection: origin.projection,
  generation: origin.generation,
  pointerVersion: origin.pointerVersion,
  watermark: origin.watermarkMs,
  position: offsetsOf(origin.position)
})

export const stateOf = (state: State): WindowState => WindowState[state]

export const seriesGroups = (groups: readonly Group[]): SeriesGroup[] =>
  groups.map(({ key, points }) => ({
    key: [...key],
    points: points.map(({ startMs, endMs, state, revision, corrections, events, measures }) => ({
      start: startMs,
      end: endMs,
      state: stateOf(state),
      revision: revision.toString(),
      corrections: corrections.toString(),
      events: events.toString(),
      measures: [...measures]
    }))
  }))

export const eventShape = ({ partition, offset, event }: Logged): LoggedEvent => ({
  id: event.id,
  type: event.type,
  time: event.timeMs,
  receivedAt: event.receivedAtMs,
  partition,
  offset: offset.toString(),
  userId: event.userId ?? null,
  anonymousId: event.anonymousId ?? null,
  sessionId: event.sessionId ?? null,
  source: event.source,
  schemaVersion: event.schemaVersion,
  backfill: event.backfill ?? null,
  data: event.data ?? {}
})

/** A page with its nodes in the schema's shape. */
export const connection = <Node, Shape>({ edges, hasNextPage, endCursor }: Page<Node>, shape: (node: Node) => Shape) => ({
  edges: edges.map(({ cursor, node }) => ({ cursor, node: shape(node) })),
  pageInfo: { hasNextPage, endCursor }
})

/** Events of a lineage, those that were late marked; the cursor is the place of the event. */
export const placedEvents = (events: readonly LineageEvent[], hasNextPage: boolean): EventConnection => {
  const edges = events.map((event) => ({
    cursor: positionCursor([{ partition: event.partition, nextOffset: event.offset }]),
    node: eventShape(event),
    late: event.late === null ? null : { byMs: event.late.lateByMs, releasedAt: event.appliedAt?.toString() ?? null }
  }))
  return { edges, pageInfo: { hasNextPage, endCursor: edges.at(-1)?.cursor ?? null } }
}

const badFilter = (message: string) => new GraphQLError(message, { extensions: { code: "BAD_ARGUMENT", argument: "filter", http: { status: 400 } } })

/** Throws `BAD_ARGUMENT` for a filter that says nothing: an answer to another question would be taken for one to this. */
const checkFilter = ({ from, to, where }: EventFilter): void => {
  if (typeof from === "number" && typeof to === "number" && to <= from) throw badFilter("filter.to must be later than filter.from.")
  for (const { path, equals, in: oneOf, contains } of where ?? []) {
    if (path === "") throw badFilter("filter.where names no path.")
    if (typeof equals !== "string" && typeof contains !== "string" && !oneOf) throw badFilter(`filter.where names no condition for ${path}: equals, in or contains.`)
  }
}

/** The filter in the question's shape. */
export const searchFilter = (filter: EventFilter): SearchFilter => {
  checkFilter(filter)
  return fieldsOf(filter)
}

const fieldsOf = (filter: EventFilter): SearchFilter => ({
  ...(typeof filter.from === "number" ? { fromMs: filter.from } : {}),
  ...(typeof filter.to === "number" ? { toMs: filter.to } : {}),
  ...(filter.types ? { types: filter.types } : {}),
  ...(typeof filter.userId === "string" ? { userId: filter.userId } : {}),
  ...(typeof filter.sessionId === "string" ? { sessionId: filter.sessionId } : {}),
  ...(typeof filter.text === "string" ? { text: filter.text } : {}),
  ...(filter.where ? { where: filter.where.map(({ path, equals, in: oneOf, contains }) => ({
    path,
    ...(typeof equals === "string" ? { equals } : {}),
    ...(oneOf ? { in: oneOf } : {}),
    ...(typeof contains === "string" ? { contains } : {})
  })) } : {})
})

export const freshnessShape = ({ projection, generation, partition, nextOffset, logEnd, lagEvents, paused, receivedMaxMs, watermarkMs }: Freshness): PartitionFreshness => ({
  projection,
  generation,
  partition,
  offset: nextOffset.toString(),
  logEnd: logEnd.toString(),
  lagEvents: lagEvents.toString(),
  paused,
  receivedAt: receivedMaxMs,
  watermark: watermarkMs
})

export const projectionShape = (status: ProjectionStatus): Projection => ({
  name: status.projection,
  version: status.version,
  generation: status.generation,
  pointerVersion: status.pointerVersion,
  status: ProjectionState[status.status],
  halts: status.halts.map(({ code, detail, lane, atMs }) => ({ code, detail, lane, at: atMs })),
  dimensions: [...status.dimensions],
  measures: [...status.measures],
  position: offsetsOf(status.position),
  lagEvents: status.lagEvents.toString(),
  watermark: status.watermarkMs,
  lateEvents: String(status.lateEvents),
  deadLetters: String(status.deadLetters),
  handOver: status.handOver === null ? null : offsetsOf(status.handOver),
  staleView: status.staleView,
  outOfOrdernessMs: status.outOfOrdernessMs,
  reviseWithinMs: String(status.reviseWithinMs),
  definition: status.definition,
  definitionHash: status.definitionHash
})
