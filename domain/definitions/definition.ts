/** Projection definitions as data. Rules: docs/semantics.md §6. */
import { sha256 } from "@noble/hashes/sha2.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"
import { upcasterSetHash } from "../events/upcasters.ts"
import type { MeasureSpec } from "../measures/measure.ts"
import { canonicalJson } from "./canonicalJson.ts"
import { HELPER_SET } from "./expression.ts"

/** An event type a projection takes; `*` is every type. */
export interface HandledType {
  readonly type: string
  readonly upcastTo?: number
}

/** A projection as it stands in a generation. */
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
export type DefinitionInput = Pick<ProjectionDefinition, "name" | "version" | "handles" | "key" | "measures"> & Partial<ProjectionDefinition>

const KINDS = new Set(["count", "sum", "min", "max", "uniques", "quantiles"])

const demand = (holds: boolean, what: string): void => {
  if (!holds) throw new RangeError(`definition: ${what}`)
}
const natural = (value: unknown, least: number): boolean => Number.isSafeInteger(value) && (value as number) >= least

/** Validates and fills in the defaults. Throws `RangeError` naming the field that is wrong. */
export const defineProjection = (input: DefinitionInput): ProjectionDefinition => {
  const definition: ProjectionDefinition = {
    ...input,
    window: input.window ?? { sizeMs: 60_000, outOfOrdernessMs: 10_000, reviseWithinMs: 604_800_000 },
    keyMax: input.keyMax ?? 10_000,
    textBytesMax: input.textBytesMax ?? 512
  }
  demand(/^[a-z][a-z0-9-]{0,63}$/.test(definition.name), "name")
  demand(natural(definition.version, 1), "version")
  demand(Array.isArray(definition.handles) && definition.handles.length > 0, "handles")
  for (const { type, upcastTo } of definition.handles) demand(typeof type === "string" && type !== "" && (upcastTo === undefined || natural(upcastTo, 1)), "handles")
  const { sizeMs, outOfOrdernessMs, reviseWithinMs } = definition.window
  demand(natural(sizeMs, 1) && natural(outOfOrdernessMs, 0) && natural(reviseWithinMs, 0), "window")
  demand(natural(definition.keyMax, 1), "keyMax")
  demand(natural(definition.textBytesMax, 64), "textBytesMax")
  demand(definition.retentionDays === undefined || natural(definition.retentionDays, 1), "retentionDays")
  demand(Object.values(definition.key).every((text) => typeof text === "string"), "key")
  for (const [name, spec] of Object.entries(definition.measures)) {
    demand(/^[A-Za-z]\w*$/.test(name) && KINDS.has(spec.kind) && (spec.kind === "count" || typeof spec.of === "string"), `measures.${name}`)
    if ("scale" in spec) demand(natural(spec.scale, 0) && spec.scale! <= 18, `measures.${name}.scale`)
  }
  return definition
}

/** Reads a stored definition. Throws `RangeError` or `SyntaxError`. */
export const parseDefinition = (json: string): ProjectionDefinition => {
  const value = JSON.parse(json) as DefinitionInput | null
  demand(typeof value === "object" && value !== null && typeof value.key === "object" && typeof value.measures === "object", "document")
  return defineProjection(value!)
}

/** SHA-256, 64 hex characters, of the document with the upcasters and helpers it relies on. */
export const definitionHash = (definition: ProjectionDefinition): string =>
  bytesToHex(sha256(utf8ToBytes(canonicalJson({ definition, upcasters: upcasterSetHash(), helpers: HELPER_SET }))))
