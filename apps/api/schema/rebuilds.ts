/** Rebuilds of projections. Counts are decimal text. */
import type { Rebuild as Stored } from "@tidemark/domain/settings/rebuild/evolve"
import { Field, Float, ID, Int, ObjectType, registerEnumType } from "type-graphql"
import { Dimension, PageInfo, PartitionOffset } from "./common.ts"
import { LoggedEvent } from "./log.ts"
import { DateTime, Resolution } from "./scalars.ts"

export enum RebuildStatus {
  PLANNED = "planned",
  PREPARING = "preparing",
  BUILDING = "building",
  CATCHING_UP = "catching_up",
  VERIFYING = "verifying",
  READY = "ready",
  ACTIVE = "active",
  STANDBY = "standby",
  RETIRED = "retired",
  PAUSED = "paused",
  FAILED = "failed",
  ABORTED = "aborted"
}

export enum DifferenceCause {
  LOGIC = "LOGIC",
  INPUT = "INPUT"
}

export enum NoEventCode {
  ROWS_DIFFER = "ROWS_DIFFER",
  TOO_LARGE = "TOO_LARGE",
  NOT_SEARCHED = "NOT_SEARCHED",
  UNREADABLE = "UNREADABLE"
}

registerEnumType(NoEventCode, {
  name: "NoEventCode",
  description: "ROWS_DIFFER: stored rows are not what their events give, or the definition is the same. TOO_LARGE, NOT_SEARCHED: beyond the bounds of the search. UNREADABLE: the log or a definition cannot be read."
})
registerEnumType(RebuildStatus, { name: "RebuildStatus", description: "Where a rebuild stands; READY waits for somebody to cut over." })
registerEnumType(DifferenceCause, { name: "DifferenceCause", description: "LOGIC: the same events, another value. INPUT: other events, or rows that the definition does not explain." })

export enum RateSource {
  LAST_REBUILD = "last-rebuild",
  SAMPLE = "sample"
}

registerEnumType(RateSource, { name: "RateSource", description: "LAST_REBUILD: measured with all that a rebuild does. SAMPLE: a little of the log folded by one thread when it was planned; storing comes on top." })

@ObjectType({ description: "What a rebuild reads and writes, estimated before it begins. It emits nothing: alerts and webhooks come from the served generation only." })
export class RebuildPlan {
  @Field(() => String, { description: "Records of the log that are read." })
  events!: string
  @Field(() => String, { description: "Of these records." })
  bytes!: string
  @Field(() => String, { nullable: true, description: "Rows of minute, hour and day that the served generation holds: about as many are written beside them. Null in plans of earlier versions." })
  rows!: string | null
  @Field(() => String, { nullable: true, description: "Bytes of these rows, about: what the new generation takes of the disk until the old one is dropped." })
  rowBytes!: string | null
  @Field(() => String, { nullable: true, description: "Bytes free on the disk of the data directory when it was planned; null where the engines are elsewhere." })
  diskFreeBytes!: string | null
  @Field(() => Float, { nullable: true, description: "At the rate that `rateFrom` names; null where the log is too short to tell." })
  seconds!: number | null
  @Field(() => RateSource, { nullable: true })
  rateFrom!: RateSource | null
}

@ObjectType({ description: "What the threads of a rebuild spent the last 10 s on, in shares that are 1 together." })
export class RebuildTime {
  @Field(() => Float, { description: "Reading the log." })
  read!: number
  @Field(() => Float)
  fold!: number
  @Field(() => Float, { description: "Writing rows." })
  write!: number
  @Field(() => Float, { description: "Waiting because it is slowed: `throttle` says why." })
  throttle!: number
}

@ObjectType()
export class RebuildProgress {
  @Field(() => String, { description: "Records folded, from the checkpoints." })
  processed!: string
  @Field(() => String, { description: "Records the log holds for it." })
  total!: string
  @Field(() => Float, { nullable: true, description: "Over the last 10 s; null where it is not known, as in a process that does not carry it out." })
  eventsPerSecond!: number | null
  @Field(() => Float, { nullable: true })
  etaSeconds!: number | null
  @Field(() => Float, { nullable: true, description: "At the quickest 10 s average of the last 10 s." })
  etaSecondsMin!: number | null
  @Field(() => Float, { nullable: true, description: "At the slowest one." })
  etaSecondsMax!: number | null
  @Field(() => Float, { nullable: true, description: "The last 10 s average while nothing slowed it; null where it was slowed from the beginning." })
  eventsPerSecondUnslowed!: number | null
  @Field(() => RebuildTime, { nullable: true, description: "Null while nothing was timed, and in a process that does not carry it out." })
  time!: RebuildTime | null
}

@ObjectType({ description: "Windows of both generations in which a measure differs." })
export class MeasureDifference {
  @Field(() => String, { description: "Its name; `events` for what counts them, `rows` for what no figure shows." })
  measure!: string
  @Field(() => String)
  windows!: string
}

@ObjectType({ description: "How many windows of a tenant differ, in whichever way." })
export class TenantDifference {
  @Field(() => String)
  tenantId!: string
  @Field(() => String)
  windows!: string
}

