/**
 * The live list of events: newest first, bounded, and steady while somebody reads it. Pure.
 */
import type { LoggedEvent } from "./answer.ts"

export const TAIL_ROWS_MAX = 500

export interface Tail {
  readonly rows: readonly LoggedEvent[]
  /** Newer rows that wait until they are asked for, newest first. */
  readonly waiting: readonly LoggedEvent[]
  /** Waiting rows that were dropped beyond the bound; they are counted and stay in the log. */
  readonly dropped: number
  /** True while the list is scrolled or paused. */
  readonly held: boolean
}

export const EMPTY_TAIL: Tail = { rows: [], waiting: [], dropped: 0, held: false }

const positionKey = (event: LoggedEvent): string => `${event.partition}/${event.offset}`

const newestFirst = (events: readonly LoggedEvent[], known: readonly LoggedEvent[]): readonly LoggedEvent[] => {
  const seen = new Set(known.map(positionKey))
  const fresh: LoggedEvent[] = []
  for (const event of events.toReversed()) {
    const key = positionKey(event)
    if (seen.has(key)) continue
    seen.add(key)
    fresh.push(event)
  }
  return fresh
}

/** Takes events in arrival order; one that is already listed (same partition and offset) is not listed twice. */
export const receive = (tail: Tail, events: readonly LoggedEvent[]): Tail => {
  const fresh = newestFirst(events, [...tail.waiting, ...tail.rows])
  if (fresh.length === 0) return tail
  if (!tail.held) return { ...tail, rows: [...fresh, ...tail.rows].slice(0, TAIL_ROWS_MAX) }
  const waiting = [...fresh, ...tail.waiting]
  return { ...tail, waiting: waiting.slice(0, TAIL_ROWS_MAX), dropped: tail.dropped + Math.max(0, waiting.length - TAIL_ROWS_MAX) }
}

/** Keeps the rows still; what arrives waits. */
export const hold = (tail: Tail): Tail => (tail.held ? tail : { ...tail, held: true })

/** Shows what waited and follows again. */
export const release = (tail: Tail): Tail =>
  tail.held ? { rows: [...tail.waiting, ...tail.rows].slice(0, TAIL_ROWS_MAX), waiting: [], dropped: 0, held: false } : tail

/** How many events arrived since the list was held. */
export const waitingCount = (tail: Tail): number => tail.waiting.length + tail.dropped

/** The list with and without the events of imports: history that is sent in now is no news. */
export interface Tails {
  readonly all: Tail
  readonly withoutImports: Tail
}

export const EMPTY_TAILS: Tails = { all: EMPTY_TAIL, withoutImports: EMPTY_TAIL }

/** `receive` for both lists. */
export const receiveBoth = ({ all, withoutImports }: Tails, events: readonly LoggedEvent[]): Tails => ({
  all: receive(all, events),
  withoutImports: receive(withoutImports, events.filter(({ backfill }) => backfill === null))
})

/** `hold` or `release` for both lists. */
export const holdBoth = ({ all, withoutImports }: Tails, held: boolean): Tails => {
  const change = held ? hold : release
  return { all: change(all), withoutImports: change(withoutImports) }
}

/** Adds an event to those not yet shown; at `max` the oldest goes, one of an import before any other. */
export const collect = (pending: LoggedEvent[], event: LoggedEvent, max: number): void => {
  if (pending.length >= max) pending.splice(Math.max(0, pending.findIndex(({ backfill }) => backfill !== null)), 1)
  pending.push(event)
}
