/**
 * One transaction per flush: compare-and-set of every checkpoint, then rows, ledgers and outbox.
 *
 * Lanes are locked in one order, the outbox sequence last, so flushes of several processes never wait in a circle. The
 * statements are sent without waiting for each other, and committed once all of them are answered and every checkpoint moved.
 */
import { FencedError } from "@tidemark/domain/ports/ReadModelStore"
import type { LaneCheckpoint, LaneCommit, LaneId } from "@tidemark/domain/ports/ReadModelStore"
import type { PoolClient } from "pg"
import { int4Array, textArray } from "./arrayParameters.ts"
import { together, transact } from "./connection.ts"
import { findGeneration } from "./generations.ts"
import type { Store, StoredGeneration } from "./generations.ts"
import { writeLedgers } from "./ledgers.ts"
import { dropRowsBelow } from "./retention.ts"
import { packRows, writeRows } from "./rowWriting.ts"
import type { RowBatch } from "./rowWriting.ts"
import { checkpointOf, checkpointText, packHints } from "./stateText.ts"

export interface PackedCommit {
  readonly commit: LaneCommit
  /** Undefined when the generation does not exist: such a commit is fenced. */
  readonly generation: StoredGeneration | undefined
  readonly batches: readonly RowBatch[]
}

const byLane = (a: LaneId, b: LaneId): number =>
  a.projection < b.projection ? -1 : a.projection > b.projection ? 1 : a.generation - b.generation || a.lane - b.lane

/**
 * Moves the checkpoint if it stands where the commit starts, else throws `FencedError`. A lock held by a new owner makes
 * this wait, and then find another epoch.
 */
const moveCheckpoint = async ({ schema }: Store, client: PoolClient, { lane, epoch, expected, next, digest }: LaneCommit): Promise<void> => {
  const from = [...expected].sort((a, b) => a.partition - b.partition)
  const to = [...next].sort((a, b) => a.partition - b.partition)
  const { rowCount } = await client.query({
    name: "move checkpoint",
    text: `UPDATE ${schema}.lane_checkpoints SET next_offsets = $7::int8[], state = $8, digest = $9, partitions = $10::int4[]
WHERE projection = $1 AND generation = $2 AND lane = $3 AND epoch = $4 AND partitions = $5::int4[] AND next_offsets = $6::int8[]`,
    values: [
      lane.projection, lane.generation, lane.lane, epoch.toString(), from.map(({ partition }) => partition), from.map(({ nextOffset }) => nextOffset.toString()),
      to.map(({ nextOffset }) => nextOffset.toString()), checkpointText(next), Buffer.from(digest.buffer, digest.byteOffset, digest.length), to.map(({ partition }) => partition)
    ]
  })
  if (rowCount !== 1) throw new FencedError({ ...lane, epoch })
}

/**
 * Numbers the entries and adds them. The lock on the sequence is held until the transaction ends, so numbers become
 * visible in their order and without gaps.
 */
const writeOutbox = async ({ schema }: Store, client: PoolClient, commits: readonly LaneCommit[]): Promise<void> => {
  const entries = commits.filter(({ hints }) => hints.length > 0)
  if (entries.length === 0) return
  const packed = entries.map(({ hints }) => packHints(hints))
  const places: number[] = []
  let at = 1
  for (const { length } of packed) {
    places.push(at)
    at += length
  }
  await client.query({
    name: "add to outbox",
    text: `WITH numbered AS (UPDATE ${schema}.outbox_sequence SET last = last + $1::int8 RETURNING last)
INSERT INTO ${schema}.outbox (sequence, projection, generation, lane, hints)
SELECT n.last - $1::int8 + u.place, u.projection, u.generation, u.lane, substring(b.blob FROM u.at FOR u.length)
FROM numbered n, (SELECT $2::bytea AS blob) b,
unnest($3::text[], $4::int4[], $5::int4[], $6::int4[], $7::int4[]) WITH ORDINALITY AS u(projection, generation, lane, at, length, place)`,
    values: [
      entries.length, Buffer.concat(packed), textArray(entries.map(({ lane }) => lane.projection)), int4Array(entries.map(({ lane }) => lane.generation)),
      int4Array(entries.map(({ lane }) => lane.lane)), int4Array(places), int4Array(packed.map(({ length }) => length))
    ]
  })
}

