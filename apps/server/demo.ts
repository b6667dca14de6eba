/**
 * Runs the demo shop against this server's own ingest: a day of history once, then live events.
 *
 * When the history ends is kept beside the data, so that a start that broke off is finished by the next with the same
 * events: what is in the log already is answered `duplicate`.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { sendHistory, startLive } from "@tidemark/demo-shop/demoShop"
import type { DemoOptions } from "@tidemark/demo-shop/demoShop"
import { Effect } from "effect"

const SEED = 20_260_101
const LIVE_PER_SECOND = 8

interface DemoState {
  /** The history is the day before this instant, Unix ms. */
  readonly historyEndMs: number
  readonly imported: boolean
}

const stateFile = (dataDir: string): string => join(dataDir, "demo.json")

const readState = (dataDir: string): DemoState | undefined =>
  existsSync(stateFile(dataDir)) ? (JSON.parse(readFileSync(stateFile(dataDir), "utf8")) as DemoState) : undefined

export interface DemoSettings {
  /** Where ingest listens, without a path. */
  readonly url: string
  readonly dataDir: string
  readonly writeKey: string
  readonly adminKey: string
  readonly report: (line: string) => void
}

/** Until interrupted. */
export const runDemo = ({ url, dataDir, writeKey, adminKey, report }: DemoSettings): Effect.Effect<never> =>
  Effect.gen(function* () {
    const options: DemoOptions = { url, writeKey, adminKey, nowMs: () => Date.now(), seed: SEED, ratePerSecond: LIVE_PER_SECOND, report }
    const state = readState(dataDir) ?? { historyEndMs: options.nowMs(), imported: false }
    if (!state.imported) {
      writeFileSync(stateFile(dataDir), JSON.stringify(state))
      yield* Effect.promise(() => sendHistory({ ...options, nowMs: () => state.historyEndMs }))
      writeFileSync(stateFile(dataDir), JSON.stringify({ ...state, imported: true } satisfies DemoState))
    }
    return yield* Effect.acquireUseRelease(Effect.sync(() => startLive(options)), () => Effect.never, ({ stop }) => Effect.sync(stop))
  })
