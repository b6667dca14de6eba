/** Generations in LMDB: created, served, followed, dropped. */
import { GenerationInUseError, GenerationMissingError, PointerConflictError, TargetBehindError } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationId, GenerationRecord, LaneCheckpoint, PartitionCheckpoint, Pointer } from "@tidemark/domain/ports/ReadModelStore"
import { fromText, toText } from "./jsonCodec.ts"
import { OFFSET_END, laneKey } from "./modelStores.ts"
import type { Key, ModelStores } from "./modelStores.ts"
import { generationRowKeys, keyCountKeysOf } from "./retention.ts"

const DIGEST_BYTES = 4_096
/** Rows removed by one transaction, so that flushes of other generations wait for a short time only. */
const DROP_ROWS = 2_000

const emptyCheckpoint = (partition: number, nextOffset: bigint): PartitionCheckpoint => ({
  partition,
  nextOffset,
  lastRecordHash: "",
  counters: { records: 0n, system: 0n, events: 0n, folded: 0n, held: 0n, duplicate: 0n, deadLettered: 0n, filtered: 0n, late: 0n, applied: 0n },
  receivedMaxMs: null,
  heartbeatMaxMs: null,
  tenantMaxMs: new Map()
})

const keyOf = ({ projection, generation }: GenerationId): Key => [projection, generation]

const recordOf = (stores: ModelStores, id: GenerationId): GenerationRecord | undefined => {
  const text = stores.generations.get(keyOf(id))
  const record = text === undefined ? undefined : fromText<GenerationRecord>(text)
  return record?.isDropped === true ? undefined : record
}

/** Stores the record and a zero checkpoint per lane, unless its number was ever used. */
export const createGeneration = (stores: ModelStores, record: GenerationRecord, lanes: readonly { readonly lane: number; readonly partitions: readonly number[] }[]): void =>
  stores.root.transactionSync(() => {
    const { projection, generation } = record
    if (stores.generations.get(keyOf(record)) !== undefined) return
    const starts = new Map(record.coverage.map(({ partition, nextOffset }) => [partition, nextOffset]))
    stores.generations.putSync(keyOf(record), toText(record))
    for (const { lane, partitions } of lanes) {
      const checkpoint: LaneCheckpoint = {
        lane: { projection, generation, lane },
        epoch: 0n,
        partitions: partitions.map((partition) => emptyCheckpoint(partition, starts.get(partition) ?? 0n)),
        digest: new Uint8Array(DIGEST_BYTES)
      }
      stores.checkpoints.putSync(laneKey(checkpoint.lane), toText(checkpoint))
    }
  })

/** Next offsets of a generation, by partition. */
const positionOf = (stores: ModelStores, id: GenerationId): ReadonlyMap<number, bigint> =>
  new Map([...stores.checkpoints.getRange({ start: keyOf(id), end: [...keyOf(id), OFFSET_END] })].flatMap(({ value }) =>
    fromText<LaneCheckpoint>(value).partitions.map(({ partition, nextOffset }) => [partition, nextOffset] as const)))

/** Where the active generation hands over to the target, unless that is behind. */
const handOverOf = (stores: ModelStores, active: GenerationId, target: GenerationId): NonNullable<Pointer["handOver"]> | TargetBehindError => {
  const reached = positionOf(stores, target)
  const handOver: { readonly partition: number; readonly nextOffset: bigint }[] = []
  for (const [partition, activeOffset] of positionOf(stores, active)) {
    const nextOffset = reached.get(partition) ?? 0n
    if (nextOffset < activeOffset) return new TargetBehindError({ projection: target.projection, generation: target.generation, partition, nextOffset, activeOffset })
    handOver.push({ partition, nextOffset: activeOffset })
  }
  return handOver.sort((a, b) => a.partition - b.partition)
}

