/** Projection definitions as data. Rules: docs/semantics.md §6. */
import { sha256 } from "@noble/hashes/sha2.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"
import { upcasterSetHash } from "../events/upcasters.ts"
import { SCALE_DEFAULT, SCALE_MAX } from "../measures/decimal.ts"
import type { MeasureSpec } from "../measures/measure.ts"
import { canonicalJson } from "./canonicalJson.ts"
import { HELPERS } from "./eventHelpers.ts"
import { ExpressionSyntaxError, readExpression } from "./expressionSyntax.ts"

/** An event type a projection takes; `*` is every type that is not named. */
export interface HandledType {
  readonly type: string
  readonly upcastTo?: number
}

/** A projection as it stands in a generation: every default filled in, names in code-unit order. */
export interface ProjectionDefinition {
  readonly name: string
  readonly version: number
  readonly handles: readonly HandledType[]
  readonly filter?: string
  readonly window: { readonly sizeMs: number; readonly outOfOrdernessMs: number; readonly reviseWithinMs: number }
  readonly key: Readonly<Record<string, string>>
  readonly measures: Readonly<Record<string, MeasureSpec>>
  readonly keyMax: number
  readonly retentionDays?: number
  readonly textBytesMax: number
}

/** What a definition must say; the rest has defaults. */
export type DefinitionInput = Pick<ProjectionDefinition, "name" | "version" | "handles" | "key" | "measures"> &
  Partial<Omit<ProjectionDefinition, "window">> & { readonly window?: Partial<ProjectionDefinition["window"]> }

const WINDOW_DEFAULTS = { sizeMs: 60_000, outOfOrdernessMs: 10_000, reviseWithinMs: 604_800_000 }
const HOUR_MS = 3_600_000
const NAME = /^[A-Za-z]\w{0,63}$/
const FIELDS = new Set(["name", "version", "handles", "filter", "window", "key", "measures", "keyMax", "retentionDays", "textBytesMax"])
const MEASURE_FIELDS: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ["count", new Set(["kind", "where", "required", "of"])],
  ["sum", new Set(["kind", "where", "required", "of", "negateWhere", "scale"])],
  ["min", new Set(["kind", "where", "required", "of", "scale"])],
  ["max", new Set(["kind", "where", "required", "of", "scale"])],
  ["uniques", new Set(["kind", "where", "required", "of"])],
  ["quantiles", new Set(["kind", "where", "required", "of", "scale"])]
])
const EXPRESSION_FIELDS = ["where", "of", "negateWhere"] as const

const demand = (holds: boolean, what: string): void => {
  if (!holds) throw new RangeError(`definition: ${what}`)
}
const isNatural = (value: unknown, least: number): boolean => typeof value === "number" && Number.isSafeInteger(value) && value >= least
const isDocument = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
const demandFields = (value: unknown, known: ReadonlySet<string>, where: string): void => {
  demand(isDocument(value), where === "" ? "document" : where)
  for (const field of Object.keys(value as object)) demand(known.has(field), `unknown field ${where}${where === "" ? "" : "."}${field}`)
}
const inNameOrder = <A>(fields: Readonly<Record<string, A>>): Record<string, A> =>
  Object.fromEntries(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)))

const withScale = (name: string, spec: MeasureSpec): MeasureSpec => {
  const where = `measures.${name}`
  demand(NAME.test(name) && isDocument(spec), where)
  const known = MEASURE_FIELDS.get(spec.kind)
  if (known === undefined) throw new RangeError(`definition: ${where}.kind`)
  demandFields(spec, known, where)
  demand(typeof spec.of === "string" || (spec.kind === "count" && spec.of === undefined), `${where}.of`)
  demand(spec.required === undefined || (typeof spec.required === "boolean" && spec.of !== undefined), `${where}.required`)
  if (spec.kind === "count" || spec.kind === "uniques") return spec
  const scale = spec.scale ?? SCALE_DEFAULT
  demand(isNatural(scale, 0) && scale <= SCALE_MAX, `${where}.scale`)
  return { ...spec, scale }
}

const handlesInOrder = (handles: readonly HandledType[]): HandledType[] => {
  demand(Array.isArray(handles) && handles.length > 0, "handles")
  for (const handle of handles) {
    demandFields(handle, new Set(["type", "upcastTo"]), "handles")
    demand(typeof handle.type === "string" && handle.type !== "" && (handle.upcastTo === undefined || isNatural(handle.upcastTo, 1)), "handles")
  }
  demand(new Set(handles.map(({ type }) => type)).size === handles.length, "handles name a type twice")
  return [...handles].sort((a, b) => (a.type < b.type ? -1 : 1))
}

