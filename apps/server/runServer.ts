/** The life of the process: settings, engines, serving, signals, exit code. */
import { accessSync, constants, mkdirSync } from "node:fs"
import type { StartThread } from "@tidemark/projector/projectorPool"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import type * as Layer from "effect/Layer"
import { makeAnnouncer } from "./announce.ts"
import type { StartCheck } from "./checkThread.ts"
import type { ServerSettings, Telemetry } from "./context.ts"
import { serve } from "./serve.ts"
import { StartError, startSentence } from "./startError.ts"
import type { EngineAddresses, StartPlace } from "./startError.ts"

/** Everything acknowledged is durable, so a process that cannot end in time may be ended. */
const END_MS_MAX = 9_000
const END_WRITES_MS_MAX = 900

type ServedPorts = Effect.Services<ReturnType<typeof serve>>

export interface ServerProcess<E> {
  readonly terminal: boolean
  readonly settings: ServerSettings
  readonly engines: Layer.Layer<ServedPorts, E>
  /** Where they are; undefined in embedded mode. */
  readonly engineAddresses: EngineAddresses | undefined
  readonly telemetry: Telemetry
  readonly startThread: StartThread
  readonly startCheck: StartCheck
  readonly dashboardDirectory: string
  readonly version: string
  /** Ends the process whatever its threads do, once none is inside a write or `waitMaxMs` are over. */
  readonly endProcess: (code: number, waitMaxMs: number) => void
}

const checkDataDir = (dataDir: string): void => {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    throw new StartError(`The data directory ${dataDir} cannot be written (${(error as NodeJS.ErrnoException).code ?? String(error)}): make it writable, or set TIDEMARK_DATA_DIR to another one.`)
  }
}

const say = (line: string): void => void process.stdout.write(line + "\n")

/** SIGTERM and SIGINT end the server; a second one ends the process at once. */
const endOnSignal = (end: Deferred.Deferred<void, StartError>, endProcess: ServerProcess<never>["endProcess"]): void => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (!Deferred.doneUnsafe(end, Effect.void)) endProcess(1, END_WRITES_MS_MAX)
      setTimeout(() => endProcess(0, END_WRITES_MS_MAX), END_MS_MAX).unref()
    })
  }
}

/** What parts of the server report through Effect goes where everything else is logged: stdout carries JSON lines only. */
const loggerOf = ({ log }: Telemetry) =>
  Logger.layer([Logger.make<unknown, void>(({ message, logLevel }) => {
    const text = (Array.isArray(message) ? message : [message]).map(String).join(" ")
    if (logLevel === "Fatal" || logLevel === "Error") log.error({}, text)
    else if (logLevel === "Warn") log.warn({}, text)
    else log.info({}, text)
  })])

const fail = (sentence: string): void => {
  process.stderr.write(sentence + "\n")
  process.exitCode = 1
}

/** Runs `start` and turns whatever it throws into one sentence and exit code 1. */
export const runServer = async <E>(start: () => ServerProcess<E>): Promise<void> => {
  let place: StartPlace = { dataDir: "", host: "", port: 0 }
  try {
    const { settings, terminal, engines, engineAddresses, endProcess, ...rest } = start()
    place = { ...settings, engines: engineAddresses }
    checkDataDir(settings.dataDir)
    const end = Deferred.makeUnsafe<void, StartError>()
    endOnSignal(end, endProcess)
    const exit = await Effect.runPromiseExit(serve({ ...rest, settings, announcer: makeAnnouncer(terminal, say), end }).pipe(Effect.provide(engines), Effect.provide(loggerOf(rest.telemetry))))
    if (Exit.isFailure(exit)) fail(startSentence(Cause.squash(exit.cause), place))
  } catch (error) {
    fail(startSentence(error, place))
  }
  // Nothing may keep the process alive now, such as a client that holds its connection open.
  process.exit()
}
