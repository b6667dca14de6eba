/**
 * What became of one entry of the rejected log that was sent again: a stream of its own for each entry. It begins before
 * the event is appended, so that a redrive that broke off is known as one.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

const EVENTS = {
  "rejected.redrive.begun": Schema.Struct({ tenantId: Schema.String, entryId: Schema.String, eventId: Schema.String, atMs: Schema.Finite }),
  "rejected.redriven": Schema.Struct({
    tenantId: Schema.String,
    entryId: Schema.String,
    /** The id under which it is in the log. */
    eventId: Schema.String,
    /** `duplicate`: the log had an event of this id already. */
    outcome: Schema.Literals(["appended", "duplicate"]),
    /** Null for a duplicate. The offset is decimal text. */
    place: Schema.NullOr(Schema.Struct({ partition: Schema.Finite, offset: Schema.String })),
    atMs: Schema.Finite,
    actor: Schema.String,
    reason: Schema.String
  })
} as const

type Events = typeof EVENTS
export type RedriveEvent = { readonly [Type in keyof Events]: { readonly type: Type; readonly data: Events[Type]["Type"] } }[keyof Events]

/** How a redrive ended. */
export type Redriven = Events["rejected.redriven"]["Type"]

/** `redriven` null: it began and did not end, or not yet. */
export interface Redrive {
  readonly begunAtMs: number
  readonly redriven: Redriven | null
}

/** The event, "other" for another type, "corrupt" for content that cannot be read. */
export const readRedriveEvent = (type: string, data: unknown): RedriveEvent | "other" | "corrupt" => {
  if (type !== "rejected.redrive.begun" && type !== "rejected.redriven") return "other"
  const schema: Schema.Decoder<unknown> = EVENTS[type]
  return Option.match(Schema.decodeUnknownOption(schema)(data), { onNone: () => "corrupt" as const, onSome: (read) => ({ type, data: read }) as RedriveEvent })
}

/** The first end counts. */
export const evolveRedrive = (state: Redrive | undefined, event: RedriveEvent): Redrive =>
  event.type === "rejected.redrive.begun" ? (state ?? { begunAtMs: event.data.atMs, redriven: null }) : { begunAtMs: state?.begunAtMs ?? event.data.atMs, redriven: state?.redriven ?? event.data }
