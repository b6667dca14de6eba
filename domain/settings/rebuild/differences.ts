/**
 * The list of windows in which two generations differ, as a comparison leaves it behind: events of a stream of its own
 * for each comparison and tenant. The first counts everything; those after it hold the listed windows, page by page.
 * Counts are whole, the list may be cut. Rules: docs/semantics.md §8.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/** Windows of one page; every page but the last is full. */
export const DIFFERENCES_OF_PAGE = 50

/** How many windows of one measure, or of `events`, differ. */
const MeasureCount = Schema.Struct({ measure: Schema.String, windows: Schema.Finite })

const Figures = Schema.NullOr(Schema.Record(Schema.String, Schema.String))

/** The first event, in the order of the log, after which the two definitions have not the same of the window. */
const DivergingEvent = Schema.Struct({
  id: Schema.String,
  type: Schema.String,
  partition: Schema.Finite,
  /** Decimal text. */
  offset: Schema.String,
  /** The figures that differ, after it. */
  old: Schema.Record(Schema.String, Schema.String),
  new: Schema.Record(Schema.String, Schema.String)
})

/**
 * Why no event is named. ROWS_DIFFER: stored rows are not what the events give, or the definition is the same.
 * TOO_LARGE, NOT_SEARCHED: beyond the bounds of the search.
 * UNREADABLE: the log or a definition cannot be read.
 */
const NoEvent = Schema.Struct({ code: Schema.Literals(["ROWS_DIFFER", "TOO_LARGE", "NOT_SEARCHED", "UNREADABLE"]), detail: Schema.String })

/** One window of one key that is not the same in both; null: not there. */
const WindowDifference = Schema.Struct({
  tenantId: Schema.String,
  /** 0 minute, 1 hour, 2 day. */
  resolution: Schema.Literals([0, 1, 2]),
  startMs: Schema.Finite,
  key: Schema.Array(Schema.String),
  /** Figures by measure part, and the counts of events, as text. */
  old: Figures,
  new: Figures,
  /** LOGIC: the same events, another value. INPUT: other events, or rows that the definition does not explain. */
  cause: Schema.Literals(["LOGIC", "INPUT"]),
  /** One of the two is null. */
  firstDivergingEvent: Schema.NullOr(DivergingEvent),
  noEvent: Schema.NullOr(NoEvent)
})

const EVENTS = {
  "rebuild.differences.counted": Schema.Struct({
    compared: Schema.Finite,
    equal: Schema.Finite,
    differ: Schema.Finite,
    onlyOld: Schema.Finite,
    onlyNew: Schema.Finite,
    /** Of the windows that are there in both, the measures that differ. */
    measures: Schema.Array(MeasureCount),
    /** Windows in the pages; fewer than differ when the list is cut. */
    listed: Schema.Finite,
    /** Names of the key's parts, in the order of `key`. */
    oldDimensions: Schema.Array(Schema.String),
    newDimensions: Schema.Array(Schema.String)
  }),
  "rebuild.differences.listed": Schema.Struct({ differences: Schema.Array(WindowDifference) })
} as const

type Events = typeof EVENTS
type Type = keyof Events

export type MeasureCount = typeof MeasureCount.Type
export type DivergingEvent = typeof DivergingEvent.Type
export type NoEvent = typeof NoEvent.Type
export type WindowDifference = typeof WindowDifference.Type
export type DifferenceCounts = Events["rebuild.differences.counted"]["Type"]
export type DifferenceEvent = { readonly [Name in Type]: { readonly type: Name; readonly data: Events[Name]["Type"] } }[Type]

const isType = (type: string): type is Type => Object.hasOwn(EVENTS, type)

/** The event, or "corrupt" for another type and for content that cannot be read. */
export const readDifferenceEvent = (type: string, data: unknown): DifferenceEvent | "corrupt" => {
  if (!isType(type)) return "corrupt"
  const schema: Schema.Codec<unknown, unknown> = EVENTS[type]
  return Option.match(Schema.decodeUnknownOption(schema)(data), { onNone: () => "corrupt" as const, onSome: (read) => ({ type, data: read }) as DifferenceEvent })
}
