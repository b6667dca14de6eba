/** State of the read-model store in memory, and snapshots of it. */
import type {
  DeadLetter, DuplicateEntry, GenerationId, GenerationRecord, Halt, KeyCount, KeyCountScan, LaneCheckpoint, LaneId, LateEntry, LedgerPage, LedgerRange, OutboxEntry, Pointer, ReadSnapshot, RowKey,
  StoredRow, WindowPage
} from "@tidemark/domain/ports/ReadModelStore"
import { keepsKey } from "@tidemark/domain/ports/rowScan"
import * as Effect from "effect/Effect"

interface Entered<T> {
  readonly lane: LaneId
  readonly entry: T
}

export interface ModelState {
  readonly rows: Map<string, { readonly lane: LaneId; readonly row: StoredRow }>
  readonly checkpoints: Map<string, LaneCheckpoint>
  readonly generations: Map<string, GenerationRecord>
  readonly pointers: Map<string, Pointer>
  readonly following: Map<string, GenerationId>
  readonly late: Map<string, Entered<LateEntry>>
  readonly duplicates: Map<string, Entered<DuplicateEntry>>
  readonly deadLetters: Map<string, Entered<DeadLetter>>
  /** Keys by partition. */
  readonly keyCounts: Map<string, ReadonlyMap<number, number>>
  readonly halts: Map<string, Halt>
  readonly outbox: Map<bigint, OutboxEntry>
  /** Cursor of each registered consumer of the outbox. */
  readonly outboxCursors: Map<string, bigint>
  /** Last outbox number given out. */
  sequence: bigint
}

export const emptyState = (): ModelState => ({
  rows: new Map(), checkpoints: new Map(), generations: new Map(), pointers: new Map(), following: new Map(), late: new Map(), duplicates: new Map(),
  deadLetters: new Map(), keyCounts: new Map(), halts: new Map(), outbox: new Map(), outboxCursors: new Map(), sequence: 0n
})

export const copyState = (state: ModelState): ModelState => ({
  rows: new Map(state.rows), checkpoints: new Map(state.checkpoints), generations: new Map(state.generations), pointers: new Map(state.pointers), following: new Map(state.following),
  late: new Map(state.late), duplicates: new Map(state.duplicates), deadLetters: new Map(state.deadLetters), keyCounts: new Map(state.keyCounts),
  halts: new Map(state.halts), outbox: new Map(state.outbox), outboxCursors: new Map(state.outboxCursors), sequence: state.sequence
})

export const laneKey = ({ projection, generation, lane }: LaneId): string => `${projection}/${generation}/${lane}`
export const ledgerKey = ({ projection, generation }: LaneId, entry: Place): string => `${projection}/${generation}/${entry.partition}/${entry.offset}`

/** Names of the generations that the owners of lanes fold: served and followed ones. */
export const keptGenerations = ({ pointers, following }: ModelState): ReadonlySet<string> =>
  new Set([...pointers.values(), ...following.values()].map(({ projection, generation }) => `${projection}/${generation}`))

interface Place {
  readonly partition: number
  readonly offset: bigint
}

const byPlace = (a: Place, b: Place): number => a.partition - b.partition || (a.offset < b.offset ? -1 : a.offset > b.offset ? 1 : 0)

const entriesOf = <T extends Place>(ledger: ReadonlyMap<string, Entered<T>>, { projection, generation }: { readonly projection: string; readonly generation: number }): T[] =>
  [...ledger.values()].filter(({ lane }) => lane.projection === projection && lane.generation === generation).map(({ entry }) => entry).sort(byPlace)

const pageOf = <T extends Place & { readonly tenantId: string }>(ledger: ReadonlyMap<string, Entered<T>>, page: LedgerPage): T[] => {
  const { after } = page
  return entriesOf(ledger, page).filter((entry) => entry.tenantId === page.tenantId && (after === undefined || byPlace(entry, after) > 0)).slice(0, page.limit)
}

const rangeOf = <T extends Place>(ledger: ReadonlyMap<string, Entered<T>>, range: LedgerRange): T[] =>
  entriesOf(ledger, range).filter(({ partition, offset }) => partition === range.partition && offset >= range.min && offset <= range.max)

const byWindow = (a: RowKey, b: RowKey): number => a.windowStartMs - b.windowStartMs || (a.keyId < b.keyId ? -1 : a.keyId > b.keyId ? 1 : 0)

/** Name of a stored row in `ModelState.rows`. */
export const rowId = (lane: LaneId, { tenantId, resolution, windowStartMs, keyId }: RowKey): string => `${laneKey(lane)}/${resolution}/${windowStartMs}/${keyId}/${tenantId}`

const windowName = ({ tenantId, resolution, windowStartMs, keyId }: RowKey): string => `${resolution}/${windowStartMs}/${keyId}/${tenantId}`

/** Partials of every window of a generation, by `windowName`, sorted by lane. */
const indexPartials = (state: ModelState, projection: string, generation: number): ReadonlyMap<string, readonly StoredRow[]> => {
  const found = new Map<string, StoredRow[]>()
  for (const { lane, row } of state.rows.values()) {
    if (lane.projection !== projection || lane.generation !== generation) continue
    const name = windowName(row)
    const others = found.get(name)
    if (others === undefined) found.set(name, [row])
    else others.push(row)
  }
  for (const rows of found.values()) rows.sort((a, b) => a.lane - b.lane)
  return found
}

