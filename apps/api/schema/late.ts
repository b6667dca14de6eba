/** Held events released by hand. */
import { Field, ID, Int, ObjectType } from "type-graphql"
import { Dimension } from "./common.ts"
import { Contribution } from "./log.ts"
import { DateTime, LateVerdict } from "./scalars.ts"

@ObjectType({ description: "What a projection counts once an event is released." })
export class LateChange {
  @Field(() => String)
  projection!: string
  @Field(() => Int)
  generation!: number
  @Field(() => DateTime, { description: "Start of the minute; its hour and day change with it." })
  windowStart!: number
  @Field(() => [Dimension])
  key!: Dimension[]
  @Field(() => [Contribution])
  contribution!: Contribution[]
}

@ObjectType({ description: "One event that was to be released." })
export class LateRelease {
  @Field(() => Int)
  partition!: number
  @Field(() => String)
  offset!: string
  @Field(() => ID, { nullable: true })
  eventId!: string | null
  @Field(() => LateVerdict)
  verdict!: LateVerdict
  @Field(() => String, { nullable: true, description: "Offset of the record that releases it, in the same partition; null when none was appended." })
  releasedAt!: string | null
  @Field(() => [LateChange], { description: "Every projection that holds it counts it." })
  changes!: LateChange[]
}

@ObjectType()
export class LateApplication {
  @Field(() => Int, { description: "Events released by this; 0 in a dry run." })
  applied!: number
  @Field(() => [LateRelease])
  events!: LateRelease[]
}
