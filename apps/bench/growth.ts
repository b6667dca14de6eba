/**
 * What an event costs as a log grows by millions whose receive times advance at a steady pace, and what memory and disk
 * the folding process needs: one process writes the log, another folds it with all its projections.
 */
import { fork } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { engines } from "@tidemark/infra-wiring/engines"
import { projections } from "@tidemark/projections/registry"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import * as Effect from "effect/Effect"
import { configurationOf, withLog } from "./benchLog.ts"
import type { LogShape } from "./benchLog.ts"
import type { FromFold, Memory, ToFold } from "./foldMain.ts"
import { conditions, known, numberOption, rounded } from "./measuring.ts"
import type { Report } from "./measuring.ts"
import { bytesBelow, cpuSecondsOf, memoryBytesOf } from "./serverUnderTest.ts"

const PARTITIONS = 4
const LANES = 4
const DAY_MS = 86_400_000
/** Events written ahead of the fold at most, so that every step is folded in the same way. */
const AHEAD_EVENTS = 50_000
const MEBIBYTE = 2 ** 20

interface Fold {
  readonly pid: number
  readonly wake: () => void
  readonly memory: () => Promise<Memory>
  /** Resolves once so many events, and the first record of each partition, are committed for every projection; rejects when the fold cannot go on. */
  readonly until: (events: number) => Promise<void>
  readonly stop: () => Promise<void>
}

const startFold = (dataDir: string): Fold => {
  const child: ChildProcess = fork(fileURLToPath(new URL("./foldMain.js", import.meta.url)), [dataDir, String(PARTITIONS), String(LANES)], { execArgv: ["--expose-gc"] })
  const exit = new Promise<void>((resolve) => child.on("exit", () => resolve()))
  let committed = 0
  let failure: Error | undefined
  let look = () => {}
  let onMemory = (_memory: Memory) => {}
  child.on("message", (message: FromFold) => {
    if (message.kind === "committed") committed += message.records
    else if (message.kind === "memory") onMemory(message.memory)
    else failure = new Error(message.cause)
    look()
  })
  void exit.then(() => {
    failure ??= new Error("the folding process ended")
    look()
  })
  const send = (message: ToFold) => void child.send(message)
  const until = (events: number) =>
    new Promise<void>((resolve, reject) => {
      look = () => {
        if (failure !== undefined) reject(failure)
        else if (committed >= (events + PARTITIONS) * projections.length) resolve()
      }
      look()
    })
  const memory = () =>
    new Promise<Memory>((resolve) => {
      onMemory = resolve
      send("memory")
    })
  const stop = async () => {
    if (child.connected) send("stop")
    await exit
  }
  return { pid: child.pid ?? -1, wake: () => send("wake"), memory, until, stop }
}

/** Grows the log step by step; a row of figures after each. */
const grow = async (dataDir: string, shape: LogShape, steps: number): Promise<Report["rows"]> => {
  const configuration = configurationOf(dataDir, shape)
  // The log begins at the time of the stream: a first record of today would hold R there, and no id would ever leave the horizon.
  await withLog(dataDir, shape, () => Promise.resolve())
  await Effect.runPromise(ensureGenerations(projections).pipe(Effect.provide(engines(configuration))))
  const fold = startFold(dataDir)
  const rows: Report["rows"][number][] = []
  try {
    await withLog(dataDir, shape, async (append) => {
      let events = 0
      await fold.until(0)
      for (let step = 1; step <= steps; step++) {
        const stepEvents = Math.round((shape.events * step) / steps) - events
        const [startMs, cpuStart] = [performance.now(), cpuSecondsOf(fold.pid).all]
        for (let left = stepEvents; left > 0; left -= AHEAD_EVENTS) {
          await append(Math.min(left, AHEAD_EVENTS))
          events += Math.min(left, AHEAD_EVENTS)
          fold.wake()
          await fold.until(events)
        }
        const { heap, buffers } = await fold.memory()
        rows.push({
          events, "cpu µs/event": known(((cpuSecondsOf(fold.pid).all - cpuStart) * 1e6) / stepEvents, 1), eventsPerSecond: rounded((stepEvents * 1_000) / (performance.now() - startMs)),
          "memory MiB": known(memoryBytesOf(fold.pid) / MEBIBYTE), "heap MiB": rounded(heap / MEBIBYTE), "buffers MiB": rounded(buffers / MEBIBYTE),
          ...Object.fromEntries(["log", "models", "index"].map((part) => [`${part} MiB`, rounded(bytesBelow(join(dataDir, part)) / MEBIBYTE)]))
        })
      }
    })
  } finally {
    await fold.stop()
  }
  return rows
}

/** `--events` in all, `--per-day` of them by receive time, `--steps`. */
export const growth = async (argv: readonly string[]): Promise<Report> => {
  const events = numberOption(argv, "events", 20_000_000)
  const perDay = numberOption(argv, "per-day", 10_000_000)
  const steps = numberOption(argv, "steps", 20)
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-bench-"))
  try {
    const rows = await grow(dataDir, { events, partitions: PARTITIONS, lanes: LANES, everyMs: DAY_MS / perDay, tenants: ["default"] }, steps)
    return { name: "growth", conditions: { ...conditions(), events, perDay, projections: projections.length, partitions: PARTITIONS, lanes: LANES, tenants: 1, pages: 200 }, rows }
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}
