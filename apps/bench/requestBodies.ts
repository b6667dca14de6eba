/**
 * Bodies for `/v1/events`, cheap to make while the clock runs: a pool of page views in JSON, made once; each send copies
 * one and writes new event ids and the present time into it.
 */
import { makePageOf, makeRandom } from "./eventStream.ts"

const POOL = 64
const USERS = 20_000
const AGENTS = ["Linux", "iPhone", "iPad"]
const ID_DIGITS = 12
const TIME_DIGITS = 13
const ID_HOLE = "0".repeat(ID_DIGITS)
const TIME_HOLE = "1".repeat(TIME_DIGITS)

interface Template {
  readonly bytes: Buffer
  /** Where the digits of each event's id and time begin. */
  readonly idsAt: readonly number[]
  readonly timesAt: readonly number[]
}

export interface BodyOptions {
  readonly seed: number
  /** Events a body holds. */
  readonly events: number
  /** How many of them, the first ones, the schema refuses. */
  readonly invalid?: number | undefined
  /** Begins every event id; bodies of different makers need different ones. */
  readonly idPrefix: string
}

const writeDigits = (bytes: Buffer, at: number, value: number, digits: number): void => {
  for (let i = at + digits - 1, rest = value; i >= at; i--) {
    const next = Math.floor(rest / 10)
    bytes[i] = 48 + (rest - next * 10)
    rest = next
  }
}

const holesOf = (text: string, before: string): readonly number[] => {
  const found: number[] = []
  for (let at = text.indexOf(before); at >= 0; at = text.indexOf(before, at + 1)) found.push(at + before.length)
  return found
}

const makeTemplate = (random: () => number, pageOf: () => string, { events, invalid = 0, idPrefix }: BodyOptions): Template => {
  const below = (limit: number) => Math.floor(random() * limit)
  const one = (_: unknown, at: number): string => {
    const user = 1 + below(USERS)
    const durationMs = below(30_000)
    const data = JSON.stringify({ page: pageOf(), durationMs: at < invalid ? `${durationMs} ms` : durationMs, referrer: random() < 0.5 ? undefined : `https://a.io/${1 + below(200)}`, userAgent: AGENTS[user % AGENTS.length] })
    return `{"type":"page.viewed","id":"${idPrefix}${ID_HOLE}","time":${TIME_HOLE},"userId":"u${user}","data":${data}}`
  }
  const list = Array.from({ length: events }, one)
  const text = events === 1 ? (list[0] ?? "") : `[${list.join(",")}]`
  return { bytes: Buffer.from(text), idsAt: holesOf(text, `"id":"${idPrefix}`), timesAt: holesOf(text, `"time":`) }
}

/** Answers the next body at each call; no two events of one maker share an id. One event is sent alone, more as an array. */
export const makeBodies = (options: BodyOptions): (() => Buffer) => {
  const random = makeRandom(options.seed)
  const pageOf = makePageOf(random)
  const pool = Array.from({ length: POOL }, () => makeTemplate(random, pageOf, options))
  let bodies = 0
  let events = 0
  return () => {
    const { bytes, idsAt, timesAt } = pool[bodies++ % POOL] ?? makeTemplate(random, pageOf, options)
    const body = Buffer.from(bytes)
    const nowMs = Date.now()
    for (const at of idsAt) writeDigits(body, at, ++events, ID_DIGITS)
    for (const at of timesAt) writeDigits(body, at, nowMs, TIME_DIGITS)
    return body
  }
}
