/** Generations of a projection, and what each holds and takes. */
import type { StoredGeneration } from "@tidemark/queries/generations"
import { Arg, Ctx, FieldResolver, Query, Resolver, Root } from "type-graphql"
import type { ApiContext } from "../context.ts"
import { ask } from "../context.ts"
import { Generation, GenerationSize } from "../schema/rebuilds.ts"
import { deskOf } from "./RebuildResolver.ts"
import { offsetsOf } from "./shapes.ts"

const shapeOf = ({ operates }: ApiContext, stored: StoredGeneration, served: StoredGeneration | undefined): Generation => {
  const { measures, halt } = stored
  const others = served?.measures ?? measures
  return {
    projection: stored.projection, generation: stored.generation, served: stored.isServed, definitionHash: stored.definitionHash, version: stored.version ?? null,
    changedMeasures: Object.keys(measures).filter((name) => measures[name] !== others[name]),
    missingMeasures: Object.keys(others).filter((name) => !(name in measures)),
    createdAt: stored.createdAtMs, position: offsetsOf(stored.position), lagEvents: String(stored.lagEvents), deadLetters: String(stored.deadLettered),
    halt: halt === undefined ? null : operates ? `${halt.code}: ${halt.detail}` : halt.code
  }
}

@Resolver(() => Generation)
export class GenerationResolver {
  @Query(() => [Generation], { description: "Those of the projection that are stored, by number; none of an unknown projection." })
  async generations(@Ctx() context: ApiContext, @Arg("projection", () => String) projection: string): Promise<Generation[]> {
    const found = await ask(context, "generations", deskOf(context).generations(projection))
    const served = found.find(({ isServed }) => isServed)
    return found.map((stored) => shapeOf(context, stored, served))
  }

  @FieldResolver(() => GenerationSize, { nullable: true, description: "Null where it was dropped meanwhile." })
  async size(@Root() { projection, generation }: Generation, @Ctx() context: ApiContext): Promise<GenerationSize | null> {
    const size = await ask(context, "generations", deskOf(context).generationSize({ projection, generation }))
    return size === undefined ? null : { rows: String(size.rows), bytes: String(size.bytes) }
  }
}
