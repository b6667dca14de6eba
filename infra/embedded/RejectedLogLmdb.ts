/**
 * The rejected log on LMDB: one record per entry in the order of its tenant, and where each entry id stands.
 *
 * Entry ids are told apart within a tenant, so that no tenant can hide an entry of another.
 */
import { REJECTED_LIMITS } from "@tidemark/domain/ports/rejectedLimits"
import type { RejectedLimits } from "@tidemark/domain/ports/rejectedLimits"
import { RejectedLog, RejectedLogError } from "@tidemark/domain/ports/RejectedLog"
import type { RejectedEvent, RejectedLogShape } from "@tidemark/domain/ports/RejectedLog"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { fromText } from "./jsonCodec.ts"
import { openEnvironment } from "./lmdbEnvironment.ts"
import type { EnvironmentOpenError, EnvironmentOptions } from "./lmdbEnvironment.ts"
import { OFFSET_END } from "./modelStores.ts"
import type { Key } from "./modelStores.ts"
import { pruneSome, putTogether, rejectedStores } from "./rejectedStores.ts"
import type { RejectedStores } from "./rejectedStores.ts"
import { putInThread } from "./rejectedThread.ts"
import type { RejectedWriter } from "./rejectedThread.ts"

export interface RejectedLogOptions extends EnvironmentOptions {
  /** The built `rejectedThreadMain`: entries are committed in a thread of its own, else in the calling one, which stands still meanwhile. */
  readonly writeThread?: URL | undefined
  /** `REJECTED_LIMITS` when absent. */
  readonly limits?: RejectedLimits | undefined
}

/** Walks down from the last one seen. Text sorts above every time, so `OFFSET_END` is above the newest entry. */
const page = ({ entries, times }: RejectedStores, tenantId: string, limit: number, after: string | undefined): readonly RejectedEvent[] => {
  if (limit <= 0) return []
  const seen = after === undefined ? undefined : times.get([tenantId, after])
  if (after !== undefined && seen === undefined) return []
  const start: Key = after === undefined || seen === undefined ? [tenantId, OFFSET_END] : [tenantId, fromText<number>(seen), after]
  const found: RejectedEvent[] = []
  for (const { value } of entries.getRange({ start, exclusiveStart: true, end: [tenantId], reverse: true, limit })) found.push(fromText<RejectedEvent>(value))
  return found
}

const find = ({ entries, times }: RejectedStores, tenantId: string, entryId: string): RejectedEvent | undefined => {
  const seen = times.get([tenantId, entryId])
  const entry = seen === undefined ? undefined : entries.get([tenantId, fromText<number>(seen), entryId])
  return entry === undefined ? undefined : fromText<RejectedEvent>(entry)
}

/** Reads what is stored by now: the writer may be another thread. */
const reading = <A>({ entries, times }: RejectedStores, read: () => A): Effect.Effect<A, RejectedLogError> =>
  Effect.try({
    try: () => {
      entries.resetReadTxn()
      times.resetReadTxn()
      return read()
    },
    catch: (cause) => new RejectedLogError({ cause })
  })

/** Who commits: a thread of its own, or this one. */
const makeWriter = (stores: RejectedStores, { writeThread, directory, onUnsynced }: RejectedLogOptions): RejectedWriter =>
  writeThread === undefined
    ? { put: async (entries) => putTogether(stores, [entries])[0] ?? { kind: "stored" }, close: () => Promise.resolve() }
    : putInThread(writeThread, { directory, limits: stores.limits, onUnsynced })

/** In this thread, in small commits between which other work gets its turn: little is dropped at a time, and seldom. */
const prune = Effect.fn("prune")(function* (stores: RejectedStores, beforeMs: number) {
  let pruned = 0
  for (;;) {
    const some = yield* reading(stores, () => pruneSome(stores, beforeMs))
    if (some === 0) return pruned
    pruned += some
    yield* Effect.yieldNow
  }
})

const makeRejectedLog = (stores: RejectedStores, writer: RejectedWriter): RejectedLogShape => ({
  put: (entries) =>
    Effect.flatMap(Effect.promise(() => writer.put(entries)), (outcome) =>
      outcome.kind === "stored" ? Effect.void : Effect.fail(new RejectedLogError({ cause: new Error(outcome.reason) }))),
  page: (tenantId, limit, after) => reading(stores, () => page(stores, tenantId, limit, after)),
  find: (tenantId, entryId) => reading(stores, () => find(stores, tenantId, entryId)),
  prune: (nowMs) => prune(stores, nowMs - stores.limits.keepMs)
})

/** The rejected log in `options.directory`, closed with the scope. Nothing comes after an unknown `after`. */
export const rejectedLogLmdb = (options: RejectedLogOptions): Layer.Layer<RejectedLog, EnvironmentOpenError> =>
  Layer.effect(
    RejectedLog,
    Effect.gen(function* () {
      const { root, transact } = yield* openEnvironment(options)
      const stores = rejectedStores(root, transact, options.limits ?? REJECTED_LIMITS)
      const writer = yield* Effect.acquireRelease(Effect.sync(() => makeWriter(stores, options)), ({ close }) => Effect.promise(close))
      return makeRejectedLog(stores, writer)
    })
  )
