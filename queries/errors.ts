/** What a question can be answered with instead of a result: one tag for each thing the asker can do differently. */
import type { LogReadError, LogUnavailableError } from "@tidemark/domain/ports/EventLog"
import type { PubSubUnavailableError } from "@tidemark/domain/ports/PubSub"
import type { StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import type { RejectedLogError } from "@tidemark/domain/ports/RejectedLog"
import type { SearchUnavailableError } from "@tidemark/domain/ports/SearchIndex"
import * as Schema from "effect/Schema"

/** No projection of this name has an active generation. */
export class UnknownProjectionError extends Schema.TaggedError<UnknownProjectionError>()("UnknownProjectionError", {
  projection: Schema.String,
  valid: Schema.Array(Schema.String)
}) {}

/** The projection has no such dimension. */
export class UnknownDimensionError extends Schema.TaggedError<UnknownDimensionError>()("UnknownDimensionError", {
  projection: Schema.String,
  dimension: Schema.String,
  valid: Schema.Array(Schema.String)
}) {}

/** The projection has no such measure, or not this part of it. */
export class UnknownMeasureError extends Schema.TaggedError<UnknownMeasureError>()("UnknownMeasureError", {
  projection: Schema.String,
  measure: Schema.String,
  valid: Schema.Array(Schema.String)
}) {}

/** An argument that cannot be answered whatever the data is. */
export class BadArgumentError extends Schema.TaggedError<BadArgumentError>()("BadArgumentError", {
  argument: Schema.String,
  detail: Schema.String
}) {}

/** The answer would be larger than `max`; `limit` names it. Ask for less. */
export class LimitError extends Schema.TaggedError<LimitError>()("LimitError", {
  limit: Schema.String,
  max: Schema.Int,
  wanted: Schema.Int
}) {}

/**
 * The event was not found in as many of the newest records as one search looks at, at most repetitions of it; older ones
 * were not searched. Name the place.
 */
export class SearchBoundError extends Schema.TaggedError<SearchBoundError>()("SearchBoundError", {
  records: Schema.Int,
  /** Records among them that repeat the event, or may. */
  repetitions: Schema.Int
}) {}

/** The cursor is not one of ours, or its generation is gone. Start again from the first page. */
export class CursorError extends Schema.TaggedError<CursorError>()("CursorError", {
  detail: Schema.String
}) {}

/** Stored data of this generation cannot be read by this program. */
export class ModelUnreadableError extends Schema.TaggedError<ModelUnreadableError>()("ModelUnreadableError", {
  projection: Schema.String,
  generation: Schema.Int,
  cause: Schema.Defect()
}) {}

export type QueryError =
  | UnknownProjectionError
  | UnknownDimensionError
  | UnknownMeasureError
  | BadArgumentError
  | LimitError
  | SearchBoundError
  | CursorError
  | ModelUnreadableError
  | StoreUnavailableError
  | LogUnavailableError
  | LogReadError
  | SearchUnavailableError
  | RejectedLogError
  | PubSubUnavailableError
