/**
 * What ingest knows of each partition: the state of its confirmed prefix, and the events on their way into it.
 *
 * An event is pending from before its append until the state has observed it; while its outcome is open, whoever
 * brings the same event waits. Rules: docs/semantics.md §4 (Duplicates).
 */
import { Deferred, Effect, Semaphore } from "effect"
import { decodeRecord } from "@tidemark/domain/events/envelope"
import type { EventAttributes } from "@tidemark/domain/events/event"
import { PartitionState } from "@tidemark/domain/events/partitionState"
import type { EventLogShape, LogReadError, StoredAt } from "@tidemark/domain/ports/EventLog"
import type { PartitionIndexError, PartitionIndexShape, PartitionSegment } from "@tidemark/domain/ports/PartitionIndex"

const READ_BYTES_MAX = 4_194_304
/** Observed records after which the state's segment is stored, so that a restart reads no more than these. */
export const SEGMENT_RECORDS = 4_096n

interface Pending {
  /** Completed once the append is answered, whatever the answer. */
  readonly answered: Deferred.Deferred<void>
  durable: boolean
}

interface Partition {
  state: PartitionState | undefined
  readonly lock: Semaphore.Semaphore
  readonly pending: Map<string, Pending>
  /** Durable events of ours that the state has not observed, by offset. */
  readonly arrived: Map<bigint, EventAttributes>
  segmentFrom: bigint
  /** Taken and not yet stored, oldest first. */
  unsaved: PartitionSegment[]
}

export type Standing = { readonly kind: "new" } | { readonly kind: "duplicate" } | { readonly kind: "open"; readonly answered: Deferred.Deferred<void> }

/** What `acceptEvents` asks before it appends, and tells after. */
export interface KnownEvents {
  /** Called before `standing` for each partition of a request. */
  readonly prepare: (partition: number) => Effect.Effect<void, LogReadError | PartitionIndexError>
  /** How an event stands right now. */
  readonly standing: (partition: number, event: EventAttributes) => Standing
  /** The event is about to be appended. */
  readonly begin: (partition: number, event: EventAttributes) => void
  /** The append was answered: `stored` undefined = not stored, or not known to be. */
  readonly finish: (partition: number, event: EventAttributes, stored: StoredAt | undefined) => void
}

/** One text for one dedupe name: tenant, partition key, import or none, id. */
export const identityOf = (event: EventAttributes): string => JSON.stringify([event.tenantId, event.partitionKey, event.backfill ?? null, event.id])

export class ConfirmedEvents implements KnownEvents {
  private readonly log: EventLogShape
  private readonly index: PartitionIndexShape
  private readonly hashSeed: number
  private readonly partitions = new Map<number, Partition>()

  /** `hashSeed`: the log's, as its readers use it. */
  constructor(log: EventLogShape, index: PartitionIndexShape, hashSeed: number) {
    this.log = log
    this.index = index
    this.hashSeed = hashSeed
  }

  private partitionOf(partition: number): Partition {
    const known = this.partitions.get(partition)
    if (known !== undefined) return known
    const fresh: Partition = { state: undefined, lock: Semaphore.makeUnsafe(1), pending: new Map(), arrived: new Map(), segmentFrom: 0n, unsaved: [] }
    this.partitions.set(partition, fresh)
    return fresh
  }

  /** Loads the partition's state at first use, and fills gaps that others' records left between ours. */
  prepare(partition: number): Effect.Effect<void, LogReadError | PartitionIndexError> {
    const slot = this.partitionOf(partition)
    if (slot.state !== undefined && slot.arrived.size === 0 && slot.state.nextOffset - slot.segmentFrom < SEGMENT_RECORDS) return Effect.void
    const load = Effect.gen({ self: this }, function* () {
      if (slot.state === undefined) {
        const { end } = yield* this.log.bounds(partition)
        const stored = yield* this.index.load(partition, end)
        const state = PartitionState.fromSegments(partition, this.hashSeed, stored.segments, stored.imports)
        slot.segmentFrom = state.nextOffset
        slot.unsaved = []
        yield* this.readTo(slot, partition, state, end)
        slot.state = state
      }
      this.drain(slot, slot.state)
      let target = slot.state.nextOffset
      for (const offset of slot.arrived.keys()) if (offset > target) target = offset
      yield* this.readTo(slot, partition, slot.state, target)
      this.drain(slot, slot.state)
      yield* this.storeSegment(slot, slot.state)
    })
    return slot.lock.withPermits(1)(load)
  }

