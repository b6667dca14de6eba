/** Answers from the log and its ledgers. */
import type { FoldTest } from "@tidemark/queries/deadLetters"
import { Field, Float, ID, Int, ObjectType } from "type-graphql"
import { Dimension, PageInfo, PartitionOffset } from "./common.ts"
import { DateTime, EventOutcome, Json, LateOutcome, LateReason, RedriveVerdict, Resolution, TimeFlag, WindowState } from "./scalars.ts"

@ObjectType()
export class LoggedEvent {
  @Field(() => ID)
  id!: string
  @Field(() => String)
  type!: string
  @Field(() => DateTime)
  time!: number
  @Field(() => DateTime)
  receivedAt!: number
  @Field(() => Int)
  partition!: number
  @Field(() => String)
  offset!: string
  @Field(() => String, { nullable: true })
  userId!: string | null
  @Field(() => String, { nullable: true })
  anonymousId!: string | null
  @Field(() => String, { nullable: true })
  sessionId!: string | null
  @Field(() => String, { nullable: true })
  source!: string | null
  @Field(() => Int, { nullable: true })
  schemaVersion!: number | null
  @Field(() => String, { nullable: true, description: "Name of the import it came with." })
  backfill!: string | null
  @Field(() => Json, { description: "The payload; an empty object when the event has none." })
  data!: unknown
}

@ObjectType({ description: "How late an event of a window was." })
export class LateMark {
  @Field(() => Float)
  byMs!: number
  @Field(() => String, { nullable: true, description: "Offset of the record that released it, when it had been held." })
  releasedAt!: string | null
}

@ObjectType()
export class EventEdge {
  @Field(() => String)
  cursor!: string
  @Field(() => LoggedEvent)
  node!: LoggedEvent
  @Field(() => LateMark, { nullable: true, description: "Within the lineage of a window: counted late. Null when it came in time, and in every other list." })
  late?: LateMark | null
}

@ObjectType()
export class EventConnection {
  @Field(() => [EventEdge])
  edges!: EventEdge[]
  @Field(() => PageInfo)
  pageInfo!: PageInfo
}

@ObjectType({ description: "The events behind a window. It is proved when both counts are equal and the fingerprint matches." })
export class WindowLineage {
  @Field(() => String)
  expectedEvents!: string
  @Field(() => String)
  foundEvents!: string
  @Field(() => Boolean)
  fingerprintMatches!: boolean
  @Field(() => EventConnection)
  events!: EventConnection
}

@ObjectType({ description: "What an event adds to one part of a measure." })
export class Contribution {
  @Field(() => String)
  name!: string
  @Field(() => String)
  text!: string
}

@ObjectType({ description: "A window that an event belongs to, as it is now." })
export class EventPlace {
  @Field(() => Resolution)
  resolution!: Resolution
  @Field(() => DateTime)
  start!: number
  @Field(() => DateTime)
  end!: number
  @Field(() => WindowState, { nullable: true, description: "Null when retention hides the window." })
  state!: WindowState | null
  @Field(() => String, { description: "Of the whole window and key." })
  events!: string
  @Field(() => String)
  revision!: string
}

@ObjectType({ description: "The record that released a held event, in the event's partition." })
export class EventRelease {
  @Field(() => String)
  offset!: string
  @Field(() => DateTime)
  at!: number
  @Field(() => String, { nullable: true, description: "Prefix of the key that released it." })
  actor!: string | null
  @Field(() => String, { nullable: true })
  reason!: string | null
}

@ObjectType({ description: "What one projection made of an event." })
export class EventWindow {
  @Field(() => String)
  projection!: string
  @Field(() => Int)
  generation!: number
  @Field(() => EventOutcome)
  outcome!: EventOutcome
  @Field(() => DateTime, { nullable: true })
  start!: number | null
  @Field(() => DateTime, { nullable: true })
  end!: number | null
  @Field(() => WindowState, { nullable: true })
  state!: WindowState | null
  @Field(() => [Dimension])
  key!: Dimension[]
  @Field(() => [EventPlace], { description: "Minute, hour and day it counts in, or would." })
  places!: EventPlace[]
  @Field(() => [Contribution], { description: "What it added, or would have added." })
  contribution!: Contribution[]
  @Field(() => Float, { nullable: true })
  lateByMs!: number | null
  @Field(() => Boolean, { description: "It had been held and was released by hand." })
  wasHeld!: boolean
  @Field(() => EventRelease, { nullable: true })
  release!: EventRelease | null
  @Field(() => String, { nullable: true })
  code!: string | null
  @Field(() => String, { nullable: true })
  pointer!: string | null
}

@ObjectType({ description: "How an event came in." })
export class EventReceived {
  @Field(() => DateTime)
  at!: number
  @Field(() => DateTime, { nullable: true, description: "The client's own time, when it is not the one that counts." })
  originalTime!: number | null
  @Field(() => TimeFlag, { nullable: true })
  timeFlag!: TimeFlag | null
  @Field(() => String)
  source!: string
  @Field(() => String, { nullable: true, description: "Name of the import it came with." })
  backfill!: string | null
}

@ObjectType({ description: "What an event was checked against." })
export class EventValidated {
  @Field(() => Boolean, { description: "False when its type has no schema: accepted unchecked." })
  checked!: boolean
  @Field(() => Int, { description: "Version of the schema; 0 without one." })
  schemaVersion!: number
}

@ObjectType({ description: "Where an event stands in the log." })
export class EventAppended {
  @Field(() => Int)
  partition!: number
  @Field(() => String)
  offset!: string
  @Field(() => String, { description: "What chose the partition." })
  partitionKey!: string
}

