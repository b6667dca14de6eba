/**
 * Answers kept for who asks the same again. The key holds everything an answer depends on, so an entry never turns wrong
 * and nothing is ever invalidated; it only ages out. A cache that does not answer is a miss.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

export interface ResultKey {
  readonly tenantId: string
  readonly projection: string
  readonly pointerVersion: number
  readonly generation: number
  /** Where the snapshot stands that answers; every partition. */
  readonly position: readonly { readonly partition: number; readonly nextOffset: bigint }[]
  /** Canonical text of the question with all its arguments. */
  readonly question: string
}

/** Longer answers are not kept. */
export const RESULT_BYTES_MAX = 1024 * 1024

/** One text for equal keys, another for others: JSON, so that no part can imitate the border of two. */
export const resultKeyText = ({ tenantId, projection, pointerVersion, generation, position, question }: ResultKey): string => {
  const places = position.map(({ partition, nextOffset }) => [partition, nextOffset.toString()] as const).sort(([a], [b]) => a - b)
  return JSON.stringify([tenantId, projection, pointerVersion, generation, places, question])
}

export interface ResultCacheShape {
  /** The bytes put under this key, or nothing. Never fails, never waits long. */
  readonly get: (key: ResultKey) => Effect.Effect<Uint8Array | undefined>
  /** Keeps the bytes for a while, if it can. Never fails, never waits long. */
  readonly put: (key: ResultKey, value: Uint8Array) => Effect.Effect<void>
}

export class ResultCache extends Context.Service<ResultCache, ResultCacheShape>()("tidemark/ResultCache") {}
