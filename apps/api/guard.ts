/** What is refused before anything is executed, over HTTP and sockets alike. */
import { EnvelopArmor } from "@escape.tech/graphql-armor"
import type { GraphQLError, GraphQLSchema } from "graphql"
import { createYoga } from "graphql-yoga"
import type { Plugin } from "graphql-yoga"
import { costRule } from "./costLimit.ts"
import type { ApiContext } from "./context.ts"
import { toGraphQLError, toRequestError } from "./errors.ts"

/** Limits of one request. */
export const REQUEST_LIMITS = { depth: 8, aliases: 15, tokens: 1_000, directives: 50, cost: 5_000 } as const

const armor = () =>
  new EnvelopArmor({
    maxDepth: { n: REQUEST_LIMITS.depth },
    maxAliases: { n: REQUEST_LIMITS.aliases },
    maxTokens: { n: REQUEST_LIMITS.tokens },
    maxDirectives: { n: REQUEST_LIMITS.directives },
    // The schema is public, by introspection too: hiding what was meant would only make a misspelling hard to find.
    blockFieldSuggestion: { enabled: false },
    costLimit: { enabled: false }
  }).protect().plugins

/** Errors as clients see them; without data nothing was executed, and that is the request's fault. */
export const tellErrors = (errors: readonly GraphQLError[], executed: boolean): readonly GraphQLError[] =>
  errors.map((error) => (executed ? toGraphQLError(error) : toRequestError(error)))

/** The armor's own cost multiplies page sizes written as numbers but not those in variables; this one needs neither. */
const costLimit: Plugin = { onValidate: ({ addValidationRule }) => addValidationRule(costRule(REQUEST_LIMITS.cost)) }

const telling: Plugin = {
  onResultProcess: ({ result, setResult }) => {
    if (Array.isArray(result) || Symbol.asyncIterator in result || result.errors === undefined) return
    setResult({ ...result, errors: tellErrors(result.errors, "data" in result) })
  }
}

/** The query engine behind both transports. */
export const makeYoga = (schema: GraphQLSchema) =>
  createYoga<ApiContext>({
    schema,
    plugins: [...armor(), costLimit, telling],
    graphqlEndpoint: "/graphql",
    graphiql: false,
    landingPage: false,
    batching: false,
    multipart: false,
    cors: false,
    maskedErrors: false,
    logging: false
  })

export type Yoga = ReturnType<typeof makeYoga>
