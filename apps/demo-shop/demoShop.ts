/** Sends the demo shop through the real ingest: a day of history as an import, then live events. */
import { makeRandom } from "./random.ts"
import { DUPLICATE_SHARE, dayCurve, makeShop } from "./shop.ts"
import type { ShopEvent } from "./shop.ts"

export interface DemoOptions {
  /** Where ingest listens, without a path. */
  readonly url: string
  readonly writeKey: string
  /** Imports need an admin key. */
  readonly adminKey: string
  readonly nowMs: () => number
  readonly seed: number
  /** Live events a second. */
  readonly ratePerSecond: number
  /** One line on progress or trouble. */
  readonly report: (line: string) => void
}

const HOUR_MS = 3_600_000
const HISTORY_HOURS = 24
const BUSIEST_HOUR_EVENTS = 1_200
const BATCH_EVENTS = 500
const LIVE_EVERY_MS = 250

const post = async (options: DemoOptions, events: readonly ShopEvent[], importName: string | undefined): Promise<boolean> => {
  const headers: Record<string, string> = { "content-type": "application/json", authorization: `Bearer ${importName === undefined ? options.writeKey : options.adminKey}` }
  if (importName !== undefined) headers["tidemark-backfill"] = importName
  try {
    const response = await fetch(`${options.url}/v1/events`, { method: "POST", headers, body: JSON.stringify({ events }) })
    await response.arrayBuffer()
    if (!response.ok && response.status !== 422) options.report(`demo: ingest answers ${response.status}`)
    return response.ok
  } catch (error) {
    options.report(`demo: ingest does not answer: ${(error as Error).message}`)
    return false
  }
}

/** The day before `endMs`, rounded to the hour, so that a start within the same hour imports the same events. */
export const historyOf = (seed: number, endMs: number): readonly ShopEvent[] => {
  const untilMs = Math.floor(endMs / HOUR_MS) * HOUR_MS
  const shop = makeShop(makeRandom(seed), `history-${untilMs / HOUR_MS}`)
  const events: ShopEvent[] = []
  for (let startMs = untilMs - HISTORY_HOURS * HOUR_MS; startMs < untilMs; startMs += HOUR_MS) {
    const count = Math.round(BUSIEST_HOUR_EVENTS * dayCurve(new Date(startMs).getUTCHours()))
    for (let i = 0; i < count; i++) events.push(shop.next(startMs + Math.floor((i / count) * HOUR_MS)))
  }
  return events
}

/** Imports the history; the same import again adds nothing. */
export const sendHistory = async (options: DemoOptions): Promise<void> => {
  const events = historyOf(options.seed, options.nowMs())
  for (let from = 0; from < events.length; from += BATCH_EVENTS) await post(options, events.slice(from, from + BATCH_EVENTS), "demo-history")
  options.report(`demo: ${events.length} events of the last ${HISTORY_HOURS} h imported`)
}

/** Sends live events until `stop` is called. Some are sent twice, as a client does that missed the answer. */
export const startLive = (options: DemoOptions): { readonly stop: () => void } => {
  const random = makeRandom(options.seed ^ options.nowMs())
  const shop = makeShop(random, `live-${options.nowMs()}`)
  let owed = 0
  let busy = false
  const timer = setInterval(() => {
    owed = Math.min(owed + (options.ratePerSecond * LIVE_EVERY_MS) / 1_000, BATCH_EVENTS)
    if (busy || owed < 1) return
    const events = Array.from({ length: Math.floor(owed) }, () => shop.next(options.nowMs()))
    owed -= events.length
    busy = true
    void post(options, events, undefined)
      .then(async (ok) => {
        if (ok && random.chance(DUPLICATE_SHARE * events.length)) await post(options, events.slice(0, 1), undefined)
      })
      .finally(() => (busy = false))
  }, LIVE_EVERY_MS)
  return { stop: () => clearInterval(timer) }
}
