/**
 * Read models on LMDB: rows, checkpoints, ledgers and outbox in one environment, one transaction per flush.
 *
 * Several threads and processes may open the same directory: nothing a commit depends on is kept in memory.
 */
import { CommitUnknownError, FencedError, GenerationMissingError, ReadModelStore, StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import type {
  DeadLetter, KeyCount, LaneCheckpoint, LaneCommit, LaneId, LateEntry, ReadModelStoreShape, RowKey
} from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Database } from "lmdb"
import { generationSize } from "./generationSize.ts"
import { createGeneration, dropGeneration, flip, follow } from "./generationsLmdb.ts"
import { fromText, toText } from "./jsonCodec.ts"
import { readSnapshot } from "./modelSnapshot.ts"
import { keyCountKey, laneKey, offsetText, openModelStores, renewView } from "./modelStores.ts"
import type { Key, ModelStores } from "./modelStores.ts"
import { ackOutbox, addToOutbox, forgetOutbox, incarnationOf, readOutbox, registerOutbox } from "./outboxLmdb.ts"
import { writeDuplicates } from "./duplicateLedger.ts"
import { dropRowsBelow, visitRowsBelow } from "./retention.ts"
import { RowKeys, decodeRow, encodeRow } from "./rowCodec.ts"

/** The directory cannot be opened. */
export class StoreOpenError extends Schema.TaggedError<StoreOpenError>()("StoreOpenError", { directory: Schema.String, cause: Schema.Defect() }) {}

const STORE = "lmdb"

const takeOver = (stores: ModelStores, lane: LaneId): LaneCheckpoint | undefined =>
  stores.root.transactionSync(() => {
    const text = stores.checkpoints.get(laneKey(lane))
    if (text === undefined) return undefined
    const before = fromText<LaneCheckpoint>(text)
    const checkpoint = { ...before, epoch: before.epoch + 1n }
    stores.checkpoints.putSync(laneKey(lane), toText(checkpoint))
    return checkpoint
  })

/** The compare half of compare-and-set: does the stored checkpoint have this epoch and these next offsets? */
const holds = (stores: ModelStores, { lane, epoch, expected }: LaneCommit): boolean => {
  const text = stores.checkpoints.get(laneKey(lane))
  if (text === undefined) return false
  const stored = fromText<LaneCheckpoint>(text)
  const offsets = new Map(stored.partitions.map(({ partition, nextOffset }) => [partition, nextOffset]))
  return stored.epoch === epoch && expected.length === offsets.size && expected.every(({ partition, nextOffset }) => offsets.get(partition) === nextOffset)
}

/** Under its partition, and under its tenant. */
const writeEntry = (store: Database<string, Key>, { projection, generation }: LaneId, entry: LateEntry | DeadLetter): void => {
  const at: Key = [projection, generation, entry.partition, offsetText(entry.offset)]
  const text = toText(entry)
  store.putSync(["p", ...at], text)
  store.putSync(["t", entry.tenantId, ...at], text)
}

const writeLedgers = (stores: ModelStores, commit: LaneCommit): void => {
  for (const entry of commit.late) writeEntry(stores.late, commit.lane, entry)
  for (const entry of commit.deadLetters) writeEntry(stores.deadLetters, commit.lane, entry)
  writeDuplicates(stores, commit.lane, commit.duplicates)
}

const writeKeyCounts = (stores: ModelStores, { lane, keyCounts }: LaneCommit): void => {
  for (const count of keyCounts) {
    const key = keyCountKey(lane, count)
    const before = fromText<[number, number][]>(stores.keyCounts.get(key) ?? "[]")
    const counts = new Map(before).set(count.partition, count.keys)
    stores.keyCounts.putSync(key, toText([...counts]))
  }
}

/** In key order, so that neighbours share pages while they are changed. */
const writeRows = (stores: ModelStores, { lane, rows }: LaneCommit): void => {
  const keys = new RowKeys(lane)
  const keyed = rows.map((row) => ({ key: keys.of(row), row })).sort((a, b) => Buffer.compare(a.key, b.key))
  for (const { key, row } of keyed) stores.rows.putSync(key, encodeRow(row))
}

const writeCommit = (stores: ModelStores, commit: LaneCommit): void => {
  const { lane, epoch, next, digest, hints, dropBelowMs } = commit
  if (dropBelowMs !== null) dropRowsBelow(stores, lane, dropBelowMs)
  writeRows(stores, commit)
  writeLedgers(stores, commit)
  writeKeyCounts(stores, commit)
  if (hints.length > 0) addToOutbox(stores, lane, hints)
  stores.checkpoints.putSync(laneKey(lane), toText({ lane, epoch, partitions: next, digest } satisfies LaneCheckpoint))
}