@ObjectType({ description: "Windows of the new generation, chosen at random, recomputed from the log: the proof where the definition is another one and no digest can be equal." })
export class ParitySample {
  @Field(() => Int, { description: "Of the choice." })
  seed!: number
  @Field(() => Int, { description: "Recomputed." })
  windows!: number
  @Field(() => Int, { description: "Chosen, but beyond the bounds of the work, or no longer in the log." })
  skipped!: number
  @Field(() => String, { nullable: true, description: "Rows of minute, hour and day: the whole generation was recomputed, because no chosen window was within the bounds. Null otherwise." })
  wholeRows!: string | null
  @Field(() => [String], { description: "What is wrong with those that are not what the log gives; faults too." })
  differing!: string[]
}

@ObjectType({ description: "The generation that was served when the new one was verified had halted, and stood here: nothing could be compared with it." })
export class ServedHalt {
  @Field(() => String)
  code!: string
  @Field(() => String)
  detail!: string
  @Field(() => [PartitionOffset])
  position!: PartitionOffset[]
}

@ObjectType({ description: "The comparison of both generations at one position. compared = equal + differ." })
export class ParityReport {
  @Field(() => String)
  compared!: string
  @Field(() => String)
  equal!: string
  @Field(() => String)
  differ!: string
  @Field(() => String)
  onlyOld!: string
  @Field(() => String)
  onlyNew!: string
  @Field(() => Boolean, { description: "Its differences are then never acceptable." })
  sameDefinition!: boolean
  @Field(() => ParitySample, { nullable: true, description: "Null where the definition is the same: digests and rows are compared." })
  sample!: ParitySample | null
  @Field(() => ServedHalt, { nullable: true, description: "Not null: no window was compared, the sample is the whole proof, and the cut-over needs a note." })
  servedHalt!: ServedHalt | null
  @Field(() => [MeasureDifference])
  measures!: MeasureDifference[]
  @Field(() => [String], { description: "Measures of the new definition only; not compared." })
  addedMeasures!: string[]
  @Field(() => [String], { description: "Measures of the old definition only; not compared." })
  removedMeasures!: string[]
  @Field(() => [String], { description: "What no window explains, such as digests and counters; never acceptable." })
  faults!: string[]
  @Field(() => [TenantDifference], { nullable: true, description: "The 100 tenants with most differing windows; to the operator's key only." })
  tenants!: TenantDifference[] | null
  @Field(() => String, { nullable: true, description: "The note with which the differences were accepted." })
  accepted!: string | null
  @Field(() => [PartitionOffset])
  position!: PartitionOffset[]
}

@ObjectType({ description: "The first event, in the order of the log, after which the two definitions have not the same of the window." })
export class DivergingEvent {
  @Field(() => ID)
  id!: string
  @Field(() => Int)
  partition!: number
  @Field(() => String)
  offset!: string
  @Field(() => String)
  type!: string
  @Field(() => String, { description: "The figures that differ, after it." })
  old!: string
  @Field(() => String)
  new!: string
}

@ObjectType({ description: "Why no event tells the two apart." })
export class NoDivergingEvent {
  @Field(() => NoEventCode)
  code!: NoEventCode
  @Field(() => String)
  detail!: string
}

@ObjectType({ description: "A window that is not the same in both generations." })
export class Difference {
  @Field(() => [Dimension])
  key!: Dimension[]
  @Field(() => DateTime)
  start!: number
  @Field(() => Resolution)
  resolution!: Resolution
  @Field(() => String, { nullable: true, description: "The figures that differ; null: not there." })
  old!: string | null
  @Field(() => String, { nullable: true })
  new!: string | null
  @Field(() => DifferenceCause)
  cause!: DifferenceCause
  @Field(() => DivergingEvent, { nullable: true, description: "Null with a reason only: `noEvent`." })
  firstDivergingEvent!: DivergingEvent | null
  @Field(() => NoDivergingEvent, { nullable: true, description: "Null where an event is named." })
  noEvent!: NoDivergingEvent | null
}

@ObjectType({ description: "What differs of the tenant's windows, counted whole, listed or not." })
export class DifferenceCount {
  @Field(() => String)
  compared!: string
  @Field(() => String)
  equal!: string
  @Field(() => String)
  differ!: string
  @Field(() => String, { description: "Missing in the new generation." })
  onlyOld!: string
  @Field(() => String, { description: "In the new generation only." })
  onlyNew!: string
  @Field(() => [MeasureDifference])
  measures!: MeasureDifference[]
  @Field(() => String, { description: "Windows that the list holds; fewer than differ when it is cut." })
  listed!: string
}

export enum CountedBy {
  BOTH = "both",
  OLD = "old",
  NEW = "new"
}

registerEnumType(CountedBy, { name: "CountedBy", description: "Which of the two generations counts an event in the window." })

@ObjectType({ description: "A figure of a window in both generations." })
export class FigurePair {
  @Field(() => String)
  name!: string
  @Field(() => String, { nullable: true, description: "Null: not there." })
  old!: string | null
  @Field(() => String, { nullable: true })
  new!: string | null
}

