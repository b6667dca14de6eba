import "reflect-metadata"
import { lexicographicSortSchema, printSchema } from "graphql"
import type { GraphQLSchema } from "graphql"
import { createPubSub } from "graphql-yoga"
import { buildSchemaSync } from "type-graphql"
import { AuditResolver } from "./resolvers/AuditResolver.ts"
import { ChangesResolver } from "./resolvers/ChangesResolver.ts"
import { DeadLetterResolver } from "./resolvers/DeadLetterResolver.ts"
import { GenerationResolver } from "./resolvers/GenerationResolver.ts"
import { LateResolver } from "./resolvers/LateResolver.ts"
import { LiveResolver } from "./resolvers/LiveResolver.ts"
import { LogResolver } from "./resolvers/LogResolver.ts"
import { ModelResolver } from "./resolvers/ModelResolver.ts"
import { ProjectionResolver } from "./resolvers/ProjectionResolver.ts"
import { RebuildResolver } from "./resolvers/RebuildResolver.ts"
import { RejectedResolver } from "./resolvers/RejectedResolver.ts"

/**
 * The executable schema. Arguments are checked by their types and the questions themselves. The schema builder wants a
 * pub/sub although every subscription brings its own source; nothing is ever published on this one.
 */
export const buildApiSchema = (): GraphQLSchema =>
  buildSchemaSync({ resolvers: [ModelResolver, LogResolver, DeadLetterResolver, RejectedResolver, LiveResolver, ProjectionResolver, RebuildResolver, GenerationResolver, LateResolver, ChangesResolver, AuditResolver], validate: false, pubSub: createPubSub() })

/** The schema as committed in `schema.graphql`. */
export const schemaText = (): string => `${printSchema(lexicographicSortSchema(buildApiSchema()))}\n`
