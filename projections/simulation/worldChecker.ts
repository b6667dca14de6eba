/**
 * Looks at the store after every commit and at rest. Nothing here is taken from the product: the oracle computes what
 * must be stored from the checker's own copy of the log. Rules: docs/semantics.md §9, invariants 1, 3, 4 and 7.
 */
import { canonicalJson } from "@tidemark/domain/definitions/canonicalJson"
import type { LogIdentity } from "@tidemark/domain/ports/EventLog"
import type { GenerationRecord, LaneCommit, LaneId, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { ExpectedDigest, laneDifferences, touchedDifferences } from "./laneCheck.ts"
import type { Difference, LedgerPlace } from "./laneCheck.ts"
import { keptGenerations, laneKey, rowId } from "./memoryModelState.ts"
import type { MemoryModelDisk } from "./memoryReadModelStore.ts"
import { Oracle, oracleRowName } from "./oracle.ts"
import type { OracleRow } from "./oracle.ts"
import { oracleSeed } from "./oracleHash.ts"
import type { SimulatedProjection } from "./oracleProjections.ts"
import { ServedCheck } from "./servedCheck.ts"

type CheckedLog = Pick<LogIdentity, "logId" | "partitions" | "lanes">

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
  readonly served: ServedCheck
  private readonly lanes = new Map<string, CheckedLane>()
  private readonly disk: MemoryModelDisk
  private readonly projections: readonly SimulatedProjection[]
  private readonly identity: CheckedLog

  /** `projections`: every definition that a generation may have. */
  constructor(disk: MemoryModelDisk, projections: readonly SimulatedProjection[], identity: CheckedLog) {
    this.disk = disk
    this.projections = projections
    this.identity = identity
    this.served = new ServedCheck(identity.partitions)
    this.log = Array.from({ length: identity.partitions }, () => [])
  }

  /** Generations were made, dropped, followed or served. */
  generationsChanged(): void {
    for (const record of this.disk.state.generations.values()) {
      if (record.isDropped === true) this.forget(record)
      else this.expect(record)
    }
    this.lookAtServed()
  }

  private lookAtServed(): void {
    for (const found of this.served.look(this.disk.state)) this.violate(found)
  }

  private expect({ projection, generation, definition }: GenerationRecord): void {
    const { logId, lanes } = this.identity
    if (this.lanes.has(laneKey({ projection, generation, lane: 0 }))) return
    const known = this.projections.find((one) => one.twin.name === projection && canonicalJson(one.definition) === definition)
    if (known === undefined) return this.violate(`generation ${generation} of ${projection} has a definition that nobody gave`)
    for (let lane = 0; lane < lanes; lane++) {
      const id = { projection, generation, lane }
      const partitions = this.log.map((_records, partition) => partition).filter((partition) => partition % lanes === lane)
      this.lanes.set(laneKey(id), { id, oracle: new Oracle(known.twin, oracleSeed(logId), partitions), epoch: 0n, digest: new ExpectedDigest(), revisions: new Map() })
    }
  }

  /** Nothing is left of a generation that was dropped. */
  private forget({ projection, generation }: GenerationRecord): void {
    if (!this.lanes.has(laneKey({ projection, generation, lane: 0 }))) return
    for (let lane = 0; lane < this.identity.lanes; lane++) this.lanes.delete(laneKey({ projection, generation, lane }))
    const { rows, late, duplicates, deadLetters, checkpoints } = this.disk.state
    const left = [rows, late, duplicates, deadLetters, checkpoints].flatMap((entries) => [...entries.values()].filter(({ lane }) => lane.projection === projection && lane.generation === generation)).length
    if (left > 0) this.violate(`generation ${generation} of ${projection} was dropped and ${left} entries of it are left`)
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
    this.lookAtServed()
  }

  /** Everything is compared; lanes of what is served or followed must stand at the end of the log unless `isHalted`. */
  atRest(isHalted: boolean): void {
    const kept = keptGenerations(this.disk.state)
    for (const { id, oracle, digest } of this.lanes.values()) {
      this.report(id, laneDifferences(oracle, this.disk.state, id, digest))
      if (!kept.has(`${id.projection}/${id.generation}`)) continue
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
