/** log copy, log export: the log itself, without a server. */
import { decodeRecord } from "@tidemark/domain/events/envelope"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape, LogIdentity } from "@tidemark/domain/ports/EventLog"
import { copyLog } from "@tidemark/replay/copyLog"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import { CliError } from "../client.ts"
import type { Output } from "../output.ts"

export const MODES = ["embedded", "distributed"] as const
export type LogMode = (typeof MODES)[number]

/** Ways to the logs that the configuration names. */
export interface Logs {
  readonly mode: LogMode
  /** The log of the configured mode, for reading. */
  readonly source: () => Layer.Layer<EventLog, unknown>
  /** The log of another mode for writing, made with this identity when it does not exist. */
  readonly target: (mode: LogMode, identity: LogIdentity) => Layer.Layer<EventLog, unknown>
}

const PROGRESS_EVERY_MS = 5_000
const READ_BYTES_MAX = 1 << 20

/** What kept a log from being opened or read, in one sentence. */
const failureOf = (error: unknown): CliError => {
  if (error instanceof CliError) return error
  const { _tag: tag, name, reason, cause, message, pid, directory } = error as Readonly<Record<string, unknown>>
  if (name === "ConfigurationError") return new CliError(String(message), 2)
  if (name === "EngineUnreachableError") return new CliError(String(message), 5)
  if (tag === "LogLockedError") return new CliError(`Another process (${String(pid)}) writes the log in ${String(directory)}: stop it first.`)
  if (tag === "CopyRefusedError") return new CliError(String(reason))
  if (cause instanceof Error && cause.name === "NetworkFileSystemError") return new CliError(cause.message)
  if (tag === "LogOpenError") return new CliError(`There is no log to open in ${String(directory)}: start Tidemark once, or set TIDEMARK_DATA_DIR.`)
  const why = [message, reason, cause instanceof Error ? cause.message : cause].find((text) => typeof text === "string" && text !== "")
  return new CliError(`The log cannot be read or written: ${String(why ?? tag ?? error).replace(/\.$/, "")}.`)
}

const run = async (program: Effect.Effect<void, unknown>): Promise<void> => {
  const exit = await Effect.runPromiseExit(program)
  if (Exit.isFailure(exit)) throw failureOf(Cause.squash(exit.cause))
}

const theLog = Effect.gen(function* () { return yield* EventLog })

/** A line at once, then one in 5 s, and the last. */
const makeProgress = ({ note }: Output) => {
  const startedMs = performance.now()
  let saidMs = -Infinity
  return (copied: bigint, total: bigint): void => {
    const nowMs = performance.now()
    if (copied < total && nowMs - saidMs < PROGRESS_EVERY_MS) return
    saidMs = nowMs
    const perSecond = Math.round(Number(copied) / Math.max(0.001, (nowMs - startedMs) / 1_000))
    note(`${copied} of ${total} records, ${perSecond} a second`)
  }
}

/** Copies the log of the configured mode into the other mode's engine. The first stays as it is. */
export const logCopy = async (logs: Logs, toMode: LogMode, json: boolean, output: Output): Promise<void> => {
  if (toMode === logs.mode) throw new CliError(`The log is in ${toMode} mode already (TIDEMARK_MODE): name the other mode with --to-mode.`, 2)
  const program = Effect.gen(function* () {
    const source = yield* theLog
    const copied = yield* Effect.flatMap(theLog, (target) => copyLog({ source, target, progress: makeProgress(output) })).pipe(Effect.provide(logs.target(toMode, source.identity)))
    output.data(json ? JSON.stringify({ copied: copied.toString(), toMode }) : `${copied} records copied. Start with TIDEMARK_MODE=${toMode} to fold them there, then compare with: tidemark verify --full`)
  })
  await run(program.pipe(Effect.provide(logs.source())))
}

const exportPartition = Effect.fn("exportPartition")(function* (log: EventLogShape, partition: number, output: Output) {
  const { start, end } = yield* log.bounds(partition)
  const decoder = new TextDecoder()
  let lines = 0
  for (let next = start; next < end;) {
    const [batch] = yield* log.read([{ partition, nextOffset: next }], { bytesMax: READ_BYTES_MAX, waitMaxMs: 0 })
    if (batch === undefined) throw new CliError(`The log does not give record ${next} of partition ${partition}.`)
    for (let at = 0; at < batch.ends.length && next < end; at++, next++) {
      const bytes = batch.bytes.subarray(batch.ends[at - 1] ?? 0, batch.ends[at])
      const record = decodeRecord(bytes).kind === "undecodable" ? { base64: Buffer.from(bytes).toString("base64") } : undefined
      output.data(`{"partition":${partition},"offset":"${next}","record":${record === undefined ? decoder.decode(bytes) : JSON.stringify(record)}}`)
      lines += 1
    }
    yield* Effect.promise(async () => output.drained?.())
  }
  return lines
})

/** Every record as NDJSON on stdout, partition by partition, as it was stored. */
export const logExport = async (logs: Logs, partition: number | undefined, output: Output): Promise<void> => {
  const program = Effect.gen(function* () {
    const log = yield* theLog
    const { partitions } = log.identity
    if (partition !== undefined && partition >= partitions) throw new CliError(`There is no partition ${partition}: the log has ${partitions}, from 0.`, 2)
    let lines = 0
    for (const each of partition === undefined ? Array.from({ length: partitions }, (_, at) => at) : [partition]) lines += yield* exportPartition(log, each, output)
    output.note(`${lines} records`)
  })
  await run(program.pipe(Effect.provide(logs.source())))
}
