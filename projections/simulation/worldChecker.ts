/**
 * Looks at the store after every commit and at rest. Nothing here is taken from the product: the oracle computes what
 * must be stored from the checker's own copy of the log. Rules: docs/semantics.md §9, invariants 1, 3, 4 and 7.
 */
import type { LaneCommit, LaneId, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { ExpectedDigest, laneDifferences, touchedDifferences } from "./laneCheck.ts"
import type { Difference, LedgerPlace } from "./laneCheck.ts"
import { laneKey } from "./memoryModelState.ts"
import type { MemoryModelDisk } from "./memoryReadModelStore.ts"
import { rowId } from "./memoryReadModelStore.ts"
import { Oracle, oracleRowName } from "./oracle.ts"
import type { OracleRow } from "./oracle.ts"
import { oracleSeed } from "./oracleHash.ts"
import type { SimulatedProjection } from "./oracleProjections.ts"

interface CheckedLane {
  readonly id: LaneId
  readonly oracle: Oracle
  /** Highest epoch given out. */
  epoch: bigint
  readonly digest: ExpectedDigest
  readonly revisions: Map<string, bigint>
}

export class WorldChecker {
  /** Every record ever stored, by partition, whatever becomes of the log. */
  readonly log: Uint8Array[][]
  readonly violations: string[] = []
  private readonly lanes = new Map<string, CheckedLane>()
  private readonly disk: MemoryModelDisk

  constructor(disk: MemoryModelDisk, projections: readonly SimulatedProjection[], identity: { readonly logId: string; readonly partitions: number; readonly lanes: number }) {
    this.disk = disk
    this.log = Array.from({ length: identity.partitions }, () => [])
    for (const { twin } of projections) {
      for (let lane = 0; lane < identity.lanes; lane++) {
        const id = { projection: twin.name, generation: 1, lane }
        const partitions = this.log.map((_records, partition) => partition).filter((partition) => partition % identity.lanes === lane)
        this.lanes.set(laneKey(id), { id, oracle: new Oracle(twin, oracleSeed(identity.logId), partitions), epoch: 0n, digest: new ExpectedDigest(), revisions: new Map() })
      }
    }
  }

  violate(what: string): void {
    this.violations.push(what)
  }

  /** An owner took the lane over and was given this epoch. */
  tookOver(lane: LaneId, epoch: bigint): void {
    const checked = this.lanes.get(laneKey(lane))
    if (checked === undefined) return this.violate(`unknown lane ${laneKey(lane)}`)
    if (epoch <= checked.epoch) this.violate(`${laneKey(lane)}: epoch ${epoch} was given out after ${checked.epoch}`)
    checked.epoch = epoch
  }

  /** The store has just taken these commits. */
  committed(commits: readonly LaneCommit[]): void {
    for (const commit of commits) this.checkCommit(commit)
  }

  /** Everything is compared; the lanes must stand at the end of the log unless `isHalted`. */
  atRest(isHalted: boolean): void {
    for (const { id, oracle, digest } of this.lanes.values()) {
      this.report(id, laneDifferences(oracle, this.disk.state, id, digest))
      for (const [partition, { nextOffset }] of oracle.partitions) {
        if (!isHalted && nextOffset !== BigInt(this.log[partition]?.length ?? 0)) this.violate(`${laneKey(id)}: partition ${partition} rests at ${nextOffset} of ${this.log[partition]?.length}`)
      }
    }
  }

  private report(lane: LaneId, differences: readonly Difference[]): void {
    for (const { at, stored, expected } of differences.slice(0, 3)) this.violate(`${laneKey(lane)}, ${at}\n    stored   ${stored}\n    expected ${expected}`)
  }

  private checkCommit(commit: LaneCommit): void {
    const checked = this.lanes.get(laneKey(commit.lane))
    if (checked === undefined) return this.violate(`commit of unknown lane ${laneKey(commit.lane)}`)
    const { id, oracle } = checked
    if (commit.epoch !== checked.epoch) this.violate(`${laneKey(id)}: committed at epoch ${commit.epoch}, owned at ${checked.epoch}`)
    for (const { partition, nextOffset } of commit.next) this.advance(checked, partition, nextOffset)
    const changed = new Map(oracle.changed)
    const entered = oracle.entered.splice(0)
    oracle.changed.clear()
    for (const [name, row] of changed) checked.digest.count(oracle, name, row)
    const names = new Set(changed.keys())
    for (const row of commit.rows) {
      const name = oracleRowName(row.resolution, row.windowStartMs, row.keyId)
      if (!names.has(name)) this.violate(`${laneKey(id)}: row ${name} was written and nothing of it has changed`)
      names.add(name)
      const before = checked.revisions.get(name) ?? 0n
      if (row.revision !== before + 1n) this.violate(`${laneKey(id)}: row ${name} has revision ${row.revision} after ${before}`)
      checked.revisions.set(name, row.revision)
    }
    const hints = commit.hints.map(({ tenantId, resolution, windowStartMs, keyId, revision }) => `${tenantId} ${resolution} ${windowStartMs} ${keyId} ${revision}`)
    const owed = commit.rows.map(({ tenantId, resolution, windowStartMs, keyId, revision }) => `${tenantId} ${resolution} ${windowStartMs} ${keyId} ${revision}`)
    if (hints.join() !== owed.join()) this.violate(`${laneKey(id)}: the outbox entry does not name the rows that changed`)
    const places = this.placesOf(id, commit, entered)
    this.report(id, touchedDifferences(oracle, this.disk.state, id, { rows: names, places }, (name) => this.storedRow(id, commit, changed, name)))
    this.report(id, checked.digest.difference(this.disk.state, id))
  }

  /** Where the commit wrote to a ledger or had to. */
  private placesOf(id: LaneId, { late, duplicates, deadLetters }: LaneCommit, entered: readonly LedgerPlace[]): readonly LedgerPlace[] {
    const known = new Set(entered.map(({ partition, offset }) => `${partition}:${offset}`))
    const places = [...entered]
    for (const [ledger, entries] of [["late", late], ["duplicate", duplicates], ["dead letter", deadLetters]] as const) {
      for (const place of entries) {
        if (known.has(`${place.partition}:${place.offset}`)) continue
        this.violate(`${laneKey(id)}: the ${ledger} ledger was given ${place.partition}:${place.offset}, where nothing has changed`)
        places.push(place)
      }
    }
    return places
  }

  private advance({ id, oracle }: CheckedLane, partition: number, nextOffset: bigint): void {
    const prefix = oracle.partitions.get(partition)
    if (prefix === undefined) return this.violate(`${laneKey(id)}: committed partition ${partition}, which is not of this lane`)
    if (nextOffset < prefix.nextOffset) return this.violate(`${laneKey(id)}: partition ${partition} went back from ${prefix.nextOffset} to ${nextOffset}`)
    const records = this.log[partition] ?? []
    if (nextOffset > BigInt(records.length)) return this.violate(`${laneKey(id)}: partition ${partition} stands at ${nextOffset}, the log ends at ${records.length}`)
    while (prefix.nextOffset < nextOffset) oracle.take(partition, records[Number(prefix.nextOffset)] ?? new Uint8Array())
  }

  private storedRow(id: LaneId, commit: LaneCommit, changed: ReadonlyMap<string, OracleRow>, name: string): StoredRow | undefined {
    const row = changed.get(name)
    const key = row === undefined
      ? commit.rows.find((written) => oracleRowName(written.resolution, written.windowStartMs, written.keyId) === name)
      : { tenantId: row.tenant, resolution: row.resolution, windowStartMs: row.startMs, keyId: row.keyId }
    return key === undefined ? undefined : this.disk.state.rows.get(rowId(id, key))?.row
  }
}