/** Where each expression stands, and its text. */
const expressionsOf = (definition: ProjectionDefinition): (readonly [where: string, text: unknown])[] => {
  const found: (readonly [string, unknown])[] = Object.entries(definition.key).map(([name, text]) => [`key.${name}`, text])
  if (definition.filter !== undefined) found.push(["filter", definition.filter])
  for (const [name, spec] of Object.entries(definition.measures)) {
    const fields: Partial<Record<(typeof EXPRESSION_FIELDS)[number], string>> = spec
    for (const field of EXPRESSION_FIELDS) if (fields[field] !== undefined) found.push([`measures.${name}.${field}`, fields[field]])
  }
  return found
}

/** Fills in the defaults, sorts the names, checks everything but the expressions. Throws `RangeError`. */
const complete = (input: DefinitionInput): ProjectionDefinition => {
  demandFields(input, FIELDS, "")
  demandFields(input.window ?? {}, new Set(Object.keys(WINDOW_DEFAULTS)), "window")
  demand(isDocument(input.key), "key")
  demand(isDocument(input.measures) && Object.keys(input.measures).length > 0, "measures")
  const definition: ProjectionDefinition = {
    ...input,
    handles: handlesInOrder(input.handles),
    window: { ...WINDOW_DEFAULTS, ...input.window },
    key: inNameOrder(input.key),
    measures: inNameOrder(Object.fromEntries(Object.entries(input.measures).map(([name, spec]) => [name, withScale(name, spec)]))),
    keyMax: input.keyMax ?? 10_000,
    textBytesMax: input.textBytesMax ?? 512
  }
  demand(typeof definition.name === "string" && /^[a-z][a-z0-9-]{0,63}$/.test(definition.name), "name")
  demand(isNatural(definition.version, 1), "version")
  const { sizeMs, outOfOrdernessMs, reviseWithinMs } = definition.window
  demand(isNatural(sizeMs, 1) && HOUR_MS % sizeMs === 0, "window.sizeMs is no part of an hour")
  demand(isNatural(outOfOrdernessMs, 0), "window.outOfOrdernessMs")
  demand(isNatural(reviseWithinMs, 0), "window.reviseWithinMs")
  demand(isNatural(definition.keyMax, 1), "keyMax")
  demand(isNatural(definition.textBytesMax, 64), "textBytesMax")
  demand(definition.retentionDays === undefined || isNatural(definition.retentionDays, 1), "retentionDays")
  for (const name of Object.keys(definition.key)) demand(NAME.test(name), `key.${name}`)
  for (const [where, text] of expressionsOf(definition)) demand(typeof text === "string", where)
  return definition
}

/**
 * Validates, fills in the defaults, and sorts dimensions, measures and handled types by name.
 * Throws `RangeError` naming the field that is wrong (and the character of an expression), or
 * `DefinitionMissingError` for a helper this binary lacks.
 */
export const defineProjection = (input: DefinitionInput): ProjectionDefinition => {
  const definition = complete(input)
  for (const [where, text] of expressionsOf(definition)) {
    try {
      readExpression(String(text))
    } catch (cause) {
      if (!(cause instanceof ExpressionSyntaxError)) throw cause
      throw new RangeError(`definition: ${where}, character ${cause.at}: ${cause.detail}`, { cause })
    }
  }
  return definition
}

/** Reads a stored definition without its expressions, which `compileDefinition` reads. Throws `RangeError` or `SyntaxError`. */
export const parseDefinition = (json: string): ProjectionDefinition => complete(JSON.parse(json) as DefinitionInput)

/**
 * SHA-256, 64 hex characters, of the document with the upcasters and helpers it relies on.
 * Throws `ExpressionSyntaxError` or `DefinitionMissingError` when this binary cannot run it.
 */
export const definitionHash = (definition: ProjectionDefinition): string => {
  const called = new Set(expressionsOf(definition).flatMap(([, text]) => [...readExpression(String(text)).helpers]))
  const helpers = Object.fromEntries([...called].map((name) => [name, HELPERS.get(name)?.version]))
  return bytesToHex(sha256(utf8ToBytes(canonicalJson({ definition, upcasters: upcasterSetHash(definition.handles), helpers }))))
}
