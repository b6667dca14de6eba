/** What the background audit of this process has found. */
import { Field, Int, ObjectType } from "type-graphql"
import { DateTime } from "./scalars.ts"

@ObjectType({ description: "Windows that the audit left out, and why." })
export class AuditSkipped {
  @Field(() => String)
  reason!: string
  @Field(() => Int)
  windows!: number
}

@ObjectType({ description: "The background audit since this process started: stored windows of all tenants, chosen at random, are recomputed from the log by a path of their own and compared." })
export class Audit {
  @Field(() => DateTime)
  startedAt!: number
  @Field(() => Int)
  windows!: number
  @Field(() => Int, { description: "Must be 0." })
  differing!: number
  @Field(() => [AuditSkipped], { description: "Chosen and not recomputed, by reason, those that happened." })
  skipped!: AuditSkipped[]
  @Field(() => DateTime, { nullable: true, description: "When the last window was recomputed or skipped; null before the first." })
  lastAt!: number | null
  @Field(() => DateTime, { nullable: true, description: "When the last difference was found." })
  lastDifferenceAt!: number | null
  @Field(() => String, { nullable: true, description: "The last difference that was found; for the operator's key." })
  lastDifference!: string | null
}
