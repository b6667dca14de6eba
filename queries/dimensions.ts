/** Dimensions of a projection's key: filters, break-downs, labels. */
import { OTHER, shorten } from "@tidemark/domain/definitions/dimensionText"
import { Effect } from "effect"
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

/** A test of a row's key: every filter must hold. */
export const keyTest = (
  model: KeyModel, where: readonly DimensionFilter[]
): Effect.Effect<(key: readonly string[]) => boolean, UnknownDimensionError> =>
  Effect.gen(function* () {
    const { projection, dimensions } = model
    const filters: { readonly index: number; readonly values: ReadonlySet<string> }[] = []
    for (const filter of where) filters.push({ index: yield* dimensionIndex(projection, dimensions, filter.name), values: new Set(filter.in.map((text) => storedText(model, text))) })
    return (key: readonly string[]) => filters.every(({ index, values }) => values.has(key[index] ?? ""))
  })

/** The row that took the keys beyond the cap. A client's own text is escaped, so this is never one. */
export const isOther = (key: readonly string[]): boolean => key.length > 0 && key.every((text) => text === OTHER)

/** Names and texts of a key. */
export const labelled = (dimensions: readonly string[], key: readonly string[]): readonly Dimension[] =>
  dimensions.map((name, index) => ({ name, value: key[index] ?? "" }))
