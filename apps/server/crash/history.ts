/**
 * The client's own account of what it sent, in plain sums: what must be counted for each tenant, key and window, whatever
 * the server says.
 *
 * Each event carries a random 48-bit number w. Page views add w to a sum, orders add w²; with the number of events a
 * window that lost one event and counted another one twice cannot look right.
 */
export type Kind = "page.viewed" | "order.paid" | "poison" | "invalid"

export interface SentEvent {
  readonly tenant: string
  /** Its own within the tenant; other tenants use the same ones. */
  readonly id: string
  readonly kind: Kind
  /** Page or currency. */
  readonly key: string
  /** Later than now for the keys in `FUTURE`. */
  readonly timeMs: number
  readonly w: number
  readonly userId: string
}

const MINUTE_MS = 60_000

export const PAGES: readonly string[] = Array.from({ length: 20 }, (_, at) => `/crash/${at}`)
export const CURRENCIES: readonly string[] = ["EUR", "USD", "JPY"]

/** Keys of events from the future alone: the server counts them when it receives them, a moment that the client does not know. */
export const FUTURE = { page: "/crash/future", currency: "XTS" } as const

export interface WindowSums {
  events: bigint
  /** Σw of page views, Σw² of orders. */
  sum: bigint
}

/** By `windowName`. */
export type Windows = Map<string, WindowSums>

export interface WindowPlace {
  readonly tenant: string
  readonly kind: Kind
  readonly key: string
  readonly startMs: number
}

/** When the campaign ran, Unix ms. */
export interface Span {
  readonly fromMs: number
  readonly toMs: number
}

const minuteOf = (timeMs: number): number => Math.floor(timeMs / MINUTE_MS) * MINUTE_MS

const isFuture = (key: string): boolean => key === FUTURE.page || key === FUTURE.currency

/** Name of a counted window. One of the future's keys has the name of all of them, provided that it lies within the campaign. */
export const windowName = ({ tenant, kind, key, startMs }: WindowPlace, { fromMs, toMs }: Span): string =>
  `${tenant} ${kind} ${key} ${isFuture(key) && startMs >= minuteOf(fromMs) && startMs <= toMs ? "when received" : new Date(startMs).toISOString()}`

const addendOf = ({ kind, w }: SentEvent): bigint => (kind === "order.paid" ? BigInt(w) * BigInt(w) : BigInt(w))

/** Adds to a window. */
export const addSums = (windows: Windows, name: string, { events, sum }: WindowSums): void => {
  const sums = windows.get(name) ?? { events: 0n, sum: 0n }
  windows.set(name, { events: sums.events + events, sum: sums.sum + sum })
}

/** Adds an event that must be counted. Poison is accepted and counted in no window, what is invalid is not even accepted. */
export const addExpected = (windows: Windows, event: SentEvent): void => {
  const { tenant, kind, key, timeMs } = event
  if (kind === "poison" || kind === "invalid") return
  const name = isFuture(key) ? `${tenant} ${kind} ${key} when received` : windowName({ tenant, kind, key, startMs: minuteOf(timeMs) }, { fromMs: timeMs, toMs: timeMs })
  addSums(windows, name, { events: 1n, sum: addendOf(event) })
}

/** What makes an event invalid, laid over a page view that is valid. */
const FLAWS: readonly object[] = [
  { data: { durationMs: 1 } }, { data: { page: "/crash/0", durationMs: "long" } }, { schemaVersion: 99 },
  { type: "tidemark.heartbeat" }, { time: "yesterday" }, { type: "order.paid", schemaVersion: 1, data: { orderId: "1", currency: "EUR" } }
]

/** The event as it goes over the wire. */
export const bodyOf = ({ id, kind, key, timeMs, w, userId }: SentEvent): object => {
  const common = { id, time: new Date(timeMs).toISOString(), userId }
  const view = { ...common, type: "page.viewed", schemaVersion: 2, data: { page: key, durationMs: w } }
  if (kind === "page.viewed") return view
  if (kind === "invalid") return { ...view, ...FLAWS[w % FLAWS.length] }
  const amount = kind === "poison" ? "0.1234567" : (BigInt(w) * BigInt(w)).toString()
  return { ...common, type: "order.paid", data: { orderId: id, amount, currency: key } }
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

/** By tenant. */
export type Ids = ReadonlyMap<string, ReadonlySet<string>>

export interface LogBalance {
  /** Acknowledged, and not in the log. */
  readonly missingInLog: number
  /** In the log, and never acknowledged: refused or invented. */
  readonly strangeInLog: number
}

/** The ids in the log against those that were acknowledged. */
export const balanceLog = (acknowledged: Ids, logged: Ids): LogBalance => {
  const without = (all: Ids, some: Ids): number => [...all].reduce((sum, [tenant, ids]) => sum + [...ids].filter((id) => some.get(tenant)?.has(id) !== true).length, 0)
  return { missingInLog: without(acknowledged, logged), strangeInLog: without(logged, acknowledged) }
}
