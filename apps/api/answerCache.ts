/**
 * Answers of long questions, kept under everything they depend on: tenant, generation, position and the question itself.
 * Who asks the same at the same position, in any process, gets the same answer without the rows being read again.
 */
import { canonicalJson } from "@tidemark/domain/definitions/canonicalJson"
import { RESULT_BYTES_MAX, ResultCache } from "@tidemark/domain/ports/ResultCache"
import type { ResultKey } from "@tidemark/domain/ports/ResultCache"
import type { Provenance } from "@tidemark/queries/openModel"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** JSON with whole numbers of any size: `{"~n": "123"}` stands for the bigint 123; answers hold no such object themselves. */
const BIG = "~n"

const encode = (answer: unknown): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(answer, (_name, value: unknown) => (typeof value === "bigint" ? { [BIG]: value.toString() } : value)))

const decode = (bytes: Uint8Array): unknown =>
  JSON.parse(new TextDecoder().decode(bytes), (_name, value: unknown) => {
    const big = typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[BIG] : undefined
    return typeof big === "string" ? BigInt(big) : value
  })

export interface Question {
  readonly operation: string
  /** All arguments that change the answer. */
  readonly input: unknown
  /** The model is read as of an earlier position. */
  readonly isPast: boolean
}

export interface Keeping {
  /** An answer that took less than this, ms, is not worth an entry: the store is asked again. */
  readonly keepFromMs: number
  /** Tells whether an answer was found. */
  readonly asked?: (operation: string, hit: boolean) => void
}

/**
 * The answer kept for the model's position, or `compute`d and kept. Without a `ResultCache` among the services, and while
 * it does not answer, every answer is computed. `A` must be plain data: texts, finite numbers, bigints, lists, objects.
 */
export const answerOnce = <A, E, R>(model: Provenance & { readonly tenantId: string }, { operation, input, isPast }: Question, { keepFromMs, asked }: Keeping, compute: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const cache = yield* Effect.serviceOption(ResultCache)
    if (Option.isNone(cache)) return yield* compute
    const { tenantId, projection, pointerVersion, generation, position } = model
    const key: ResultKey = { tenantId, projection, pointerVersion, generation, position, question: canonicalJson([operation, isPast, input]) }
    const found = yield* cache.value.get(key)
    asked?.(operation, found !== undefined)
    // What is kept under a key was answered by this very code for the same question.
    if (found !== undefined) return decode(found) as A
    const startedMs = performance.now()
    const answer = yield* compute
    if (performance.now() - startedMs < keepFromMs) return answer
    const bytes = encode(answer)
    if (bytes.length <= RESULT_BYTES_MAX) yield* cache.value.put(key, bytes)
    return answer
  })
