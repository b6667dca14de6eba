/** The crash campaigns' command line. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import type { EventStore } from "@tidemark/domain/ports/EventStore"
import type { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type * as Layer from "effect/Layer"
import { runCampaign } from "./campaign.ts"
import { runReplayCampaign } from "./replayCampaign.ts"

export interface CrashOptions {
  readonly argv: readonly string[]
  /** The built server's main module. */
  readonly entry: string
  /** Opens the settings and the read models in a data directory. */
  readonly storesOf: (dataDir: string) => Layer.Layer<EventStore | ReadModelStore, unknown>
}

const report = (line: string): void => void process.stderr.write(line + "\n")

/** Runs it on a directory of its own, which is kept when something is wrong; answers whether all is right. */
const onDirectory = async (title: string, run: (dataDir: string) => Promise<{ readonly ok: boolean }>): Promise<boolean> => {
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-crash-"))
  report(`${title}, in ${dataDir}`)
  const result = await run(dataDir)
  process.stdout.write(JSON.stringify(result, undefined, 2) + "\n")
  if (result.ok) rmSync(dataDir, { recursive: true, force: true })
  else report(`The data are kept in ${dataDir}.`)
  return result.ok
}

const USAGE = `usage: npm run test:crash -- [--kills N] [--events N] [--seed S]
       npm run test:crash -- --replay [--seeds N] [--seed S]`

/** What the arguments say, or why they cannot be taken. */
const valuesOf = (argv: readonly string[]) => {
  const options = {
    replay: { type: "boolean", default: false }, seeds: { type: "string", default: "20" },
    kills: { type: "string", default: "100" }, events: { type: "string", default: "200000" }, seed: { type: "string", default: String(Date.now() % 1_000_000) }
  } as const
  try {
    return parseArgs({ args: [...argv], options }).values
  } catch (error) {
    return (error as Error).message
  }
}

/** Answers the exit code: 0 only if all is right. */
export const runCrash = async ({ argv, entry, storesOf }: CrashOptions): Promise<number> => {
  const values = valuesOf(argv)
  if (typeof values === "string") {
    report(`${values}\n${USAGE}`)
    return 2
  }
  const numbers = { kills: Number(values.kills), events: Number(values.events), seed: Number(values.seed), seeds: Number(values.seeds) }
  for (const [name, value] of Object.entries(numbers)) {
    if (Number.isInteger(value) && value >= 0) continue
    report(`--${name} takes a whole number from 0.`)
    return 2
  }
  const { seed, seeds, kills, events } = numbers
  if (!values.replay) return (await onDirectory(`seed ${seed}: ${kills} kills, ${events} events`, (dataDir) => runCampaign({ seed, kills, events, entry, dataDir, settings: storesOf(dataDir), report }))) ? 0 : 1
  let isRight = true
  for (let at = seed; at < seed + seeds; at++) {
    isRight = (await onDirectory(`seed ${at}: kills at every named place of a rebuild`, (dataDir) => runReplayCampaign({ seed: at, entry, dataDir, stores: storesOf(dataDir), report }))) && isRight
  }
  return isRight ? 0 : 1
}
