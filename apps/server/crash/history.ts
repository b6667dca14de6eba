/**
 * The client's own account of what it sent, in plain sums: what must be counted in each window, whatever the server says.
 *
 * Each event carries a random 48-bit number w. Page views add w to a sum, orders add w²; with the number of events a
 * window that lost one event and counted another one twice cannot look right.
 */
export type Kind = "page.viewed" | "order.paid" | "poison"

export interface SentEvent {
  readonly id: string
  readonly kind: Kind
  readonly timeMs: number
  readonly w: number
  readonly userId: string
}

const MINUTE_MS = 60_000

export interface WindowSums {
  events: bigint
  /** Σw of page views, Σw² of orders. */
  sum: bigint
}

/** By `windowName`. */
export type Windows = Map<string, WindowSums>

export const windowName = (kind: Kind, startMs: number): string => `${kind} ${new Date(startMs).toISOString()}`

const addendOf = ({ kind, w }: SentEvent): bigint => (kind === "order.paid" ? BigInt(w) * BigInt(w) : BigInt(w))

/** Adds an event that must be counted. Poison is accepted and counted in no window. */
export const addExpected = (windows: Windows, event: SentEvent): void => {
  if (event.kind === "poison") return
  const name = windowName(event.kind, Math.floor(event.timeMs / MINUTE_MS) * MINUTE_MS)
  const sums = windows.get(name) ?? { events: 0n, sum: 0n }
  windows.set(name, { events: sums.events + 1n, sum: sums.sum + addendOf(event) })
}

/** The event as it goes over the wire. */
export const bodyOf = ({ id, kind, timeMs, w, userId }: SentEvent): object => {
  const common = { id, time: new Date(timeMs).toISOString(), userId }
  if (kind === "page.viewed") return { ...common, type: "page.viewed", schemaVersion: 2, data: { page: "/crash", durationMs: w } }
  const amount = kind === "poison" ? "0.1234567" : (BigInt(w) * BigInt(w)).toString()
  return { ...common, type: "order.paid", data: { orderId: id, amount, currency: "EUR" } }
}

export interface Balance {
  readonly lost: number
  readonly duplicated: number
  /** Windows whose number of events or sum is another one. */
  readonly differing: number
  readonly examples: readonly string[]
}

const EXAMPLES_MAX = 5

/** What was counted against what must be. */
export const balance = (expected: Windows, counted: Windows): Balance => {
  let [lost, duplicated, differing] = [0, 0, 0]
  const examples: string[] = []
  for (const name of new Set([...expected.keys(), ...counted.keys()])) {
    const want = expected.get(name) ?? { events: 0n, sum: 0n }
    const have = counted.get(name) ?? { events: 0n, sum: 0n }
    if (want.events > have.events) lost += Number(want.events - have.events)
    if (want.events < have.events) duplicated += Number(have.events - want.events)
    if (want.events === have.events && want.sum === have.sum) continue
    differing += 1
    if (examples.length < EXAMPLES_MAX) examples.push(`${name}: ${have.events} events with sum ${have.sum}, must be ${want.events} with ${want.sum}`)
  }
  return { lost, duplicated, differing, examples }
}
