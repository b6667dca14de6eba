/** Answers from read models. */
import { Field, Int, ObjectType } from "type-graphql"
import { Dimension, Measure, PartitionOffset } from "./common.ts"
import { DateTime, ProjectionState, Resolution, SeriesChangeKind, WindowState } from "./scalars.ts"

@ObjectType({ description: "Why a projection stands still; PAUSED: somebody wanted it so." })
export class Halt {
  @Field(() => String)
  code!: string
  @Field(() => String)
  detail!: string
  @Field(() => Int)
  lane!: number
  @Field(() => DateTime)
  at!: number
}

@ObjectType({ description: "A view for BI tools that has not followed the pointer yet; the server goes on trying." })
export class StaleView {
  @Field(() => String)
  view!: string
  @Field(() => Int, { description: "The generation it shows; 0: none." })
  generation!: number
  @Field(() => String, { description: "What stands against it." })
  reason!: string
}

@ObjectType({ description: "A projection with its active generation." })
export class Projection {
  @Field(() => String)
  name!: string
  @Field(() => Int)
  version!: number
  @Field(() => Int)
  generation!: number
  @Field(() => Int)
  pointerVersion!: number
  @Field(() => ProjectionState)
  status!: ProjectionState
  @Field(() => [Halt])
  halts!: Halt[]
  @Field(() => [String])
  dimensions!: string[]
  @Field(() => [String], { description: "Names under which figures are asked for." })
  measures!: string[]
  @Field(() => [PartitionOffset])
  position!: PartitionOffset[]
  @Field(() => String, { description: "Records of the log not yet folded." })
  lagEvents!: string
  @Field(() => DateTime, { nullable: true, description: "Event times are complete to here." })
  watermark!: number | null
  @Field(() => String, { description: "Counted up to 1,000." })
  lateEvents!: string
  @Field(() => String, { description: "Counted up to 1,000." })
  deadLetters!: string
  @Field(() => [PartitionOffset], { nullable: true, description: "Where the generation served before stood when the last cut-over or way back moved the pointer: effects of records from here on are this generation's, of earlier ones they were the other's. Null before the first move." })
  handOver!: PartitionOffset[] | null
  @Field(() => StaleView, { nullable: true, description: "The view for BI tools, where it shows another generation." })
  staleView!: StaleView | null
  @Field(() => Int)
  outOfOrdernessMs!: number
  @Field(() => String)
  reviseWithinMs!: string
  @Field(() => String, { description: "The pinned definition, canonical JSON." })
  definition!: string
  @Field(() => String)
  definitionHash!: string
}

@ObjectType()
export class SeriesPoint {
  @Field(() => DateTime)
  start!: number
  @Field(() => DateTime)
  end!: number
  @Field(() => WindowState)
  state!: WindowState
  @Field(() => String, { description: "Rises with every change; 0 in answers as of an earlier position." })
  revision!: string
  @Field(() => String)
  corrections!: string
  @Field(() => String)
  events!: string
  @Field(() => [Measure])
  measures!: Measure[]
}

@ObjectType()
export class SeriesGroup {
  @Field(() => [Dimension], { description: "Empty when nothing is broken down." })
  key!: Dimension[]
  @Field(() => [SeriesPoint])
  points!: SeriesPoint[]
}

/** Where an answer comes from. */
@ObjectType()
export class Provenance {
  @Field(() => String)
  projection!: string
  @Field(() => Int)
  generation!: number
  @Field(() => Int)
  pointerVersion!: number
  @Field(() => DateTime, { nullable: true })
  watermark!: number | null
  @Field(() => [PartitionOffset])
  position!: PartitionOffset[]
}

@ObjectType()
export class Series extends Provenance {
  @Field(() => [SeriesGroup])
  groups!: SeriesGroup[]
  @Field(() => Boolean, { description: "The break-down has more groups than first; those with fewer events are left out." })
  truncated!: boolean
}

@ObjectType({ description: "A message of a live series." })
export class SeriesChange extends Provenance {
  @Field(() => SeriesChangeKind)
  kind!: SeriesChangeKind
  @Field(() => [SeriesGroup])
  groups!: SeriesGroup[]
}

@ObjectType()
export class TopRow {
  @Field(() => String)
  value!: string
  @Field(() => Measure)
  measure!: Measure
  @Field(() => String)
  events!: string
}

@ObjectType()
export class Top extends Provenance {
  @Field(() => [TopRow])
  rows!: TopRow[]
  @Field(() => Boolean, { description: "There are more values than first." })
  truncated!: boolean
}

@ObjectType({ description: "A value that a dimension has." })
export class FacetValue {
  @Field(() => String)
  value!: string
  @Field(() => String, { description: "Events behind it, within the range and the filters." })
  events!: string
}

@ObjectType({ description: "What a filter by one dimension can be set to." })
export class Facets extends Provenance {
  @Field(() => [FacetValue], { description: "Most events first, ties by value." })
  values!: FacetValue[]
  @Field(() => Boolean, { description: "There are more values than first." })
  truncated!: boolean
  @Field(() => Boolean, { description: "False when there were keys beyond the cap: their values are not listed, and no count is exact." })
  exact!: boolean
}

@ObjectType({ description: "One window of one key." })
export class Window extends Provenance {
  @Field(() => [Dimension])
  key!: Dimension[]
  @Field(() => DateTime)
  start!: number
  @Field(() => DateTime)
  end!: number
  @Field(() => Resolution)
  resolution!: Resolution
  @Field(() => [Measure])
  measures!: Measure[]
  @Field(() => WindowState)
  state!: WindowState
  @Field(() => String, { description: "Rises with every change; 0 in answers as of an earlier position." })
  revision!: string
  @Field(() => String)
  corrections!: string
  @Field(() => String)
  events!: string
  @Field(() => String, { description: "Sum mod 2^64 of the id hashes of its events, 16 hex digits." })
  fingerprint!: string
  /** Answered as of an earlier position; no field. */
  isPast?: boolean
}

@ObjectType({ description: "How far a projection is in one partition." })
export class PartitionFreshness {
  @Field(() => String)
  projection!: string
  @Field(() => Int)
  generation!: number
  @Field(() => Int)
  partition!: number
  @Field(() => String)
  offset!: string
  @Field(() => String)
  logEnd!: string
  @Field(() => String)
  lagEvents!: string
  @Field(() => Boolean, { description: "Somebody has paused the projection: it falls behind on purpose." })
  paused!: boolean
  @Field(() => DateTime, { nullable: true })
  receivedAt!: number | null
  @Field(() => DateTime, { nullable: true })
  watermark!: number | null
}
