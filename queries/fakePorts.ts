/** The ports over a `World`, for specifications. */
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape, LogBatch } from "@tidemark/domain/ports/EventLog"
import { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import type { PartitionIndexShape } from "@tidemark/domain/ports/PartitionIndex"
import { PubSub } from "@tidemark/domain/ports/PubSub"
import type { Notification, PubSubShape } from "@tidemark/domain/ports/PubSub"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { LedgerPage, LedgerRange, ReadModelStoreShape, ReadSnapshot } from "@tidemark/domain/ports/ReadModelStore"
import { keepsKey } from "@tidemark/domain/ports/rowScan"
import { RejectedLog } from "@tidemark/domain/ports/RejectedLog"
import type { RejectedLogShape } from "@tidemark/domain/ports/RejectedLog"
import { SearchIndex } from "@tidemark/domain/ports/SearchIndex"
import type { EventHit, SearchIndexShape } from "@tidemark/domain/ports/SearchIndex"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { definition, LOG_ID, PARTITIONS } from "./fakes.ts"
import type { World } from "./fakes.ts"
import { loggedEvent } from "./loggedEvent.ts"
import { compileFilter } from "./tailFilter.ts"

interface Placed {
  readonly partition: number
  readonly offset: bigint
  readonly tenantId: string
}

const inOrder = (a: Placed, b: Placed): number => a.partition - b.partition || (a.offset < b.offset ? -1 : 1)

const isAfter = (entry: Placed, after: LedgerPage["after"]): boolean =>
  after === undefined || entry.partition > after.partition || (entry.partition === after.partition && entry.offset > after.offset)

const pageOf = <A extends Placed>(entries: readonly A[], { tenantId, after, limit }: LedgerPage): readonly A[] =>
  entries.filter((entry) => entry.tenantId === tenantId && isAfter(entry, after)).sort(inOrder).slice(0, limit)

const rangeOf = <A extends Placed>(entries: readonly A[], { partition, min, max }: LedgerRange): readonly A[] =>
  entries.filter((entry) => entry.partition === partition && entry.offset >= min && entry.offset <= max)

const notRead = Effect.die(new Error("no question does this with the read model"))

/** A view of the world as it is now; what changes later is not in it. */
const snapshotOf = (world: World): ReadSnapshot => {
  const { rows, pointers } = world
  const [late, dead, duplicates, halts] = [[...world.late], [...world.dead], [...world.duplicates], [...world.halts]]
  const unread = world.unread === undefined ? undefined : [...world.unread]
  const lanes = new Map([...world.generations].map((generation) => [generation, world.lanes(generation)] as const))
  const generation = (projection: string, wanted: number) => (projection === definition.name && lanes.has(wanted) ? world.generation(wanted) : undefined)
  return {
    pointer: (projection) => Effect.succeed(pointers.find((pointer) => pointer.projection === projection)),
    pointers: Effect.succeed(pointers),
    generation: (projection, wanted) => Effect.succeed(generation(projection, wanted)),
    generations: (projection) => Effect.succeed([...lanes.keys()].flatMap((wanted) => generation(projection, wanted) ?? [])),
    checkpoints: (_projection, wanted) => Effect.succeed(lanes.get(wanted) ?? []),
    scan: (scan, visit) =>
      Effect.sync(() => {
        const { tenantId, resolution, fromMs, toMs, keyId, where, rowsMax } = scan
        world.scans.push(scan)
        const found = rows.filter((row) => row.tenantId === tenantId && row.resolution === resolution && row.windowStartMs >= fromMs && row.windowStartMs < toMs && (keyId === undefined || row.keyId === keyId) && keepsKey(where, row.key))
        for (const row of found.slice(0, rowsMax)) visit([row])
      }),
    partials: (_projection, _generation, keys) => Effect.succeed(keys.map((key) => rows.filter((row) =>
      row.tenantId === key.tenantId && row.resolution === key.resolution && row.windowStartMs === key.windowStartMs && row.keyId === key.keyId))),
    windows: () => notRead,
    late: (page) => Effect.succeed(pageOf(late, page)),
    deadLetters: (page) => Effect.succeed(pageOf(dead, page)),
    lateIn: (range) => Effect.succeed(rangeOf(late, range)),
    duplicatesIn: (range) => Effect.succeed(rangeOf(duplicates, range)),
    deadLettersIn: (range) => Effect.succeed(rangeOf(dead, range)),
    following: Effect.succeed([]),
    keyCounts: () => notRead,
    halts: Effect.succeed(halts),
    unread: () => Effect.succeed(unread),
    staleViews: Effect.succeed(world.staleViews)
  }
}

/** Questions read snapshots and nothing else: every other method is a defect. */
const storeOf = (world: World): ReadModelStoreShape => ({
  snapshot: Effect.sync(() => {
    world.snapshots += 1
    return snapshotOf(world)
  }),
  createGeneration: () => notRead,
  takeOver: () => notRead,
  readRows: () => notRead,
  readKeyCounts: () => notRead,
  visitRowsBelow: () => notRead,
  commit: () => notRead,
  flip: () => notRead,
  follow: () => notRead,
  dropGeneration: () => notRead,
  generationSize: () => notRead,
  recordHalt: () => notRead,
  clearHalt: () => notRead,
  incarnation: Effect.succeed("1234567812345678"),
  registerOutbox: () => notRead,
  readOutbox: () => notRead,
  ackOutbox: () => notRead,
  forgetOutbox: () => notRead
})

const batchOf = (partition: number, firstOffset: bigint, values: readonly Uint8Array[]): LogBatch => {
  let end = 0
  const ends = Uint32Array.from(values, (value) => (end += value.length))
  const bytes = new Uint8Array(end)
  values.forEach((value, index) => bytes.set(value, ends[index - 1] ?? 0))
  return { partition, firstOffset, bytes, ends, more: false }
}

const logOf = (world: World): EventLogShape => {
  const found = (from: Parameters<EventLogShape["read"]>[0]): readonly LogBatch[] =>
    from.flatMap(({ partition, nextOffset }) => {
      const values = (world.records[partition] ?? []).slice(Number(nextOffset))
      return values.length === 0 ? [] : [batchOf(partition, nextOffset, values)]
    })
  const appended = Effect.callback<void>((resume) => {
    const wake = () => {
      world.appendListeners.delete(wake)
      resume(Effect.void)
    }
    world.appendListeners.add(wake)
    return Effect.sync(() => void world.appendListeners.delete(wake))
  })
  return {
    identity: { logId: LOG_ID, partitions: PARTITIONS, lanes: PARTITIONS, createdAtMs: 0 },
    append: () => Effect.die(new Error("a question appended")),
    read: (from, { waitMaxMs }) =>
      Effect.gen(function* () {
        const now = found(from)
        if (now.length > 0 || waitMaxMs === 0) return now
        const woken = yield* Effect.timeoutOption(appended, waitMaxMs)
        return Option.isSome(woken) ? found(from) : []
      }),
    bounds: (partition) => Effect.sync(() => ({ start: 0n, end: BigInt(world.records[partition]?.length ?? 0) })),
    verify: (partition) => Effect.sync(() => ({ records: BigInt(world.records[partition]?.length ?? 0), blocks: 1 }))
  }
}

const searchOf = (world: World): SearchIndexShape => ({
  searchEvents: ({ tenantId, eventId, ...filter }, { limit, before }) =>
    Effect.sync(() => {
      const bounds = new Map((before ?? []).map(({ partition, nextOffset }) => [partition, nextOffset] as const))
      const matches = compileFilter(filter)
      const hits: (EventHit & { readonly atMs: number })[] = []
      let scannedRecords = 0
      world.records.forEach((values, partition) => values.forEach((value, index) => {
        const offset = BigInt(index)
        if (offset >= (bounds.get(partition) ?? BigInt(values.length))) return
        scannedRecords += 1
        const logged = loggedEvent(partition, offset, value)
        if (logged === undefined || logged.event.tenantId !== tenantId || (eventId !== undefined && logged.event.id !== eventId) || !matches(logged.event, value)) return
        hits.push({ partition, offset, value, atMs: logged.event.receivedAtMs })
      }))
      hits.sort((a, b) => b.atMs - a.atMs || b.partition - a.partition || (b.offset > a.offset ? 1 : -1))
      const page = hits.slice(0, limit)
      if (hits.length <= limit) return { hits: page, scannedRecords }
      for (const { partition, offset } of page) bounds.set(partition, offset)
      return { hits: page, scannedRecords, next: [...bounds].map(([partition, nextOffset]) => ({ partition, nextOffset })) }
    })
})

const rejectedOf = (world: World): RejectedLogShape => ({
  put: (entries) => Effect.sync(() => void world.rejected.push(...entries)),
  page: (tenantId, limit, after) =>
    Effect.sync(() => world.rejected
      .filter((entry) => entry.tenantId === tenantId && (after === undefined || entry.entryId < after))
      .sort((a, b) => (a.entryId < b.entryId ? 1 : -1))
      .slice(0, limit)),
  find: (tenantId, entryId) => Effect.sync(() => world.rejected.find((entry) => entry.tenantId === tenantId && entry.entryId === entryId)),
  prune: () => Effect.die("no question drops entries")
})

const busOf = (world: World): PubSubShape => ({
  publish: (topic, notifications) => Effect.sync(() => world.tell(topic, notifications)),
  subscribe: (topic, bufferMax) =>
    Effect.gen(function* () {
      let [kept, overflowed]: [Notification[], boolean] = [[], false]
      const waiting = new Set<() => void>()
      const listener = (notifications: readonly Notification[]) => {
        kept.push(...notifications)
        overflowed ||= kept.length > bufferMax
        kept = kept.slice(-bufferMax)
        for (const wake of new Set(waiting)) wake()
      }
      const listeners = world.listeners.get(topic) ?? new Set()
      world.listeners.set(topic, listeners.add(listener))
      yield* Effect.addFinalizer(() => Effect.sync(() => void listeners.delete(listener)))
      const told = Effect.callback<void>((resume) => {
        const wake = () => resume(Effect.void)
        if (kept.length > 0) return wake()
        waiting.add(wake)
        return Effect.sync(() => void waiting.delete(wake))
      })
      const take = Effect.map(told, () => {
        const taken = { notifications: kept, overflowed }
        kept = []
        overflowed = false
        waiting.clear()
        return taken
      })
      return { take }
    })
})

/** Knows of no prefix; nothing is saved in it. */
const emptyIndex: PartitionIndexShape = { load: () => notRead, save: () => notRead, clocks: () => Effect.succeed(undefined) }

/** All ports over one world. */
export const portsOf = (world: World): Context.Context<ReadModelStore | EventLog | PartitionIndex | SearchIndex | RejectedLog | PubSub> =>
  Context.make(ReadModelStore, storeOf(world)).pipe(
    Context.add(EventLog, logOf(world)),
    Context.add(PartitionIndex, emptyIndex),
    Context.add(SearchIndex, searchOf(world)),
    Context.add(RejectedLog, rejectedOf(world)),
    Context.add(PubSub, busOf(world))
  )