/** Moves the pointer and has both generations followed, or answers why not. */
export const flip = (stores: ModelStores, target: GenerationId, expectedVersion: number): Pointer | PointerConflictError | TargetBehindError =>
  stores.root.transactionSync(() => {
    const { projection, generation } = target
    const text = stores.pointers.get([projection])
    const active = text === undefined ? undefined : fromText<Pointer>(text)
    const pointerVersion = active?.pointerVersion ?? 0
    if (pointerVersion !== expectedVersion || recordOf(stores, target) === undefined) return new PointerConflictError({ projection, pointerVersion })
    const handOver = active === undefined ? undefined : handOverOf(stores, active, target)
    if (handOver instanceof TargetBehindError) return handOver
    const pointer: Pointer = { projection, generation, pointerVersion: pointerVersion + 1, ...(handOver === undefined ? {} : { handOver }) }
    stores.pointers.putSync([projection], toText(pointer))
    if (active !== undefined) for (const id of [active, target]) stores.following.putSync(keyOf(id), "")
    return pointer
  })

/** Has a generation followed, or not any more. */
export const follow = (stores: ModelStores, id: GenerationId, isFollowed: boolean): GenerationMissingError | undefined =>
  stores.root.transactionSync(() => {
    if (recordOf(stores, id) === undefined) return new GenerationMissingError({ projection: id.projection, generation: id.generation })
    if (isFollowed) stores.following.putSync(keyOf(id), "")
    else stores.following.removeSync(keyOf(id))
    return undefined
  })

/** Marks the record and fences whoever folds it; answers whether there is anything to remove. */
const condemn = (stores: ModelStores, id: GenerationId): boolean | GenerationInUseError =>
  stores.root.transactionSync(() => {
    const active = stores.pointers.get([id.projection])
    if ((active !== undefined && fromText<Pointer>(active).generation === id.generation) || stores.following.get(keyOf(id)) !== undefined) {
      return new GenerationInUseError({ projection: id.projection, generation: id.generation })
    }
    const text = stores.generations.get(keyOf(id))
    if (text === undefined) return false
    stores.generations.putSync(keyOf(id), toText({ ...fromText<GenerationRecord>(text), isDropped: true } satisfies GenerationRecord))
    for (const store of [stores.checkpoints, stores.halts]) {
      const keys = [...store.getKeys({ start: keyOf(id), end: [...keyOf(id), OFFSET_END] })]
      for (const key of keys) store.removeSync(key)
    }
    return true
  })

/** Removes keys in transactions of a bounded size. */
const removeAll = <K>(stores: ModelStores, keys: readonly K[], remove: (key: K) => void): void => {
  let chunk: K[] = []
  const flush = () => stores.root.transactionSync(() => chunk.forEach(remove))
  for (const key of keys) {
    if (chunk.push(key) < DROP_ROWS) continue
    flush()
    chunk = []
  }
  if (chunk.length > 0) flush()
}

/** Fences the generation's owner, then removes what it stored. */
export const dropGeneration = (stores: ModelStores, id: GenerationId): GenerationInUseError | undefined => {
  const condemned = condemn(stores, id)
  if (typeof condemned !== "boolean") return condemned
  if (!condemned) return undefined
  for (const ledger of [stores.late, stores.deadLetters]) {
    const at: Key = ["p", ...keyOf(id)]
    removeAll(stores, [...ledger.getRange({ start: at, end: [...at, OFFSET_END] })], ({ key, value }) => {
      const { tenantId } = fromText<{ readonly tenantId: string }>(value)
      ledger.removeSync(key)
      ledger.removeSync(["t", tenantId, ...key.slice(1)])
    })
  }
  removeAll(stores, [...stores.duplicates.getKeys({ start: keyOf(id), end: [...keyOf(id), OFFSET_END] })], (key) => stores.duplicates.removeSync(key))
  removeAll(stores, [...keyCountKeysOf(stores, id)], (key) => stores.keyCounts.removeSync(key))
  removeAll(stores, [...generationRowKeys(stores, id)], (key) => stores.rows.removeSync(key))
  return undefined
}