@ObjectType({ description: "An event and what became of it: received, validated, appended, and counted by every projection." })
export class EventJourney {
  @Field(() => LoggedEvent)
  event!: LoggedEvent
  @Field(() => EventReceived)
  received!: EventReceived
  @Field(() => EventValidated)
  validated!: EventValidated
  @Field(() => EventAppended)
  appended!: EventAppended
  @Field(() => [EventWindow])
  windows!: EventWindow[]
  @Field(() => [LoggedEvent], { description: "The same event again, later, oldest first; at most 100. An event with the same id of another user or import is none." })
  repetitions!: LoggedEvent[]
  @Field(() => Boolean, { description: "There are more repetitions than are listed." })
  repetitionsTruncated!: boolean
}

@ObjectType()
export class LateEvent {
  @Field(() => ID)
  eventId!: string
  @Field(() => String)
  type!: string
  @Field(() => DateTime)
  time!: number
  @Field(() => DateTime, { description: "Start of the minute that had closed." })
  windowStart!: number
  @Field(() => [Dimension])
  key!: Dimension[]
  @Field(() => Float)
  lateByMs!: number
  @Field(() => LateOutcome)
  outcome!: LateOutcome
  @Field(() => LateReason)
  reason!: LateReason
  @Field(() => Boolean, { description: "It was held on arrival, whatever became of it." })
  wasHeld!: boolean
  @Field(() => Boolean, { description: "It is held, and a release would count it." })
  canApply!: boolean
  @Field(() => [Contribution], { description: "What it added, or would have added." })
  contribution!: Contribution[]
  @Field(() => Int)
  generation!: number
  @Field(() => Int)
  partition!: number
  @Field(() => String)
  offset!: string
}

@ObjectType()
export class LateEventEdge {
  @Field(() => String)
  cursor!: string
  @Field(() => LateEvent)
  node!: LateEvent
}

@ObjectType()
export class LateEventConnection {
  @Field(() => [LateEventEdge])
  edges!: LateEventEdge[]
  @Field(() => PageInfo)
  pageInfo!: PageInfo
}

@ObjectType({ description: "An accepted event that the projection could not fold." })
export class DeadLetter {
  /** Version of the shipped definition, and whether it would fold an event; undefined where it is the one that could not. */
  shipped!: { readonly version: number; readonly folds: FoldTest } | undefined
  @Field(() => Int)
  partition!: number
  @Field(() => String)
  offset!: string
  @Field(() => String)
  code!: string
  @Field(() => String, { description: "JSON pointer of the offending field." })
  pointer!: string
}

@ObjectType()
export class DeadLetterEdge {
  @Field(() => String)
  cursor!: string
  @Field(() => DeadLetter)
  node!: DeadLetter
}

@ObjectType()
export class DeadLetterConnection {
  @Field(() => [DeadLetterEdge])
  edges!: DeadLetterEdge[]
  @Field(() => PageInfo)
  pageInfo!: PageInfo
}

@ObjectType()
export class RejectedEvent {
  @Field(() => ID)
  id!: string
  @Field(() => DateTime)
  receivedAt!: number
  @Field(() => String, { nullable: true })
  eventId!: string | null
  @Field(() => String, { nullable: true })
  type!: string | null
  @Field(() => String)
  code!: string
  @Field(() => String)
  pointer!: string
  @Field(() => String)
  detail!: string
  @Field(() => String, { nullable: true, description: "Import and line it came from." })
  origin!: string | null
  @Field(() => String, { description: "As received." })
  body!: string
}

@ObjectType({ description: "A refused event that was sent again." })
export class RedriveRecord {
  @Field(() => DateTime)
  at!: number
  @Field(() => ID, { description: "Under which it is in the log." })
  eventId!: string
  @Field(() => Boolean, { description: "The log had an event of this id already." })
  wasThere!: boolean
  @Field(() => PartitionOffset, { nullable: true, description: "Where it stands; null when it was there already." })
  place!: PartitionOffset | null
  @Field(() => String, { description: "Prefix of the key that sent it." })
  actor!: string
  @Field(() => String)
  reason!: string
}

@ObjectType({ description: "Why an event is refused again." })
export class RedriveRefusal {
  @Field(() => String)
  code!: string
  @Field(() => String)
  pointer!: string
  @Field(() => String)
  detail!: string
  @Field(() => String, { nullable: true })
  hint!: string | null
}

@ObjectType({ description: "One entry of the rejected log that was to be sent again." })
export class Redrive {
  @Field(() => ID)
  id!: string
  @Field(() => RedriveVerdict)
  verdict!: RedriveVerdict
  @Field(() => ID, { nullable: true, description: "Under which it stands in the log, or would: the one it was sent with, else that of its entry." })
  eventId!: string | null
  @Field(() => PartitionOffset, { nullable: true, description: "Where it stands; null when nothing was appended." })
  place!: PartitionOffset | null
  @Field(() => RedriveRefusal, { nullable: true })
  refusal!: RedriveRefusal | null
}

@ObjectType()
export class Redrives {
  @Field(() => Int, { description: "Events appended by this; 0 in a dry run." })
  appended!: number
  @Field(() => [Redrive])
  entries!: Redrive[]
}

@ObjectType()
export class RejectedEventEdge {
  @Field(() => String)
  cursor!: string
  @Field(() => RejectedEvent)
  node!: RejectedEvent
}

@ObjectType()
export class RejectedEventConnection {
  @Field(() => [RejectedEventEdge])
  edges!: RejectedEventEdge[]
  @Field(() => PageInfo)
  pageInfo!: PageInfo
}
