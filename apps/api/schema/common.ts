/** Shapes that several answers share, and the inputs. */
import { Field, Float, InputType, Int, ObjectType } from "type-graphql"
import { DateTime } from "./scalars.ts"

@ObjectType({ description: "One dimension of a key." })
export class Dimension {
  @Field(() => String)
  name!: string
  @Field(() => String)
  value!: string
}

@ObjectType({ description: "One figure." })
export class Measure {
  @Field(() => String)
  name!: string
  @Field(() => Float, { nullable: true, description: "The nearest double; null when there is no value." })
  value!: number | null
  @Field(() => String, { nullable: true, description: "Exact decimal text; null for estimates." })
  text!: string | null
  @Field(() => Boolean)
  exact!: boolean
  @Field(() => Float, { nullable: true, description: "Absolute, in the measure's unit." })
  errorBound!: number | null
}

@ObjectType()
export class PartitionOffset {
  @Field(() => Int)
  partition!: number
  @Field(() => String, { description: "Next offset, decimal." })
  offset!: string
}

@ObjectType()
export class PageInfo {
  @Field(() => Boolean)
  hasNextPage!: boolean
  @Field(() => String, { nullable: true })
  endCursor!: string | null
}

@InputType()
export class PartitionOffsetInput {
  @Field(() => Int)
  partition!: number
  @Field(() => String)
  offset!: string
}

@InputType("AsOf", { description: "An earlier state of the model: a position, every partition named once, or a time. One of the two." })
export class AsOfInput {
  @Field(() => [PartitionOffsetInput], { nullable: true, description: "Next offset of every partition, as answers carry it." })
  position?: PartitionOffsetInput[] | null
  @Field(() => DateTime, { nullable: true, description: "Receive time: what had been received then. Of each partition the records before the first one received later." })
  time?: number | null
}

@InputType()
export class DimensionValue {
  @Field(() => String)
  name!: string
  @Field(() => String)
  value!: string
}

@InputType({ description: "The dimension has any of these values." })
export class DimensionFilter {
  @Field(() => String)
  name!: string
  @Field(() => [String])
  in!: string[]
}

@InputType({ description: "A path in the payload, such as data.page; every condition given has to hold." })
export class FieldFilter {
  @Field(() => String)
  path!: string
  @Field(() => String, { nullable: true })
  equals?: string | null
  @Field(() => [String], { nullable: true })
  in?: string[] | null
  @Field(() => String, { nullable: true })
  contains?: string | null
}

@InputType()
export class EventFilter {
  @Field(() => DateTime, { nullable: true })
  from?: number | null
  @Field(() => DateTime, { nullable: true })
  to?: number | null
  @Field(() => [String], { nullable: true })
  types?: string[] | null
  @Field(() => String, { nullable: true })
  userId?: string | null
  @Field(() => String, { nullable: true })
  sessionId?: string | null
  @Field(() => String, { nullable: true, description: "Contained anywhere in the record, whatever its case." })
  text?: string | null
  @Field(() => [FieldFilter], { nullable: true })
  where?: FieldFilter[] | null
}
