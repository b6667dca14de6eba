/** Sends the demo shop through the real ingest: a day of history as an import, then live events. */
import { DUPLICATE_SHARE } from "./shop.ts"
import type { ShopEvent } from "./shop.ts"
import type { Traffic } from "./traffic.ts"
import type { Random } from "./random.ts"

export interface DemoOptions {
  /** Where ingest listens, without a path. */
  readonly url: string
  readonly writeKey: string
  /** Imports need an admin key. */
  readonly adminKey: string
  readonly nowMs: () => number
  /** One line on progress or trouble. */
  readonly report: (line: string) => void
}

export const HISTORY_MS = 86_400_000
const BATCH_EVENTS = 1_000
const LIVE_EVERY_MS = 250
const RETRY_MS = 2_000
const ATTEMPTS_MAX = 30

const post = async (options: DemoOptions, events: readonly ShopEvent[], importName: string | undefined): Promise<boolean> => {
  const headers: Record<string, string> = { "content-type": "application/json", authorization: `Bearer ${importName === undefined ? options.writeKey : options.adminKey}` }
  if (importName !== undefined) headers["tidemark-backfill"] = importName
  try {
    const response = await fetch(`${options.url}/v1/events`, { method: "POST", headers, body: JSON.stringify({ events }) })
    await response.arrayBuffer()
    if (!response.ok) options.report(`demo: ingest answers ${response.status}`)
    return response.ok
  } catch (error) {
    options.report(`demo: ingest does not answer: ${(error as Error).message}`)
    return false
  }
}

const pause = (durationMs: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener("abort", done)
      resolve()
    }
    const timer = setTimeout(done, durationMs)
    signal.addEventListener("abort", done)
  })

const postUntilTaken = async (options: DemoOptions, batch: readonly ShopEvent[], signal: AbortSignal): Promise<boolean> => {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX && !signal.aborted; attempt += 1) {
    if (await post(options, batch, "demo-history")) return true
    await pause(RETRY_MS, signal)
  }
  return false
}

/**
 * Imports the history, newest first, so that the shortest chart fills first. A batch that was not taken is sent again;
 * what is in the log already is not added a second time. True when all of it is in the log.
 */
export const sendHistory = async (options: DemoOptions, events: readonly ShopEvent[], signal: AbortSignal): Promise<boolean> => {
  for (let end = events.length; end > 0; end -= BATCH_EVENTS) {
    if (!(await postUntilTaken(options, events.slice(Math.max(0, end - BATCH_EVENTS), end), signal))) return false
  }
  options.report(`demo: ${events.length} events of the last 24 h imported`)
  return true
}

/** Sends what the traffic brings until `stop` is called. Some events are sent twice, as a client does that missed the answer. */
export const startLive = (options: DemoOptions, traffic: Traffic, random: Random): { readonly stop: () => void } => {
  let unsent: readonly ShopEvent[] = []
  let busy = false
  const timer = setInterval(() => {
    unsent = [...unsent, ...traffic.until(options.nowMs())].slice(-BATCH_EVENTS)
    if (busy || unsent.length === 0) return
    const events = unsent
    unsent = []
    busy = true
    void post(options, events, undefined)
      .then(async (ok) => {
        if (!ok) unsent = [...events, ...unsent]
        else if (random.chance(DUPLICATE_SHARE * events.length)) await post(options, events.slice(0, 1), undefined)
      })
      .finally(() => (busy = false))
  }, LIVE_EVERY_MS)
  return { stop: () => clearInterval(timer) }
}
