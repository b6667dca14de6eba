/** What can happen to the rebuilds of a projection. Rules: docs/semantics.md §8. */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/** What a rebuild will read and write, estimated before it begins. Counts are decimal text. */
const Plan = Schema.Struct({
  events: Schema.String, bytes: Schema.String, seconds: Schema.NullOr(Schema.Finite),
  /** Rows that it will write, and about how many bytes; absent in plans of earlier versions. */
  rows: Schema.optionalKey(Schema.String),
  rowBytes: Schema.optionalKey(Schema.String),
  /** Free on the disk of the data directory, bytes; absent where the engines are elsewhere. */
  diskFreeBytes: Schema.optionalKey(Schema.String),
  /** Where the rate behind `seconds` comes from. */
  rateFrom: Schema.optionalKey(Schema.NullOr(Schema.Literals(["last-rebuild", "sample"])))
})

const Offsets = Schema.Array(Schema.Struct({ partition: Schema.Finite, nextOffset: Schema.String }))

/** What the comparison found; windows of minute, hour and day. `position`: next offsets, decimal text. */
const ParitySummary = Schema.Struct({
  /** Names the stored lists of differences; absent in comparisons that stored none. */
  comparisonId: Schema.optionalKey(Schema.String),
  /** Of another definition: windows recomputed from the log, and what is wrong with them. Null for the same one. `wholeRows`: of the whole generation, recomputed because no window was within the bounds. */
  sample: Schema.optionalKey(Schema.NullOr(Schema.Struct({ seed: Schema.Finite, windows: Schema.Finite, skipped: Schema.Finite, wholeRows: Schema.optionalKey(Schema.NullOr(Schema.Finite)), differing: Schema.Array(Schema.String) }))),
  /** Why the old generation has halted, and its next offsets: nothing was compared with it, and the sample is the proof. Absent or null where it has not. */
  servedHalt: Schema.optionalKey(Schema.NullOr(Schema.Struct({ code: Schema.String, detail: Schema.String, position: Offsets }))),
  /** Of the windows that are there in both, how many differ in a measure, or in `events`. */
  measures: Schema.optionalKey(Schema.Array(Schema.Struct({ measure: Schema.String, windows: Schema.Finite }))),
  /** The tenants with most differing windows. */
  tenants: Schema.optionalKey(Schema.Array(Schema.Struct({ tenantId: Schema.String, windows: Schema.Finite }))),
  /** Measures of one definition only; they are not compared. */
  addedMeasures: Schema.optionalKey(Schema.Array(Schema.String)),
  removedMeasures: Schema.optionalKey(Schema.Array(Schema.String)),
  sameDefinition: Schema.Boolean,
  compared: Schema.Finite,
  equal: Schema.Finite,
  differ: Schema.Finite,
  onlyOld: Schema.Finite,
  onlyNew: Schema.Finite,
  faults: Schema.Array(Schema.String),
  position: Offsets
})

const Of = { rebuildId: Schema.String, atMs: Schema.Finite }

const EVENTS = {
  "rebuild.planned": Schema.Struct({
    ...Of, projection: Schema.String, generation: Schema.Finite, fromGeneration: Schema.Finite,
    /** Canonical JSON, and its hash. */
    definition: Schema.String, definitionHash: Schema.String, reason: Schema.String, plan: Plan
  }),
  /** An executor of several works on it until then; it says so again before that. Changes nothing of the rebuild. */
  "rebuild.claimed": Schema.Struct({ ...Of, executor: Schema.String, untilMs: Schema.Finite }),
  /** The executor has come to the next phase. */
  "rebuild.moved": Schema.Struct({ ...Of, to: Schema.Literals(["preparing", "building", "catching_up", "verifying"]) }),
  "rebuild.verified": Schema.Struct({ ...Of, parity: ParitySummary }),
  /** Somebody wants it compared again: it is verified anew, with newer numbers. */
  "rebuild.comparison_asked": Schema.Struct(Of),
  /** How quickly it may fold, events a second; null: as quickly as others leave room. */
  "rebuild.capped": Schema.Struct({ ...Of, eventsPerSecondMax: Schema.NullOr(Schema.Finite) }),
  "rebuild.paused": Schema.Struct(Of),
  "rebuild.resumed": Schema.Struct(Of),
  "rebuild.failed": Schema.Struct({ ...Of, error: Schema.String }),
  "rebuild.aborted": Schema.Struct(Of),
  /** Somebody has looked at the differences; stored before the pointer moves. */
  "rebuild.accepted": Schema.Struct({ ...Of, note: Schema.String }),
  "rebuild.cut_over": Schema.Struct({ ...Of, pointerVersion: Schema.Finite }),
  "rebuild.rolled_back": Schema.Struct({ ...Of, pointerVersion: Schema.Finite }),
  /** The generation that was replaced is gone: the way back ends. */
  "rebuild.retired": Schema.Struct(Of)
} as const

type Events = typeof EVENTS
type Type = keyof Events

export type RebuildPlan = typeof Plan.Type
export type ParitySummary = typeof ParitySummary.Type
export type RebuildEvent = { readonly [Name in Type]: { readonly type: Name; readonly data: Events[Name]["Type"] } }[Type]

const isType = (type: string): type is Type => Object.hasOwn(EVENTS, type)

/** The event, "other" for another type, "corrupt" for content that cannot be read. */
export const readRebuildEvent = (type: string, data: unknown): RebuildEvent | "other" | "corrupt" => {
  if (!isType(type)) return "other"
  const schema: Schema.Codec<unknown, unknown> = EVENTS[type]
  return Option.match(Schema.decodeUnknownOption(schema)(data), { onNone: () => "corrupt" as const, onSome: (read) => ({ type, data: read }) as RebuildEvent })
}
