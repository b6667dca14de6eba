/**
 * The projections of the simulation, each twice: as a definition, which the product runs, and as plain code, which the
 * oracle runs. Small caps and short horizons, so that a few hundred events reach every rule.
 */
import { defineProjection } from "@tidemark/domain/definitions/definition"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { Unfoldable, oracleDecimal } from "./oracleMeasures.ts"
import type { OracleKind } from "./oracleMeasures.ts"
import type { OracleEvent } from "./oracleRecord.ts"

export interface OracleMeasureRule {
  readonly name: string
  readonly kind: OracleKind
  /** What the event adds. Throws `Unfoldable`. */
  readonly valueOf: (event: OracleEvent, data: unknown) => bigint | string | null
}

/** A projection in plain code. Measures and dimensions in name order; times in ms. */
export interface OracleProjection {
  readonly name: string
  readonly handles: (type: string) => boolean
  /** The payload in the version that is folded. Throws `Unfoldable`. */
  readonly payloadOf: (event: OracleEvent) => unknown
  readonly keeps: (data: unknown) => boolean
  readonly dimensions: readonly { readonly name: string; readonly valueOf: (event: OracleEvent, data: unknown) => unknown }[]
  readonly measures: readonly OracleMeasureRule[]
  readonly sizeMs: number
  readonly outOfOrdernessMs: number
  readonly reviseWithinMs: number
  readonly keyMax: number
  readonly retentionDays: number | undefined
  readonly textBytesMax: number
}

export interface SimulatedProjection {
  readonly definition: ProjectionDefinition
  readonly twin: OracleProjection
}

const DAY_MS = 86_400_000

/** A field of a payload; null when it or the payload's object is missing. */
const field = (data: unknown, name: string, pointer: string): unknown => {
  if (typeof data !== "object" || data === null || Array.isArray(data) || !Object.keys(data).includes(name)) return null
  const value = (data as Readonly<Record<string, unknown>>)[name] ?? null
  if (typeof value !== "number") return value
  if (!Number.isFinite(value)) throw new Unfoldable("EXPRESSION", pointer)
  if (Math.abs(value) > 2 ** 53 - 1) throw new Unfoldable("UNSAFE_INTEGER", pointer)
  return value
}

const dimension = (name: string) => ({ name, valueOf: (_event: OracleEvent, data: unknown) => field(data, name, `/key/${name}`) })

const subject = ({ user, anonymous }: OracleEvent): string | null => (user !== undefined ? `u:${user}` : anonymous === undefined ? null : `a:${anonymous}`)

const pages: SimulatedProjection = {
  definition: defineProjection({
    name: "sim-pages", version: 1, handles: [{ type: "page.viewed", upcastTo: 2 }], key: { page: "event.data.page" }, keyMax: 2, textBytesMax: 64,
    window: { reviseWithinMs: 120_000 },
    measures: { views: { kind: "count" }, visitors: { kind: "uniques", of: "event.subject" }, duration: { kind: "quantiles", of: "event.data.durationMs" } }
  }),
  twin: {
    name: "sim-pages",
    handles: (type) => type === "page.viewed",
    payloadOf: ({ schemaVersion, data }) => {
      if (schemaVersion !== 1) return data
      if (typeof data !== "object" || data === null || Array.isArray(data)) throw new Unfoldable("UPCAST", "/data")
      const { durationSeconds: seconds, ...rest } = data as Readonly<Record<string, unknown>>
      if (seconds === undefined || seconds === null) return rest
      if (typeof seconds !== "number") throw new Unfoldable("UPCAST", "/data")
      return { ...rest, durationMs: Math.round(seconds * 1000) }
    },
    keeps: () => true,
    dimensions: [dimension("page")],
    measures: [
      {
        name: "duration", kind: "quantiles", valueOf: (_event, data) => {
          const value = field(data, "durationMs", "/measures/duration")
          return value === null ? null : oracleDecimal(value, false, "/measures/duration")
        }
      },
      { name: "views", kind: "count", valueOf: () => 1n },
      { name: "visitors", kind: "uniques", valueOf: subject }
    ],
    sizeMs: 60_000, outOfOrdernessMs: 10_000, reviseWithinMs: 120_000, keyMax: 2, retentionDays: undefined, textBytesMax: 64
  }
}