/** Writes all commits or none; answers the first lane that is fenced. */
const commitAll = (stores: ModelStores, commits: readonly LaneCommit[]): LaneCommit | undefined =>
  stores.root.transactionSync(() => {
    const fenced = commits.find((commit) => !holds(stores, commit))
    if (fenced !== undefined) return fenced
    for (const commit of commits) writeCommit(stores, commit)
    return undefined
  })

const attempt = <A>(action: () => A): Effect.Effect<A, StoreUnavailableError> => Effect.try({ try: action, catch: (cause) => new StoreUnavailableError({ store: STORE, cause }) })

/** `attempt` of what answers a refusal as a value. */
const refusing = <A>(action: () => A): Effect.Effect<Exclude<A, Error>, Extract<A, Error> | StoreUnavailableError> =>
  Effect.flatMap(attempt(action), (outcome) =>
    outcome instanceof Error ? Effect.fail(outcome as Extract<A, Error>) : Effect.succeed(outcome as Exclude<A, Error>))

const makeStore = (stores: ModelStores): ReadModelStoreShape => ({
  createGeneration: (record, lanes) => attempt(() => createGeneration(stores, record, lanes)),
  takeOver: (lane) =>
    Effect.flatMap(attempt(() => takeOver(stores, lane)), (checkpoint) =>
      checkpoint === undefined ? Effect.fail(new GenerationMissingError({ projection: lane.projection, generation: lane.generation })) : Effect.succeed(checkpoint)),
  readRows: (lane, keys: readonly RowKey[]) =>
    Effect.andThen(renewView, attempt(() => {
      const stored = new RowKeys(lane)
      return keys.map((key) => {
        const value = stores.rows.get(stored.of(key))
        return value === undefined ? undefined : decodeRow(key, value)
      })
    })),
  visitRowsBelow: (lane, beforeMs, visit) => Effect.andThen(renewView, attempt(() => visitRowsBelow(stores, lane, beforeMs, visit))),
  readKeyCounts: (lane, windows) =>
    Effect.andThen(renewView, attempt(() =>
      windows.flatMap(({ tenantId, windowStartMs }): KeyCount[] =>
        fromText<[number, number][]>(stores.keyCounts.get(keyCountKey(lane, { tenantId, windowStartMs })) ?? "[]").map(([partition, keys]) => ({ tenantId, windowStartMs, partition, keys }))))),
  // An error may come from the commit itself, so its outcome counts as unknown: the owner takes over again.
  commit: (commits) =>
    Effect.flatMap(Effect.try({ try: () => commitAll(stores, commits), catch: (cause) => new CommitUnknownError({ store: STORE, cause }) }), (fenced) =>
      fenced === undefined ? Effect.void : Effect.fail(new FencedError({ ...fenced.lane, epoch: fenced.epoch }))),
  snapshot: readSnapshot(stores),
  flip: (projection, generation, expectedVersion) => refusing(() => flip(stores, { projection, generation }, expectedVersion)),
  follow: (id, isFollowed) => Effect.asVoid(refusing(() => follow(stores, id, isFollowed))),
  dropGeneration: (id) => Effect.asVoid(refusing(() => dropGeneration(stores, id))),
  generationSize: (id) => Effect.andThen(renewView, generationSize(stores, id)),
  recordHalt: (halt) => attempt(() => stores.halts.putSync(laneKey(halt), toText(halt))),
  clearHalt: (lane) => attempt(() => void stores.halts.removeSync(laneKey(lane))),
  incarnation: Effect.andThen(renewView, attempt(() => incarnationOf(stores))),
  registerOutbox: (consumer) => attempt(() => registerOutbox(stores, consumer)),
  readOutbox: (consumer, after, limit) => Effect.andThen(renewView, attempt(() => readOutbox(stores, consumer, after, limit))),
  ackOutbox: (consumer, upTo) => attempt(() => ackOutbox(stores, consumer, upTo)),
  forgetOutbox: (consumer) => attempt(() => forgetOutbox(stores, consumer))
})

const openStore = (directory: string): Effect.Effect<ReadModelStoreShape, StoreOpenError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.try({ try: () => openModelStores(directory), catch: (cause) => new StoreOpenError({ directory, cause }) }),
      ({ root }) => Effect.promise(() => root.close())
    ),
    makeStore
  )

/** The read models in `directory`, closed with the scope. */
export const readModelStoreLmdb = (options: { readonly directory: string }): Layer.Layer<ReadModelStore, StoreOpenError> => Layer.effect(ReadModelStore, openStore(options.directory))