/** Looks partials up in indexes that are made when they are first asked for; nobody changes `state` meanwhile. */
const partialsIn = (state: ModelState) => {
  const indexes = new Map<string, ReadonlyMap<string, readonly StoredRow[]>>()
  return (projection: string, generation: number, keys: readonly RowKey[]): readonly (readonly StoredRow[])[] => {
    const name = `${projection}/${generation}`
    const index = indexes.get(name) ?? indexPartials(state, projection, generation)
    indexes.set(name, index)
    return keys.map((key) => index.get(windowName(key)) ?? [])
  }
}

const windowsOf = (state: ModelState, { projection, generation, tenantId, resolution, after, limit }: WindowPage): RowKey[] => {
  const found = new Map<string, RowKey>()
  for (const { lane, row } of state.rows.values()) {
    if (lane.projection !== projection || lane.generation !== generation || row.tenantId !== tenantId || row.resolution !== resolution) continue
    const { windowStartMs, keyId } = row
    const key = { tenantId, resolution, windowStartMs, keyId }
    if (after === undefined || byWindow(key, { ...key, ...after }) > 0) found.set(`${windowStartMs} ${keyId}`, key)
  }
  return [...found.values()].sort(byWindow).slice(0, limit)
}

/** Name of a window's key counts in `ModelState.keyCounts`. */
export const countId = (lane: LaneId, { tenantId, windowStartMs }: { readonly tenantId: string; readonly windowStartMs: number }): string => `${laneKey(lane)}/${windowStartMs}/${tenantId}`

const countsOf = (state: ModelState, scan: KeyCountScan): KeyCount[] => {
  const { tenantId } = scan
  const [before, behind] = [`${laneKey(scan)}/`, `/${tenantId}`]
  const found: KeyCount[] = []
  for (const [id, counts] of state.keyCounts) {
    if (!id.startsWith(before) || !id.endsWith(behind)) continue
    const windowStartMs = Number.parseInt(id.slice(before.length), 10)
    if (id !== countId(scan, { tenantId, windowStartMs })) continue
    for (const [partition, keys] of counts) found.push({ tenantId, windowStartMs, partition, keys })
  }
  return found.sort((a, b) => a.windowStartMs - b.windowStartMs || a.partition - b.partition)
}

const snapshotOf = (state: ModelState, partials: ReadSnapshot["partials"]): ReadSnapshot => ({
  pointer: (projection) => Effect.succeed(state.pointers.get(projection)),
  pointers: Effect.succeed([...state.pointers.values()].sort((a, b) => (a.projection < b.projection ? -1 : 1))),
  generation: (projection, generation) => Effect.succeed(state.generations.get(`${projection}/${generation}`)),
  generations: (projection) => Effect.succeed([...state.generations.values()].filter((record) => record.projection === projection).sort((a, b) => a.generation - b.generation)),
  following: Effect.succeed([...state.following.values()].sort((a, b) => (a.projection === b.projection ? a.generation - b.generation : a.projection < b.projection ? -1 : 1))),
  checkpoints: (projection, generation) => Effect.succeed(
    [...state.checkpoints.values()].filter(({ lane }) => lane.projection === projection && lane.generation === generation).sort((a, b) => a.lane.lane - b.lane.lane)
  ),
  scan: (query, visit) => Effect.sync(() => {
    const { projection, generation, tenantId, resolution, fromMs, toMs, keyId, where, rowsMax } = query
    const found: StoredRow[] = []
    for (const { lane, row } of state.rows.values()) {
      if (lane.projection !== projection || lane.generation !== generation || row.tenantId !== tenantId || row.resolution !== resolution) continue
      if (row.windowStartMs >= fromMs && row.windowStartMs < toMs && (keyId === undefined || row.keyId === keyId) && keepsKey(where, row.key)) found.push(row)
    }
    const visited = found.sort((a, b) => a.windowStartMs - b.windowStartMs || (a.keyId === b.keyId ? a.lane - b.lane : a.keyId < b.keyId ? -1 : 1)).slice(0, rowsMax)
    if (visited.length > 0) visit(visited)
  }),
  partials,
  windows: (page) => Effect.sync(() => windowsOf(state, page)),
  late: (page) => Effect.succeed(pageOf(state.late, page)),
  deadLetters: (page) => Effect.succeed(pageOf(state.deadLetters, page)),
  lateIn: (range) => Effect.succeed(rangeOf(state.late, range)),
  duplicatesIn: (range) => Effect.succeed(rangeOf(state.duplicates, range)),
  deadLettersIn: (range) => Effect.succeed(rangeOf(state.deadLetters, range)),
  keyCounts: (scan, visit) => Effect.sync(() => {
    const found = countsOf(state, scan)
    if (found.length > 0) visit(found)
  }),
  halts: Effect.succeed([...state.halts.values()]),
  unread: (consumer, entriesMax) => Effect.sync(() => {
    const cursor = state.outboxCursors.get(consumer)
    if (cursor === undefined) return undefined
    const found = [...state.outbox.values()].filter(({ sequence }) => sequence > cursor)
    return found.length > entriesMax ? undefined : found
  }),
  staleViews: Effect.succeed([])
})

/** Answers from `state`, which nobody changes any more. */
export const makeSnapshot = (state: ModelState): ReadSnapshot => {
  const look = partialsIn(state)
  return snapshotOf(state, (projection, generation, keys) => Effect.sync(() => look(projection, generation, keys)))
}
