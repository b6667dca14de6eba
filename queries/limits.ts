/** Limits that answer before anything is read. */
import * as Effect from "effect/Effect"
import { BadArgumentError, LimitError } from "./errors.ts"

/** Points of one answer: windows × groups. */
export const BUCKETS_MAX = 10_000
/** Rows of one page. */
export const PAGE_MAX = 1_000
export const PAGE_DEFAULT = 50

/** `first`, or `otherwise` when absent. Fails outside 1 … PAGE_MAX. */
export const pageSize = (first: number | undefined, otherwise: number): Effect.Effect<number, BadArgumentError | LimitError> => {
  if (first === undefined) return Effect.succeed(otherwise)
  if (!Number.isInteger(first) || first < 1) return Effect.fail(new BadArgumentError({ argument: "first", detail: "must be an integer of at least 1" }))
  return first > PAGE_MAX ? Effect.fail(new LimitError({ limit: "first", max: PAGE_MAX, wanted: first })) : Effect.succeed(first)
}