const amountOf = (data: unknown, isExact: boolean, pointer: string): bigint | null => {
  const value = field(data, "amount", pointer)
  return value === null ? null : oracleDecimal(value, isExact, pointer)
}

const money: SimulatedProjection = {
  definition: defineProjection({
    name: "sim-money", version: 1, handles: [{ type: "order.paid" }, { type: "order.refunded" }], filter: "event.data.live", key: { currency: "event.data.currency" },
    retentionDays: 1,
    measures: {
      amount: { kind: "sum", of: "event.data.amount", negateWhere: "event.type == 'order.refunded'", required: true },
      largest: { kind: "max", of: "event.data.amount" },
      orders: { kind: "count", where: "event.type == 'order.paid'" },
      smallest: { kind: "min", of: "event.data.amount" }
    }
  }),
  twin: {
    name: "sim-money",
    handles: (type) => type === "order.paid" || type === "order.refunded",
    payloadOf: ({ data }) => data,
    keeps: (data) => {
      const live = field(data, "live", "/filter")
      if (live !== null && typeof live !== "boolean") throw new Unfoldable("EXPRESSION", "/filter")
      return live === true
    },
    dimensions: [dimension("currency")],
    measures: [
      {
        name: "amount", kind: "sum", valueOf: (event, data) => {
          const amount = amountOf(data, true, "/measures/amount")
          if (amount === null) throw new Unfoldable("MEASURE_MISSING", "/measures/amount")
          return event.type === "order.refunded" ? -amount : amount
        }
      },
      { name: "largest", kind: "max", valueOf: (_event, data) => amountOf(data, false, "/measures/largest") },
      { name: "orders", kind: "count", valueOf: ({ type }) => (type === "order.paid" ? 1n : null) },
      { name: "smallest", kind: "min", valueOf: (_event, data) => amountOf(data, false, "/measures/smallest") }
    ],
    sizeMs: 60_000, outOfOrdernessMs: 10_000, reviseWithinMs: 7 * DAY_MS, keyMax: 10_000, retentionDays: 1, textBytesMax: 512
  }
}

const everything: SimulatedProjection = {
  definition: defineProjection({
    name: "sim-types", version: 1, handles: [{ type: "*" }], key: { backfill: "event.backfill", type: "event.type" }, keyMax: 2, window: { sizeMs: 30_000, outOfOrdernessMs: 0, reviseWithinMs: 0 },
    measures: { events: { kind: "count" }, users: { kind: "uniques", of: "event.userid" } }
  }),
  twin: {
    name: "sim-types",
    handles: () => true,
    payloadOf: ({ data }) => data,
    keeps: () => true,
    dimensions: [{ name: "backfill", valueOf: ({ backfill }) => backfill }, { name: "type", valueOf: ({ type }) => type }],
    measures: [
      { name: "events", kind: "count", valueOf: () => 1n },
      { name: "users", kind: "uniques", valueOf: ({ user }) => user ?? null }
    ],
    sizeMs: 30_000, outOfOrdernessMs: 0, reviseWithinMs: 0, keyMax: 2, retentionDays: undefined, textBytesMax: 512
  }
}

/** Cap and revision; money, filter and retention; every type in half minutes without patience. */
export const simulatedProjections: readonly SimulatedProjection[] = [pages, money, everything]

const changed = ({ definition, twin }: SimulatedProjection, change: Partial<Parameters<typeof defineProjection>[0]>, twinChange: Partial<OracleProjection>): SimulatedProjection =>
  ({ definition: defineProjection({ ...definition, version: 2, ...change }), twin: { ...twin, ...twinChange } })

/** The same projections as a later version defines them: more keys and a shorter revision, a longer retention, more keys. */
export const changedProjections: readonly SimulatedProjection[] = [
  changed(pages, { keyMax: 3, window: { reviseWithinMs: 30_000 } }, { keyMax: 3, reviseWithinMs: 30_000 }),
  changed(money, { retentionDays: 2 }, { retentionDays: 2 }),
  changed(everything, { keyMax: 5 }, { keyMax: 5 })
]
