/**
 * Runs the demo shop against this server's own ingest: a day of history once, and live events from its end on.
 *
 * When the history ends is kept beside the data, so that a start that broke off is finished by the next with the same
 * events: what is in the log already is answered `duplicate`.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { HISTORY_MS, sendHistory, startLive } from "@tidemark/demo-shop/demoShop"
import type { DemoOptions } from "@tidemark/demo-shop/demoShop"
import { makeRandom } from "@tidemark/demo-shop/random"
import type { ShopEvent } from "@tidemark/demo-shop/shop"
import { makeTraffic } from "@tidemark/demo-shop/traffic"
import type { Traffic } from "@tidemark/demo-shop/traffic"
import * as Effect from "effect/Effect"

const SEED = 20_260_101
const HOUR_MS = 3_600_000

interface DemoState {
  /** The history is the day before this instant, Unix ms. */
  readonly historyEndMs: number
  readonly imported: boolean
}

const stateFile = (dataDir: string): string => join(dataDir, "demo.json")

const readState = (dataDir: string): DemoState | undefined =>
  existsSync(stateFile(dataDir)) ? (JSON.parse(readFileSync(stateFile(dataDir), "utf8")) as DemoState) : undefined

const writeState = (dataDir: string, state: DemoState): void => writeFileSync(stateFile(dataDir), JSON.stringify(state))

export interface DemoSettings {
  /** Where ingest listens, without a path. */
  readonly url: string
  readonly dataDir: string
  readonly writeKey: string
  readonly adminKey: string
  readonly report: (line: string) => void
}

/** The day before `endMs`, made hour by hour, so that requests are answered in between. */
const historyOf = Effect.fn(function* (traffic: Traffic, endMs: number) {
  const hours: (readonly ShopEvent[])[] = []
  for (let toMs = endMs - HISTORY_MS + HOUR_MS; toMs <= endMs; toMs += HOUR_MS) {
    hours.push(traffic.until(toMs))
    yield* Effect.sleep(1)
  }
  return hours.flat()
})

/** Until interrupted. Live events do not wait for the import, so that the two meet at the history's end. */
export const runDemo = ({ url, dataDir, writeKey, adminKey, report }: DemoSettings): Effect.Effect<never> =>
  Effect.gen(function* () {
    const options: DemoOptions = { url, writeKey, adminKey, nowMs: () => Date.now(), report }
    const startMs = options.nowMs()
    const state = readState(dataDir) ?? { historyEndMs: startMs, imported: false }
    const traffic = makeTraffic(SEED, state.historyEndMs - HISTORY_MS)
    const live = state.historyEndMs < startMs ? makeTraffic(SEED, startMs) : traffic
    if (!state.imported) {
      writeState(dataDir, state)
      const history = yield* historyOf(traffic, state.historyEndMs)
      yield* Effect.forkChild(
        Effect.promise(async (signal) => {
          if (await sendHistory(options, history, signal)) writeState(dataDir, { ...state, imported: true })
        })
      )
    }
    return yield* Effect.acquireUseRelease(Effect.sync(() => startLive(options, live, makeRandom(SEED ^ startMs))), () => Effect.never, ({ stop }) => Effect.sync(stop))
  })
