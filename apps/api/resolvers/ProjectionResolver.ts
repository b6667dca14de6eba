/** Changes to live projections, for the operator's key; whether a rebuild is offered. */
import { Arg, Ctx, FieldResolver, Mutation, Resolver, Root } from "type-graphql"
import type { ApiContext } from "../context.ts"
import { ask } from "../context.ts"
import { Projection } from "../schema/models.ts"
import { changing } from "./RebuildResolver.ts"
import { projectionShape } from "./shapes.ts"

@Resolver(() => Projection)
export class ProjectionResolver {
  @FieldResolver(() => Boolean, { description: "The shipped definition is another one than the served: a rebuild would build it. Never started by itself." })
  rebuildOffered(@Root() { name, definitionHash }: Projection, @Ctx() { rebuilds }: ApiContext): boolean {
    return rebuilds?.isOffered(name, definitionHash) ?? false
  }

  @Mutation(() => Projection, { description: "Its read model stands still within a second and keeps answering; what comes meanwhile is folded once it is resumed. Survives restarts and cut-overs." })
  async pauseProjection(@Ctx() context: ApiContext, @Arg("name", () => String) name: string, @Arg("reason", () => String) reason: string): Promise<Projection> {
    const { desk, actor } = changing(context)
    return projectionShape(await ask(context, "pauseProjection", desk.pauseProjection(name, reason, actor, context.tenantId)))
  }

  @Mutation(() => Projection, { description: "Goes on from its checkpoints." })
  async resumeProjection(@Ctx() context: ApiContext, @Arg("name", () => String) name: string): Promise<Projection> {
    const { desk } = changing(context)
    return projectionShape(await ask(context, "resumeProjection", desk.resumeProjection(name, context.tenantId)))
  }
}
