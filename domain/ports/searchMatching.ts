/** Does an event match a search? Cheap questions first, the tenant before all others. */
import type { EventEnvelope } from "../events/event.ts"
import type { EventSearch } from "./SearchIndex.ts"

type FieldFilter = NonNullable<EventSearch["where"]>[number]

const decoder = new TextDecoder()

/** The value at `data.a.b`, or `a.b` for short, in the payload; undefined when a part of the path is missing. */
const valueAt = (data: unknown, steps: readonly string[]): unknown => {
  let value = data
  for (const step of steps) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined
    value = (value as Readonly<Record<string, unknown>>)[step]
  }
  return value
}

/** Texts, numbers and booleans can be compared, as text; nothing else matches. */
export const textOf = (value: unknown): string | undefined =>
  typeof value === "string" ? value : typeof value === "number" || typeof value === "boolean" ? String(value) : undefined

/** The steps of a path into the payload. */
export const pathSteps = (path: string): readonly string[] => {
  const steps = path.split(".")
  if (steps[0] === "data") steps.shift()
  return steps
}

const compileField = ({ path, equals, in: oneOf, contains }: FieldFilter): ((data: unknown) => boolean) => {
  const steps = pathSteps(path)
  const allowed = oneOf === undefined ? undefined : new Set(oneOf)
  const part = contains?.toLowerCase()
  return (data) => {
    const text = textOf(valueAt(data, steps))
    if (text === undefined) return false
    return (equals === undefined || text === equals) && (allowed === undefined || allowed.has(text)) && (part === undefined || text.toLowerCase().includes(part))
  }
}

/** The search as a question about one record: all conditions given have to hold. */
export const compileSearch = (query: EventSearch): ((event: EventEnvelope, record: Uint8Array) => boolean) => {
  const { tenantId, fromMs = -Infinity, toMs = Infinity, eventId, userId, sessionId } = query
  const types = query.types === undefined ? undefined : new Set(query.types)
  const text = query.text?.toLowerCase()
  const fields = (query.where ?? []).map(compileField)
  return (event, record) =>
    event.tenantId === tenantId &&
    event.timeMs >= fromMs &&
    event.timeMs < toMs &&
    (types === undefined || types.has(event.type)) &&
    (eventId === undefined || event.id === eventId) &&
    (userId === undefined || event.userId === userId) &&
    (sessionId === undefined || event.sessionId === sessionId) &&
    fields.every((matches) => matches(event.data)) &&
    (text === undefined || decoder.decode(record).toLowerCase().includes(text))
}
