/** Dead letters: the events that a projection could not fold, and whether the definition that is shipped would. */
import { deadEvent, deadLetters, foldTestOf } from "@tidemark/queries/deadLetters"
import * as Effect from "effect/Effect"
import { Arg, Ctx, FieldResolver, Int, Query, Resolver, Root } from "type-graphql"
import type { ApiContext } from "../context.ts"
import { ask } from "../context.ts"
import { DeadLetter, DeadLetterConnection, LoggedEvent } from "../schema/log.ts"
import { hashSeed } from "./hashSeed.ts"
import { paging } from "./LogResolver.ts"
import { connection, eventShape } from "./shapes.ts"

const eventOf = ({ partition, offset }: DeadLetter, context: ApiContext) =>
  ask(context, "deadLetterEvent", deadEvent({ partition, offset: BigInt(offset) }, context.tenantId))

@Resolver(() => DeadLetter)
export class DeadLetterResolver {
  @Query(() => DeadLetterConnection, { description: "In log order. They are counted by no window; a rebuild with a definition that can fold them counts them." })
  async deadLetters(
    @Ctx() context: ApiContext,
    @Arg("projection", () => String) projection: string,
    @Arg("first", () => Int, { nullable: true }) first?: number | null,
    @Arg("after", () => String, { nullable: true }) after?: string | null
  ): Promise<DeadLetterConnection> {
    const question = Effect.gen(function* () {
      const page = yield* deadLetters({ projection, ...paging(first, after) }, context.tenantId)
      const definition = context.rebuilds?.shippedBeside(projection, page.definitionHash)
      return { page, shipped: definition === undefined ? undefined : { version: definition.version, folds: foldTestOf(definition, yield* hashSeed) } }
    })
    const { page, shipped } = await ask(context, "deadLetters", question)
    return connection(page, ({ partition, offset, code, pointer }) => ({ partition, offset: offset.toString(), code, pointer, shipped }))
  }

  @FieldResolver(() => LoggedEvent, { nullable: true, description: "Null where the record is no event that can be read, or is no longer stored." })
  async event(@Root() letter: DeadLetter, @Ctx() context: ApiContext): Promise<LoggedEvent | null> {
    const found = await eventOf(letter, context)
    return found === null ? null : eventShape(found)
  }

  @FieldResolver(() => Int, { nullable: true, description: "Version of the shipped definition, where a rebuild with it would count the event; null where it would not, and where it is the one that is served." })
  async foldedByVersion(@Root() letter: DeadLetter, @Ctx() context: ApiContext): Promise<number | null> {
    const { shipped } = letter
    const found = shipped === undefined ? null : await eventOf(letter, context)
    return shipped !== undefined && found !== null && shipped.folds(letter, found) ? shipped.version : null
  }
}
