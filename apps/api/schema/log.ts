/** Answers from the log and its ledgers. */
import { Field, Float, ID, Int, ObjectType } from "type-graphql"
import { Dimension, PageInfo } from "./common.ts"
import { DateTime, EventOutcome, Json, LateOutcome, WindowState } from "./scalars.ts"

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

@ObjectType()
export class EventEdge {
  @Field(() => String)
  cursor!: string
  @Field(() => LoggedEvent)
  node!: LoggedEvent
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
  @Field(() => [Contribution])
  contribution!: Contribution[]
  @Field(() => Float, { nullable: true })
  lateByMs!: number | null
  @Field(() => String, { nullable: true })
  code!: string | null
  @Field(() => String, { nullable: true })
  pointer!: string | null
}

@ObjectType({ description: "An event and what became of it." })
export class EventJourney {
  @Field(() => LoggedEvent)
  event!: LoggedEvent
  @Field(() => [EventWindow])
  windows!: EventWindow[]
  @Field(() => [LoggedEvent], { description: "The same id again, later." })
  repetitions!: LoggedEvent[]
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

@ObjectType()
export class DeadLetter {
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
