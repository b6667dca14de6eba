/**
 * The embedded event log on LMDB: block-packed, group-committed, hash-chained.
 *
 * One value per (partition, append group); a commit is a real sync before anybody is answered. Appends that arrive
 * while a commit is under way share the next one. One writer process; readers in other threads open the same directory.
 */
import { encodeLogCreated } from "@tidemark/domain/events/systemRecords"
import { EventLog, LogCorruptError, LogUnavailableError, OffsetOutOfRangeError } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape, LogBatch, LogIdentity, LogReadError, PartitionPosition } from "@tidemark/domain/ports/EventLog"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { commitInThread } from "./commitThread.ts"
import { makeAppender } from "./logAppender.ts"
import type { CommitGroup } from "./logAppender.ts"
import { makeLocalDirectory } from "./localDirectory.ts"
import type { FileSystemType } from "./localDirectory.ts"
import { CHAIN_START, packBlock, sealBlock } from "./logBlock.ts"
import { makeCommit } from "./logCommit.ts"
import { keyOf } from "./logKeys.ts"
import { boundsOf } from "./logPlaces.ts"
import { readBlocks, verifyPartition } from "./logReading.ts"
import { openLogStores } from "./logStores.ts"
import type { LogStores } from "./logStores.ts"
import { takeWriterLock } from "./writerLock.ts"

/** Another process writes this log. */
export class LogLockedError extends Schema.TaggedError<LogLockedError>()("LogLockedError", { directory: Schema.String, pid: Schema.Int }) {}

/** The directory cannot be used: not writable, not a log, or a reader came before the first writer. */
export class LogOpenError extends Schema.TaggedError<LogOpenError>()("LogOpenError", { directory: Schema.String, cause: Schema.Defect() }) {}

/** The log exists with other numbers than those asked for; they are fixed when a log is created. */
export class LogIdentityError extends Schema.TaggedError<LogIdentityError>()("LogIdentityError", {
  directory: Schema.String, what: Schema.Literals(["partitions", "lanes"]), stored: Schema.Int, wanted: Schema.Int
}) {}

export interface EventLogOptions {
  readonly directory: string
  readonly role: "writer" | "reader"
  /** Used when the log is created; afterwards the stored numbers win. */
  readonly partitions: number
  readonly lanes: number
  /** Numbers somebody named: a stored log that has others is not opened. */
  readonly required?: { readonly partitions?: number; readonly lanes?: number }
  readonly nowMs: () => number
  readonly newLogId: () => string
  /** How a reader in another thread learns of appends; answers the way to stop listening. */
  readonly onWake?: (listener: () => void) => () => void
  /** The built `commitThreadMain`: a writer commits in a thread of its own, else in the calling one, which stands still meanwhile. */
  readonly commitThread?: URL | undefined
  /** Called when the disk did not sync the log, before anybody is answered: the process is to end there. */
  readonly onUnsynced?: ((reason: string) => void) | undefined
  /** For specifications; the operating system's own answer when absent. */
  readonly fileSystemType?: FileSystemType
}

const IDENTITY_KEY = "identity"

/** Decides identity and writes the genesis record of every partition, all or nothing. */
const create = ({ root, blocks }: LogStores, options: EventLogOptions): void =>
  root.transactionSync(() => {
    if (root.get(IDENTITY_KEY) !== undefined) return
    const { partitions, lanes } = options
    const identity: LogIdentity = { logId: options.newLogId(), partitions, lanes, createdAtMs: options.nowMs() }
    for (let partition = 0; partition < partitions; partition++) {
      const record = encodeLogCreated({ timeMs: identity.createdAtMs, logId: identity.logId, partitions, lanes, partition })
      const block = packBlock([record])
      sealBlock(block, CHAIN_START)
      blocks.putSync(keyOf(partition, 0n), block)
    }
    root.putSync(IDENTITY_KEY, JSON.stringify(identity))
  })

const attempt = <A>(action: () => A): Effect.Effect<A, LogReadError> =>
  Effect.try({
    try: action,
    catch: (error) => (error instanceof LogCorruptError || error instanceof OffsetOutOfRangeError ? error : new LogUnavailableError({ cause: error }))
  })

/** Remembers a wake-up that comes before anybody waits for it. */
const makeAlarm = (listen: (listener: () => void) => () => void) => {
  let rung = false
  let onRing = () => {}
  const stop = listen(() => {
    rung = true
    onRing()
  })
  const wait: Effect.Effect<void> = Effect.callback<void>((resume) => {
    onRing = () => {
      rung = false
      resume(Effect.void)
    }
    if (rung) onRing()
  })
  return { wait, stop }
}

