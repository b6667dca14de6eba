/** JSON Schemas of event types, compiled once; patterns run in linear time. Rules: docs/semantics.md §2 (schemaversion). */
import { Ajv } from "ajv"
import { Ajv2020 } from "ajv/dist/2020.js"
import type { AnySchema, ErrorObject, Options, ValidateFunction } from "ajv"
import addFormatsModule from "ajv-formats"
import { RE2JS } from "re2js"
import type { Rejection } from "./splitBody.ts"
import { kindOf } from "./validateEvent.ts"

export interface EventSchema {
  readonly type: string
  /** From 1. */
  readonly version: number
  readonly schema: AnySchema
}

/** A schema that cannot be used: not compilable, remote `$ref`, `$data`, asynchronous, or given twice. */
export class SchemaRefusedError extends Error {
  override readonly name = "SchemaRefusedError"
}

export interface SchemaMatch {
  readonly kind: "match"
  /** 0 = the type has no schema. */
  readonly version: number
  readonly hint?: string | undefined
}

export interface SchemaRegistry {
  /** Checks data (undefined = none) against the asked version, else the newest. */
  readonly check: (type: string, version: number | undefined, data: unknown) => SchemaMatch | (Rejection & { readonly kind: "mismatch" })
}

const linearRegExp = Object.assign((pattern: string) => RE2JS.compile(RE2JS.translateRegExp(pattern)), { code: "linearRegExp" })

const OPTIONS: Options = {
  strictTypes: false,
  strictTuples: false,
  strictRequired: false,
  ownProperties: true,
  verbose: true,
  logger: false,
  code: { regExp: linearRegExp }
}

const isDraft7 = (schema: AnySchema): boolean =>
  typeof schema === "object" && typeof schema["$schema"] === "string" && schema["$schema"].includes("draft-07")

/** A schema is held against its meta-schema by one instance per draft: compiling that one takes longer than all our schemas. */
const WITHOUT_META = { ...OPTIONS, meta: false, validateSchema: false } as const

const metas = new Map<boolean, Ajv | Ajv2020>()

const metaOf = (draft7: boolean): Ajv | Ajv2020 => {
  const known = metas.get(draft7)
  if (known !== undefined) return known
  const fresh = draft7 ? new Ajv(OPTIONS) : new Ajv2020(OPTIONS)
  metas.set(draft7, fresh)
  return fresh
}

const compile = ({ type, version, schema }: EventSchema): ValidateFunction => {
  if (!Number.isSafeInteger(version) || version < 1) throw new SchemaRefusedError(`${type}: a schema version is an integer from 1`)
  if (typeof schema === "object" && schema["$async"] !== undefined) throw new SchemaRefusedError(`${type} v${version}: $async is not taken`)
  try {
    const draft7 = isDraft7(schema)
    metaOf(draft7).validateSchema(schema, true)
    const ajv = draft7 ? new Ajv(WITHOUT_META) : new Ajv2020(WITHOUT_META)
    addFormatsModule.default(ajv)
    return ajv.compile(schema)
  } catch (cause) {
    throw new SchemaRefusedError(`${type} v${version}: ${cause instanceof Error ? cause.message : "cannot be compiled"}`, { cause })
  }
}

const escapePointer = (key: string): string => key.replaceAll("~", "~0").replaceAll("/", "~1")

const mismatch = (code: string, pointer: string, detail: string, hint?: string) => ({ kind: "mismatch", code, pointer, detail, hint }) as const

const schemaFault = (error: ErrorObject | undefined) => {
  if (error === undefined) return mismatch("schema", "/data", "does not match the schema")
  const at = `/data${error.instancePath}`
  const params = error.params as Readonly<Record<string, unknown>>
  if (error.keyword === "type") return mismatch("schema", at, `expected ${[params["type"]].flat().join(" or ")}, got ${kindOf(error.data)}`)
  if (error.keyword === "required") return mismatch("schema", `${at}/${escapePointer(String(params["missingProperty"]))}`, "is required")
  if (error.keyword === "additionalProperties") return mismatch("schema", `${at}/${escapePointer(String(params["additionalProperty"]))}`, "is not in the schema")
  if (error.keyword === "enum" && Array.isArray(params["allowedValues"])) return mismatch("schema", at, `expected one of ${JSON.stringify(params["allowedValues"]).slice(0, 200)}`)
  return mismatch("schema", at, error.message ?? "does not match the schema")
}

/** Levenshtein distance, given up once it is above `distanceMax`. */
const isNear = (a: string, b: string, distanceMax: number): boolean => {
  if (Math.abs(a.length - b.length) > distanceMax) return false
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    if (Math.min(...next) > distanceMax) return false
    row = next
  }
  return (row[b.length] ?? 0) <= distanceMax
}

/** Compiles every schema now. Throws SchemaRefusedError. */
export const makeSchemaRegistry = (schemas: readonly EventSchema[]): SchemaRegistry => {
  const types = new Map<string, Map<number, ValidateFunction>>()
  const newestOf = new Map<string, number>()
  for (const schema of schemas) {
    const versions = types.get(schema.type) ?? new Map<number, ValidateFunction>()
    if (versions.has(schema.version)) throw new SchemaRefusedError(`${schema.type} v${schema.version} is given twice`)
    types.set(schema.type, versions.set(schema.version, compile(schema)))
    newestOf.set(schema.type, Math.max(schema.version, newestOf.get(schema.type) ?? 0))
  }
  const nearName = (type: string): string | undefined => {
    if (type.length > 128) return undefined
    const near = [...types.keys()].find((known) => isNear(type.toLowerCase(), known.toLowerCase(), 2))
    return near === undefined ? undefined : `did you mean ${near}?`
  }
  const check: SchemaRegistry["check"] = (type, asked, data) => {
    const versions = types.get(type)
    if (versions === undefined) {
      const hint = nearName(type)
      if (asked === undefined || asked === 0) return { kind: "match", version: 0, hint }
      return mismatch("schema-version", "/schemaVersion", `the type ${type.slice(0, 128)} has no schema`, hint)
    }
    const newest = newestOf.get(type) ?? 0
    const version = asked ?? newest
    const validate = versions.get(version)
    if (validate === undefined) return mismatch("schema-version", "/schemaVersion", `version ${version} is not known`, `the newest is ${newest}`)
    return validate(data) ? { kind: "match", version } : schemaFault(validate.errors?.[0])
  }
  return { check }
}
