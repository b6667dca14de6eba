/** The named stores of the read-model environment and the keys used in them. */
import type { LaneId } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { open } from "lmdb"
import type { Database, RootDatabase } from "lmdb"
import { makeLocalDirectory } from "./localDirectory.ts"
import { gateWrites } from "./writeGate.ts"

/** Ordered composite keys. */
export type Key = (string | number)[]

export interface ModelStores {
  readonly root: RootDatabase<string, Key>
  readonly rows: Database<Buffer, Buffer>
  readonly checkpoints: Database<string, Key>
  readonly generations: Database<string, Key>
  readonly pointers: Database<string, Key>
  /** Generations besides the active ones that are folded; no value. */
  readonly following: Database<string, Key>
  readonly halts: Database<string, Key>
  readonly late: Database<string, Key>
  readonly duplicates: Database<string, Key>
  readonly deadLetters: Database<string, Key>
  readonly keyCounts: Database<string, Key>
  readonly outbox: Database<string, Key>
  /** Cursor of each registered consumer of the outbox. */
  readonly outboxCursors: Database<string, Key>
}

const MAP_BYTES = 1024 * 1024 * 1024
const DATABASES_MAX = 32

/**
 * Lets the read view follow the last commit of this thread.
 *
 * The client renews its read transaction in a microtask after a synchronous commit; resetting it by hand would end
 * snapshots that are still held.
 */
export const renewView: Effect.Effect<void> = Effect.promise(() => Promise.resolve())

/** Opens (and creates) the environment. Commits are synced before they return. */
export const openModelStores = (directory: string): ModelStores => {
  makeLocalDirectory(directory)
  const root = open<string, Key>({ path: directory, encoding: "string", maxDbs: DATABASES_MAX, mapSize: MAP_BYTES, overlappingSync: false })
  gateWrites(root)
  const named = (name: string) => root.openDB<string, Key>({ name, encoding: "string" })
  return {
    root,
    rows: root.openDB<Buffer, Buffer>({ name: "rows", encoding: "binary", keyEncoding: "binary" }),
    checkpoints: named("checkpoints"),
    generations: named("generations"),
    pointers: named("pointers"),
    following: named("following"),
    halts: named("halts"),
    late: named("late"),
    duplicates: named("duplicates"),
    deadLetters: named("deadLetters"),
    keyCounts: named("keyCounts"),
    outbox: named("outbox"),
    outboxCursors: named("outboxCursors")
  }
}

const OFFSET_DIGITS = 20

/** An offset or sequence as text that sorts like the number, up to 2^64. */
export const offsetText = (offset: bigint): string => offset.toString().padStart(OFFSET_DIGITS, "0")

/** Above every offset. */
export const OFFSET_END = "~"

/** Key of the key counts of one base window in one lane. */
export const keyCountKey = (lane: LaneId, count: { readonly tenantId: string; readonly windowStartMs: number }): Key => [count.tenantId, lane.projection, lane.generation, lane.lane, count.windowStartMs]

/** Keys of the key counts of one tenant in one lane: by window start. */
export const keyCountRange = (lane: LaneId, tenantId: string): { readonly start: Key; readonly end: Key } => {
  const start: Key = [tenantId, lane.projection, lane.generation, lane.lane]
  return { start, end: [...start, OFFSET_END] }
}

/** Key of a lane's records. */
export const laneKey = (lane: LaneId): Key => [lane.projection, lane.generation, lane.lane]