/** Who commits: a thread of its own, or this one. */
const makeWriter = ({ blocks }: LogStores, { commitThread, directory }: EventLogOptions): { readonly commit: CommitGroup; readonly close: () => Promise<void> } => {
  if (commitThread !== undefined) return commitInThread(commitThread, directory)
  const commit = makeCommit({ blocks, directory })
  return { commit: (group, done) => done(commit(group)), close: () => Promise.resolve() }
}

const makeLog = (stores: LogStores, options: EventLogOptions, identity: LogIdentity): { readonly log: EventLogShape; readonly close: () => Promise<void> } => {
  const { blocks, root } = stores
  const listeners = new Set<() => void>()
  const listen = (listener: () => void): (() => void) => {
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }
  const wake = () => {
    // A woken reader may run at once and listen again: it is not part of this round.
    for (const listener of Array.from(listeners)) listener()
  }
  const stopWaking = options.onWake?.(wake)
  const writer = options.role === "reader" ? undefined : makeWriter(stores, options)
  const appender = writer === undefined ? undefined : makeAppender({ commit: writer.commit, partitions: identity.partitions, nowMs: options.nowMs, onDurable: wake, onUnsynced: (reason) => options.onUnsynced?.(reason) })
  /** The view is renewed first: the writer may be another thread or process. */
  const fresh = <A>(look: () => A): A => {
    blocks.resetReadTxn()
    return look()
  }
  const readNow = (from: readonly PartitionPosition[], bytesMax: number) => attempt(() => fresh(() => readBlocks(blocks, from, bytesMax)))
  const log: EventLogShape = {
    identity,
    append: appender?.append ?? (() => Effect.die(new Error("this log was opened for reading"))),
    // The alarm is set before the first look, so an append in between is not missed.
    read: (from, { bytesMax, waitMaxMs }) =>
      Effect.acquireUseRelease(
        Effect.sync(() => makeAlarm(listen)),
        (alarm) =>
          Effect.gen(function* () {
            for (;;) {
              const found = yield* readNow(from, bytesMax)
              if (found.length > 0 || waitMaxMs <= 0) return found
              yield* alarm.wait
            }
          }).pipe(Effect.timeoutOption(Math.max(waitMaxMs, 1)), Effect.map(Option.getOrElse((): readonly LogBatch[] => []))),
        (alarm) => Effect.sync(alarm.stop)
      ),
    bounds: (partition) => Effect.try({ try: () => fresh(() => boundsOf(blocks, partition)), catch: (cause) => new LogUnavailableError({ cause }) }),
    verify: (partition, from) => attempt(() => fresh(() => verifyPartition(blocks, partition, from)))
  }
  const close = async () => {
    stopWaking?.()
    await appender?.drain()
    await writer?.close()
    await root.close()
  }
  return { log, close }
}

const openLog = (options: EventLogOptions): Effect.Effect<EventLogShape, LogOpenError | LogLockedError | LogIdentityError, Scope.Scope> =>
  Effect.gen(function* () {
    const { directory, role } = options
    const failed = (cause: unknown) => new LogOpenError({ directory, cause })
    yield* Effect.try({ try: () => makeLocalDirectory(directory, options.fileSystemType), catch: failed })
    if (role === "writer") {
      const lock = yield* Effect.acquireRelease(Effect.try({ try: () => takeWriterLock(directory), catch: failed }), (held) => Effect.sync(() => held.held && held.release()))
      if (!lock.held) return yield* new LogLockedError({ directory, pid: lock.pid })
    }
    const { log } = yield* Effect.acquireRelease(
      Effect.try({
        try: () => {
          const stores = openLogStores(directory)
          if (role === "writer") create(stores, options)
          const identity = stores.root.get(IDENTITY_KEY)
          if (identity === undefined) throw new Error("there is no log in this directory yet")
          return makeLog(stores, options, JSON.parse(identity) as LogIdentity)
        },
        catch: failed
      }),
      ({ close }) => Effect.promise(close)
    )
    for (const what of ["partitions", "lanes"] as const) {
      const wanted = options.required?.[what]
      if (wanted !== undefined && wanted !== log.identity[what]) return yield* new LogIdentityError({ directory, what, stored: log.identity[what], wanted })
    }
    return log
  })

/** The log in `options.directory`, closed with the scope. */
export const eventLogLmdb = (options: EventLogOptions): Layer.Layer<EventLog, LogOpenError | LogLockedError | LogIdentityError> => Layer.effect(EventLog, openLog(options))
