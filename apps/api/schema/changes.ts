/** What changed in a read model between two moments. */
import { Field, Int, ObjectType } from "type-graphql"
import { Dimension, Measure, PartitionOffset } from "./common.ts"
import { DateTime, WindowState } from "./scalars.ts"

@ObjectType({ description: "A moment of a read model." })
export class Moment {
  @Field(() => DateTime, { nullable: true })
  watermark!: number | null
  @Field(() => [PartitionOffset])
  position!: PartitionOffset[]
}

@ObjectType({ description: "A window and key at one moment." })
export class WindowFigures {
  @Field(() => WindowState)
  state!: WindowState
  @Field(() => String)
  events!: string
  @Field(() => String)
  corrections!: string
  @Field(() => [Measure])
  measures!: Measure[]
}

@ObjectType({ description: "A window and key that is not the same at two moments." })
export class WindowChange {
  @Field(() => [Dimension])
  key!: Dimension[]
  @Field(() => DateTime)
  start!: number
  @Field(() => DateTime)
  end!: number
  @Field(() => WindowFigures, { nullable: true, description: "Null: it was not there." })
  before!: WindowFigures | null
  @Field(() => WindowFigures, { nullable: true, description: "Null: it was not there." })
  after!: WindowFigures | null
}

@ObjectType({ description: "The windows that two moments of a read model do not agree on." })
export class WindowChanges {
  @Field(() => String)
  projection!: string
  @Field(() => Int)
  generation!: number
  @Field(() => Int)
  pointerVersion!: number
  @Field(() => Moment)
  before!: Moment
  @Field(() => Moment)
  after!: Moment
  @Field(() => Int, { description: "Windows and keys of the range that either moment has." })
  compared!: number
  @Field(() => Int, { description: "How many of them contain other events, or the same in another standing." })
  changed!: number
  @Field(() => [WindowChange], { description: "The first of them, oldest window first." })
  changes!: WindowChange[]
}
