/** Dimensions of a projection's key: filters, break-downs, labels. */
import { OTHER, shorten } from "@tidemark/domain/definitions/dimensionText"
import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import type { KeyTexts, RowScan } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { UnknownDimensionError } from "./errors.ts"

export interface DimensionFilter {
  readonly name: string
  /** Any of these texts. */
  readonly in: readonly string[]
}

export interface Dimension {
  readonly name: string
  readonly value: string
}

/** Place of a dimension in the key. */
export const dimensionIndex = (projection: string, dimensions: readonly string[], name: string): Effect.Effect<number, UnknownDimensionError> => {
  const index = dimensions.indexOf(name)
  return index >= 0 ? Effect.succeed(index) : Effect.fail(new UnknownDimensionError({ projection, dimension: name, valid: dimensions }))
}

/** What the keys of a model depend on. */
export interface KeyModel {
  readonly projection: string
  readonly dimensions: readonly string[]
  readonly definition: { readonly textBytesMax: number }
  readonly seed: number
}

/** The text a row holds for a value asked for: long ones are stored shortened, and are found by their whole text too. */
export const storedText = ({ definition, seed }: KeyModel, text: string): string => shorten(text, definition.textBytesMax, seed)

/** Keys that are looked up one by one, each with a scan of its own; more are found in one pass over all rows of the range. */
const NAMED_KEYS_MAX = 4

/** What the filters of a question ask of a row. */
export interface KeyChoice {
  /** Every filter holds. */
  readonly keep: (key: readonly string[]) => boolean
  /**
   * Ids of the only keys that matter, the one that took the keys beyond the cap among them; undefined when the filters
   * leave a dimension open or name too many keys to look each up.
   */
  readonly keyIds: readonly string[] | undefined
  /** What the store may leave out unread: the row that took the keys beyond the cap is never among that. */
  readonly where: readonly KeyTexts[]
}

const namedKeys = (tenantId: string, values: readonly (ReadonlySet<string> | undefined)[]): readonly string[] | undefined => {
  let keys: readonly (readonly string[])[] = [[]]
  for (const texts of values) {
    if (texts === undefined || keys.length * texts.size > NAMED_KEYS_MAX) return undefined
    keys = keys.flatMap((key) => [...texts].map((text) => [...key, text]))
  }
  return [...new Set([...keys, values.map(() => OTHER)].map((key) => keyIdOf(tenantId, key)))]
}

/** What `where` asks of a tenant's rows: every filter must hold. */
export const chooseKeys = (
  model: KeyModel & { readonly tenantId: string }, where: readonly DimensionFilter[]
): Effect.Effect<KeyChoice, UnknownDimensionError> =>
  Effect.gen(function* () {
    const { projection, dimensions, tenantId } = model
    const values: (ReadonlySet<string> | undefined)[] = dimensions.map(() => undefined)
    for (const filter of where) {
      const index = yield* dimensionIndex(projection, dimensions, filter.name)
      const texts = new Set(filter.in.map((text) => storedText(model, text)))
      const known = values[index]
      values[index] = known === undefined ? texts : new Set([...known].filter((text) => texts.has(text)))
    }
    return {
      keep: (key: readonly string[]) => values.every((texts, index) => texts === undefined || texts.has(key[index] ?? "")),
      keyIds: dimensions.length === 0 ? undefined : namedKeys(tenantId, values),
      where: values.flatMap((texts, dimension) => (texts === undefined ? [] : [{ dimension, in: [...texts, OTHER] }]))
    }
  })

/** The scans that visit every row of the chosen keys. */
export const scansOf = (scan: RowScan, { keyIds, where }: KeyChoice): readonly RowScan[] => {
  if (keyIds !== undefined) return keyIds.map((keyId) => ({ ...scan, keyId }))
  return [where.length === 0 ? scan : { ...scan, where }]
}

/** The row that took the keys beyond the cap. A client's own text is escaped, so this is never one. */
export const isOther = (key: readonly string[]): boolean => key.length > 0 && key.every((text) => text === OTHER)

/** Names and texts of a key. */
export const labelled = (dimensions: readonly string[], key: readonly string[]): readonly Dimension[] =>
  dimensions.map((name, index) => ({ name, value: key[index] ?? "" }))
