/** Does an event match a filter? The same rules as search, for events that come by. */
import type { EventEnvelope } from "@tidemark/domain/events/event"
import type { EventFilter } from "./events.ts"

type FieldFilter = NonNullable<EventFilter["where"]>[number]

const decoder = new TextDecoder()

/** Text of the scalar at `data.a.b`, or `a.b` for short; undefined when there is none. */
const textAt = (data: unknown, steps: readonly string[]): string | undefined => {
  let value = data
  for (const step of steps) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined
    value = (value as Readonly<Record<string, unknown>>)[step]
  }
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? String(value) : undefined
}

const compileField = ({ path, equals, in: oneOf, contains }: FieldFilter): ((data: unknown) => boolean) => {
  const steps = path.split(".")
  if (steps[0] === "data") steps.shift()
  const part = contains?.toLowerCase()
  return (data) => {
    const text = textAt(data, steps)
    if (text === undefined) return false
    return (equals === undefined || text === equals) && (oneOf === undefined || oneOf.includes(text)) && (part === undefined || text.toLowerCase().includes(part))
  }
}

/** The filter as a question about one event and its record's bytes. Every condition given has to hold. */
export const compileFilter = (filter: EventFilter): ((event: EventEnvelope, record: Uint8Array) => boolean) => {
  const { fromMs = -Infinity, toMs = Infinity, types, userId, sessionId } = filter
  const text = filter.text?.toLowerCase()
  const fields = (filter.where ?? []).map(compileField)
  return (event, record) =>
    event.timeMs >= fromMs &&
    event.timeMs < toMs &&
    (types === undefined || types.includes(event.type)) &&
    (userId === undefined || event.userId === userId) &&
    (sessionId === undefined || event.sessionId === sessionId) &&
    fields.every((matches) => matches(event.data)) &&
    (text === undefined || decoder.decode(record).toLowerCase().includes(text))
}
