/** What keeping digests costs a replay: the same log folded with and without, pair by pair, by CPU time. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { Configuration } from "@tidemark/infra-wiring/configuration"
import { engines } from "@tidemark/infra-wiring/engines"
import { projections } from "@tidemark/projections/registry"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import { digestLabel, modelDigest } from "@tidemark/projections/runtime/modelDigest"
import * as Effect from "effect/Effect"
import { configurationOf, writeLog } from "./benchLog.ts"
import { foldInThreads } from "./foldInThreads.ts"
import { conditions, listOption, median, numberOption, rounded } from "./measuring.ts"
import type { Report } from "./measuring.ts"

const SHAPE = { partitions: 4, lanes: 4, everyMs: 1 }

interface Measured {
  readonly cpuSeconds: number
  readonly rows: number
  /** Of the rows as they are stored, whatever digests were kept of them. */
  readonly digest: string
  /** Lanes whose rows are not what their kept digest says. */
  readonly unaccounted: number
}

/** Digest over all models' rows. */
const outcome = Effect.fn("outcome")(function* (definitions: readonly ProjectionDefinition[]) {
  const snapshot = yield* (yield* ReadModelStore).snapshot
  let [digest, lanes] = ["", 0]
  for (const { name } of definitions) {
    const record = yield* snapshot.generation(name, 1)
    if (record === undefined) continue
    const found = yield* modelDigest(snapshot, record, [])
    digest += digestLabel(found.digest)
    lanes += found.unaccounted.length
  }
  return { digest, unaccounted: lanes }
}, Effect.scoped)

const fold = (configuration: Configuration, definitions: readonly ProjectionDefinition[], records: number, keepsDigests: boolean): Promise<Measured> => {
  for (const derived of ["models", "index"]) rmSync(join(configuration.dataDir.value, derived), { recursive: true, force: true })
  const program = Effect.gen(function* () {
    yield* ensureGenerations(definitions)
    const { cpuSeconds, rows } = yield* Effect.promise(() => foldInThreads({ configuration, lanes: SHAPE.lanes, threads: 1, records, models: definitions.length, keepsDigests }))
    return { cpuSeconds, rows, ...(yield* outcome(definitions)) }
  })
  return Effect.runPromise(program.pipe(Effect.provide(engines(configuration))))
}

/** With and without digests, in the order that the number of the pair says. Throws when the rows differ, or digests were kept where they should not, or were wrong. */
const foldPair = async (pair: number, foldOnce: (keepsDigests: boolean) => Promise<Measured>): Promise<{ readonly kept: Measured; readonly leftOut: Measured }> => {
  const isKeptFirst = pair % 2 === 0
  const [first, second] = [await foldOnce(isKeptFirst), await foldOnce(!isKeptFirst)]
  const [kept, leftOut] = isKeptFirst ? [first, second] : [second, first]
  if (kept.digest !== leftOut.digest) throw new Error(`the rows are not the same: ${kept.digest} ≠ ${leftOut.digest}`)
  if (kept.unaccounted > 0 || leftOut.unaccounted === 0) throw new Error(`digests of ${kept.unaccounted} lanes are wrong where they were kept, of ${leftOut.unaccounted} where they were left out`)
  return { kept, leftOut }
}

/** `--events`, `--pairs`, `--models page-views,all`. */
export const digests = async (argv: readonly string[]): Promise<Report> => {
  const events = numberOption(argv, "events", 400_000)
  const pairs = numberOption(argv, "pairs", 5)
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-bench-"))
  try {
    await writeLog(dataDir, { ...SHAPE, events })
    const rows: Report["rows"][number][] = []
    for (const models of listOption(argv, "models", ["page-views", "all"])) {
      const definitions = projections.filter(({ name }) => models === "all" || models === name)
      if (definitions.length === 0) throw new RangeError(`--models: there is no ${models}`)
      const done: Awaited<ReturnType<typeof foldPair>>[] = []
      for (let pair = 0; pair < pairs; pair++) done.push(await foldPair(pair, (keepsDigests) => fold(configurationOf(dataDir, SHAPE), definitions, events + SHAPE.partitions, keepsDigests)))
      const shares = done.map(({ kept, leftOut }) => (100 * (kept.cpuSeconds - leftOut.cpuSeconds)) / kept.cpuSeconds)
      const microseconds = (of: (pair: (typeof done)[number]) => Measured) => rounded(median(done.map((pair) => (of(pair).cpuSeconds * 1e6) / events)), 2)
      rows.push({
        models, "cpu µs/event, kept": microseconds(({ kept }) => kept), "left out": microseconds(({ leftOut }) => leftOut), "digests %": rounded(median(shares), 1),
        "lowest %": rounded(Math.min(...shares), 1), "highest %": rounded(Math.max(...shares), 1), "rows/event": rounded(median(done.map(({ kept }) => kept.rows / events)), 3)
      })
    }
    return { name: "digests", conditions: { ...conditions(), events, pairs, threads: 1, ...SHAPE }, rows }
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}