const writeAll = async (store: Store, client: PoolClient, packed: readonly PackedCommit[]): Promise<void> => {
  const moves = packed.map(({ commit }) => moveCheckpoint(store, client, commit))
  if (packed.some(({ commit }) => commit.dropBelowMs !== null)) await together(moves)
  for (const { commit, generation } of packed) {
    if (generation !== undefined && commit.dropBelowMs !== null) await dropRowsBelow(client, generation, commit.lane, commit.dropBelowMs)
  }
  const writes = packed.flatMap(({ commit, generation, batches }) =>
    generation === undefined ? [] : [...writeRows(client, generation.tables.rows, generation.layout, batches), ...writeLedgers(client, generation.tables, commit)])
  await together([...moves, ...writes, writeOutbox(store, client, packed.map(({ commit }) => commit))])
}

/** The generations of the commits, in the same order; undefined for one that does not exist. */
export const generationsOf = async (store: Store, commits: readonly LaneCommit[]): Promise<readonly (StoredGeneration | undefined)[]> => {
  const found: (StoredGeneration | undefined)[] = []
  for (const { lane } of commits) found.push(await findGeneration(store, store.writers, lane.projection, lane.generation))
  return found
}

/**
 * Packs the rows before the transaction begins, so no lock is held while this process computes. Throws `RangeError` or
 * `MeasureBytesError` when rows are not of their generation.
 */
export const packCommits = (commits: readonly LaneCommit[], generations: readonly (StoredGeneration | undefined)[]): readonly PackedCommit[] =>
  commits
    .map((commit, index): PackedCommit => {
      const generation = generations[index]
      return { commit, generation, batches: generation === undefined ? [] : packRows(commit.lane.lane, commit.rows, generation.layout) }
    })
    .sort((a, b) => byLane(a.commit.lane, b.commit.lane))

/** Throws `FencedError`, `CommitUnknownError`, or what the client throws, in which case nothing was changed. */
export const commitAll = (store: Store, packed: readonly PackedCommit[]): Promise<void> => transact(store.writers, (client) => writeAll(store, client, packed))

interface CheckpointRow {
  readonly lane: number
  readonly epoch: string
  readonly state: string
  readonly digest: Buffer
}

const checkpointFrom = (projection: string, generation: number, row: CheckpointRow): LaneCheckpoint => ({
  lane: { projection, generation, lane: row.lane }, epoch: BigInt(row.epoch), partitions: checkpointOf(row.state), digest: new Uint8Array(row.digest)
})

/** Raises the epoch under the row's lock and reads the checkpoint in the same statement; undefined when there is no such lane. */
export const takeOver = ({ schema, writers }: Store, { projection, generation, lane }: LaneId): Promise<LaneCheckpoint | undefined> =>
  transact(writers, async (client) => {
    const { rows } = await client.query<CheckpointRow>(
      `UPDATE ${schema}.lane_checkpoints SET epoch = epoch + 1 WHERE projection = $1 AND generation = $2 AND lane = $3 RETURNING lane, epoch, state, digest`,
      [projection, generation, lane])
    return rows[0] === undefined ? undefined : checkpointFrom(projection, generation, rows[0])
  })

/** Checkpoints of a generation by lane. */
export const readCheckpoints = async ({ schema }: Store, client: PoolClient, projection: string, generation: number): Promise<LaneCheckpoint[]> => {
  const { rows } = await client.query<CheckpointRow>(
    `SELECT lane, epoch, state, digest FROM ${schema}.lane_checkpoints WHERE projection = $1 AND generation = $2 ORDER BY lane`, [projection, generation])
  return rows.map((row) => checkpointFrom(projection, generation, row))
}