@ObjectType()
export class CountedEvent {
  @Field(() => LoggedEvent)
  event!: LoggedEvent
  @Field(() => CountedBy)
  countedBy!: CountedBy
}

@ObjectType({ description: "A window in both generations, folded again from the log." })
export class DifferingWindow {
  @Field(() => [FigurePair], { description: "Every figure, the equal ones too; what the events give." })
  figures!: FigurePair[]
  @Field(() => String, { description: "Events that both count." })
  both!: string
  @Field(() => String)
  onlyOld!: string
  @Field(() => String)
  onlyNew!: string
  @Field(() => [CountedEvent], { description: "In the order of the log; of more than were asked for, those first that only one side counts." })
  events!: CountedEvent[]
  @Field(() => DivergingEvent, { nullable: true })
  firstDivergingEvent!: DivergingEvent | null
  @Field(() => String, { nullable: true, description: "What is stored is not what its events give; nothing else is told then." })
  fault!: string | null
}

@ObjectType()
export class DifferenceEdge {
  @Field(() => String)
  cursor!: string
  @Field(() => Difference)
  node!: Difference
}

@ObjectType()
export class DifferenceConnection {
  @Field(() => [DifferenceEdge])
  edges!: DifferenceEdge[]
  @Field(() => PageInfo)
  pageInfo!: PageInfo
  @Field(() => DifferenceCount, { nullable: true, description: "Null before the comparison, and where nothing of the tenant's windows differs." })
  counts!: DifferenceCount | null
}

@ObjectType({ description: "What a generation holds and takes, measured at most 10 s ago." })
export class GenerationSize {
  @Field(() => String, { description: "Partial rows of minute, hour and day, of all tenants; an estimate beyond some hundred thousand in the distributed mode." })
  rows!: string
  @Field(() => String, { description: "Bytes of the disk, ledgers and indexes included; in the embedded mode, whose generations share a file, its part of what the file uses by the number of entries." })
  bytes!: string
}

@ObjectType({ description: "A generation that is stored: served, on standby, or being built." })
export class Generation {
  @Field(() => String)
  projection!: string
  @Field(() => Int)
  generation!: number
  @Field(() => Boolean, { description: "Questions are answered from it." })
  served!: boolean
  @Field(() => String)
  definitionHash!: string
  @Field(() => Int, { nullable: true, description: "Of its definition; null where this program cannot read it." })
  version!: number | null
  @Field(() => [String], { description: "Measures that the served generation has not, or has otherwise." })
  changedMeasures!: string[]
  @Field(() => [String], { description: "Measures that only the served generation has." })
  missingMeasures!: string[]
  @Field(() => DateTime)
  createdAt!: number
  @Field(() => [PartitionOffset])
  position!: PartitionOffset[]
  @Field(() => String, { description: "Records of the log not yet folded." })
  lagEvents!: string
  @Field(() => String, { description: "Events of all tenants that it could not fold." })
  deadLetters!: string
  @Field(() => String, { nullable: true, description: "Code and detail of why it stands still, the detail to the operator's key; null while it goes on." })
  halt!: string | null
}

@ObjectType({ description: "Something that happened to a rebuild." })
export class RebuildStep {
  @Field(() => RebuildStatus, { description: "Where it stood from then on." })
  status!: RebuildStatus
  @Field(() => DateTime)
  at!: number
  @Field(() => String, { nullable: true, description: "An error, a note, a cap, what was compared; null where the status says it all." })
  detail!: string | null
}

@ObjectType({ description: "A generation that is built beside the served one, and what became of it." })
export class Rebuild {
  /** As stored; the fields that are asked for one by one start from it. */
  stored!: Stored
  @Field(() => ID)
  id!: string
  @Field(() => String)
  projection!: string
  @Field(() => RebuildStatus)
  status!: RebuildStatus
  @Field(() => Int, { nullable: true })
  generation!: number | null
  @Field(() => Int, { nullable: true })
  fromGeneration!: number | null
  @Field(() => String)
  reason!: string
  @Field(() => RebuildPlan, { nullable: true })
  plan!: RebuildPlan | null
  @Field(() => ParityReport, { nullable: true })
  parity!: ParityReport | null
  @Field(() => String, { nullable: true })
  error!: string | null
  @Field(() => Int, { nullable: true, description: "The cap that somebody has set." })
  eventsPerSecondMax!: number | null
  @Field(() => DateTime)
  startedAt!: number
  @Field(() => DateTime, { nullable: true })
  finishedAt!: number | null
  @Field(() => DateTime, { nullable: true, description: "Until when what stands by of it is kept: the way back, or forth again, ends then. Null where nothing stands by." })
  standbyUntil!: number | null
  @Field(() => Float, { description: "How long a generation that was replaced stands by, seconds." })
  standbySeconds!: number
  @Field(() => [RebuildStep], { description: "What happened to it, oldest first: the last 200 steps." })
  history!: RebuildStep[]
}