  /** Observes the log's records up to `to` (exclusive) or further: batches are whole. */
  private readTo(slot: Partition, partition: number, state: PartitionState, to: bigint): Effect.Effect<void, LogReadError> {
    const { log } = this
    return Effect.gen({ self: this }, function* () {
      while (state.nextOffset < to) {
        const before = state.nextOffset
        const batches = yield* log.read([{ partition, nextOffset: before }], { bytesMax: READ_BYTES_MAX, waitMaxMs: 0 })
        for (const { firstOffset, bytes, ends } of batches) {
          for (let i = 0; i < ends.length; i++) {
            if (firstOffset + BigInt(i) === state.nextOffset) state.observe(decodeRecord(bytes.subarray(ends[i - 1] ?? 0, ends[i])))
          }
        }
        if (state.nextOffset === before) return yield* Effect.die(new Error(`partition ${partition} ends at ${before}, below its bound ${to}`))
        yield* this.storeSegment(slot, state)
      }
    })
  }

  private drain(slot: Partition, state: PartitionState): void {
    for (const [offset, event] of slot.arrived) {
      if (offset >= state.nextOffset) continue
      slot.arrived.delete(offset)
      slot.pending.delete(identityOf(event))
    }
    for (let event = slot.arrived.get(state.nextOffset); event !== undefined; event = slot.arrived.get(state.nextOffset)) {
      slot.arrived.delete(state.nextOffset)
      slot.pending.delete(identityOf(event))
      state.observe({ kind: "event", event: { ...event, data: undefined } })
    }
  }

  /** Stores what was observed once it is enough. What cannot be stored is tried again with the next segment. */
  private storeSegment(slot: Partition, state: PartitionState): Effect.Effect<void> {
    if (state.nextOffset - slot.segmentFrom < SEGMENT_RECORDS) return Effect.void
    const taken = state.takeSegment()
    slot.segmentFrom = state.nextOffset
    if (taken !== undefined) slot.unsaved.push(taken)
    const { index } = this
    return Effect.gen(function* () {
      for (let oldest = slot.unsaved[0]; oldest !== undefined; oldest = slot.unsaved[0]) {
        yield* index.save(oldest)
        state.segmentSaved(oldest)
        slot.unsaved.shift()
      }
    }).pipe(Effect.catchTag("PartitionIndexError", ({ cause }) => Effect.logWarning("the dedupe index cannot be stored; the next start takes longer", cause)))
  }

  /** How an event stands right now, its partition being prepared. */
  standing(partition: number, event: EventAttributes): Standing {
    const slot = this.partitionOf(partition)
    const pending = slot.pending.get(identityOf(event))
    if (pending !== undefined) return pending.durable ? { kind: "duplicate" } : { kind: "open", answered: pending.answered }
    return slot.state?.isDuplicate(event, event.receivedAtMs) === true ? { kind: "duplicate" } : { kind: "new" }
  }

  /** Marks an event as about to be appended. */
  begin(partition: number, event: EventAttributes): void {
    this.partitionOf(partition).pending.set(identityOf(event), { answered: Deferred.makeUnsafe<void>(), durable: false })
  }

  /** The append was answered: `stored` undefined = not stored, or not known to be. */
  finish(partition: number, event: EventAttributes, stored: StoredAt | undefined): void {
    const slot = this.partitionOf(partition)
    const pending = slot.pending.get(identityOf(event))
    if (stored === undefined) slot.pending.delete(identityOf(event))
    else {
      if (pending !== undefined) pending.durable = true
      slot.arrived.set(stored.offset, event)
      if (slot.state !== undefined && slot.arrived.has(slot.state.nextOffset)) this.drain(slot, slot.state)
    }
    if (pending !== undefined) Deferred.doneUnsafe(pending.answered, Effect.void)
  }
}
