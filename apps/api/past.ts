/** Reading a model as it is or as of an earlier position, for one question. */
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { modelAt, openModel } from "@tidemark/queries/openModel"
import type { OpenModel, ReadableModel } from "@tidemark/queries/openModel"
import { openPast } from "@tidemark/replay/past"
import type { AsOf } from "@tidemark/replay/pastPosition"
import type { PastError } from "@tidemark/replay/pastReading"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { GraphQLError } from "graphql"
import { answerOnce } from "./answerCache.ts"
import type { ApiContext } from "./context.ts"
import { readPosition } from "./resolvers/shapes.ts"
import type { AsOfInput } from "./schema/common.ts"

/** Questions to the past read the log; only so many do at a time in one process, the others wait their turn. */
const TURNS = 2
const turns = Semaphore.makeUnsafe(TURNS)

/** Throws `BAD_ARGUMENT` unless exactly one of position and time is given. */
export const readAsOf = (asOf: AsOfInput | null | undefined): AsOf | undefined => {
  if (asOf === null || asOf === undefined) return undefined
  const { position, time } = asOf
  if (Array.isArray(position) && typeof time !== "number") return { position: readPosition(position) }
  if (!Array.isArray(position) && typeof time === "number") return { timeMs: time }
  throw new GraphQLError("asOf takes a position or a time, one of the two.", { extensions: { code: "BAD_ARGUMENT", argument: "asOf" } })
}

/** The model as of then. */
const past = Effect.fn("pastModel")(function* (model: OpenModel, asOf: AsOf) {
  const log = yield* EventLog
  const { snapshot, projection, generation, tenantId } = model
  const { prefixes, scan } = yield* openPast({ snapshot, projection, generation, tenantId, asOf })
  const readable: ReadableModel<PastError> = modelAt(model, prefixes, { scan: (query, visit) => Effect.provideService(scan(query, visit), EventLog, log) })
  return readable
})

/** Asks a model as of each of these times or positions; undefined: as it is. All of them are of one snapshot. */
export const readModels = <A, E>(projection: string, tenantId: string, wanted: readonly (AsOf | undefined)[], question: (models: readonly ReadableModel<PastError>[]) => Effect.Effect<A, E>) => {
  const whole = Effect.scoped(Effect.gen(function* () {
    const model = yield* openModel(projection, tenantId)
    const models: ReadableModel<PastError>[] = []
    for (const asOf of wanted) models.push(asOf === undefined ? model : yield* past(model, asOf))
    return yield* question(models)
  }))
  return wanted.some((asOf) => asOf !== undefined) ? turns.withPermits(1)(whole) : whole
}

/** Asks a model as of `asOf`; undefined: as it is. */
export const readModel = <A, E>(projection: string, tenantId: string, asOf: AsOf | undefined, question: (model: ReadableModel<PastError>) => Effect.Effect<A, E>) =>
  readModels(projection, tenantId, [asOf], ([model]) => (model === undefined ? Effect.die(new Error("no model")) : question(model)))

/** As `readModel`, from the result cache if it holds the answer. `input`: every argument of the question but `asOf`. */
export const readModelOnce = <A, E>(context: ApiContext, operation: string, input: { readonly projection: string }, asOf: AsOf | undefined, question: (model: ReadableModel<PastError>) => Effect.Effect<A, E>) => {
  const keeping = { keepFromMs: context.keepAnswersFromMs, ...(context.metrics.cacheAsked === undefined ? {} : { asked: context.metrics.cacheAsked }) }
  const about = { operation, input, isPast: asOf !== undefined }
  return readModel(input.projection, context.tenantId, asOf, (model) => answerOnce(model, about, keeping, question(model)))
}
