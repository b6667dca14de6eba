/** A JSON Schema document (2020-12). Patterns are plain enough for a linear-time engine. */
export type JsonSchema = Readonly<Record<string, unknown>>

/** One schema version of an event type, with payloads as clients sent them. */
export interface EventTypeVersion {
  readonly type: string
  /** From 1, without gaps. */
  readonly version: number
  readonly schema: JsonSchema
  /** Payloads that match the schema and always will. Never edited, only added to. */
  readonly fixtures: readonly Readonly<Record<string, unknown>>[]
}

/** Text that must say something. */
export const TEXT: JsonSchema = { type: "string", minLength: 1 }
/** Text that may be missing or null. */
export const TEXT_OR_NULL: JsonSchema = { type: ["string", "null"] }
/** A count of things or of `Ms` or bytes: an integer from 0. */
export const NATURAL: JsonSchema = { type: "integer", minimum: 0 }
/** Money, from 0: a decimal text or a JSON number, meaning its shortest decimal form. */
export const AMOUNT: JsonSchema = { type: ["string", "number"], minimum: 0, pattern: "^[0-9]{1,30}(\\.[0-9]{1,18})?$" }
/** ISO 4217 code. */
export const CURRENCY: JsonSchema = { type: "string", pattern: "^[A-Z]{3}$" }

/** Schema of a payload; fields it does not name are kept and not checked. */
export const payload = (properties: Readonly<Record<string, JsonSchema>>, required: readonly string[]): JsonSchema => ({
  type: "object", properties, required
})
