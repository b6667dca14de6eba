/**
 * What ingest knows of each partition: the state of its confirmed prefix, and the events on their way into it.
 *
 * An event is pending from before its append until the state has observed it; while its outcome is open, whoever
 * brings the same event waits. Rules: docs/semantics.md §4 (Duplicates).
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { decodeRecord } from "@tidemark/domain/events/envelope"
import type { EventAttributes } from "@tidemark/domain/events/event"
import { PartitionState } from "@tidemark/domain/events/partitionState"
import type { EventLogShape, LogReadError, StoredAt } from "@tidemark/domain/ports/EventLog"
import type { PartitionIndexError, PartitionIndexShape, PartitionSegment } from "@tidemark/domain/ports/PartitionIndex"

const READ_BYTES_MAX = 4_194_304
/** Observed records after which the state's segment is stored unless told otherwise, so that a restart reads no more than these. */
const SEGMENT_RECORDS = 4_096n

/** Memory of the 24-hour part of the dedupe index over all partitions, bytes: one entry takes 22 to 50. */
export const DEDUPE_BYTES_MAX = 1_073_741_824
/** How often a full index looks for entries that have left the horizon, ms. */
const EXPIRE_EVERY_MS = 10_000

/** The dedupe index has no room for more live events, and none of its entries may go. Nothing was appended. */
export class DedupeFullError extends Schema.TaggedError<DedupeFullError>()("DedupeFullError", {
  bytesMax: Schema.Number
}) {}

/** An event where it belongs, with its dedupe name. */
export interface NamedEvent {
  readonly partition: number
  readonly event: EventAttributes
  /** `identityText` of the event, made once. */
  readonly identity: string
}

/** Events that one append takes into the log; kept by whoever appends, from `begin` to `finish`. */
export interface OpenAppend {
  readonly batch: readonly NamedEvent[]
  /** Completed once the append is answered, whatever the answer. */
  readonly answered: Deferred.Deferred<void>
  durable: boolean
}

/** Of an append that is about to begin. */
export const openAppend = (batch: readonly NamedEvent[]): OpenAppend => ({ batch, answered: Deferred.makeUnsafe<void>(), durable: false })

interface Partition {
  state: PartitionState | undefined
  readonly lock: Semaphore.Semaphore
  readonly pending: Map<string, OpenAppend>
  /** Durable events of ours that the state has not observed, by offset. */
  readonly arrived: Map<bigint, NamedEvent>
  segmentFrom: bigint
  /** When a full index last looked for entries to drop, Unix ms. */
  expiredAtMs: number
  /** Taken and not yet stored, oldest first. */
  unsaved: PartitionSegment[]
}

export type Standing = { readonly kind: "new" } | { readonly kind: "duplicate" } | { readonly kind: "open"; readonly answered: Deferred.Deferred<void> }

export const NEW: Standing = { kind: "new" }
export const DUPLICATE: Standing = { kind: "duplicate" }

/** What `acceptEvents` asks before it appends, and tells after. */
export interface KnownEvents {
  /** Called before `standing` for each partition of a request. */
  readonly prepare: (partition: number) => Effect.Effect<void, LogReadError | PartitionIndexError>
  /** Is there room to know `live` more events of a prepared partition? */
  readonly hasRoom: (partition: number, live: number) => boolean
  /** Makes room for them, or fails. */
  readonly makeRoom: (partition: number, live: number) => Effect.Effect<void, DedupeFullError | LogReadError>
  /** How an event stands right now. */
  readonly standing: (named: NamedEvent) => Standing
  /**
   * These events are about to be appended together. No two of them have one name, and nothing has come between the
   * call and `standing`, which named all of them new: whoever asks now must find them open.
   */
  readonly begin: (batch: readonly NamedEvent[]) => OpenAppend
  /** It was answered, once: `stored` undefined = not stored, or not known to be. */
  readonly finish: (append: OpenAppend, stored: readonly StoredAt[] | undefined) => void
}

export class ConfirmedEvents implements KnownEvents {
  private readonly log: EventLogShape
  private readonly index: PartitionIndexShape
  private readonly hashSeed: number
  private readonly partitions = new Map<number, Partition>()

  private readonly bytesMax: number
  private readonly segmentRecords: bigint

  /** `hashSeed`: the log's, as its readers use it. `bytesMax`: of the 24-hour part of the dedupe index. `segmentRecords`: see SEGMENT_RECORDS. */
  constructor(log: EventLogShape, index: PartitionIndexShape, hashSeed: number, bytesMax = DEDUPE_BYTES_MAX, segmentRecords = SEGMENT_RECORDS) {
    this.bytesMax = bytesMax
    this.segmentRecords = segmentRecords
    this.log = log
    this.index = index
    this.hashSeed = hashSeed
  }

  private partitionOf(partition: number): Partition {
    const known = this.partitions.get(partition)
    if (known !== undefined) return known
    const fresh: Partition = { state: undefined, lock: Semaphore.makeUnsafe(1), pending: new Map(), arrived: new Map(), segmentFrom: 0n, expiredAtMs: -Infinity, unsaved: [] }
    this.partitions.set(partition, fresh)
    return fresh
  }

  /** Loads the partition's state at first use, and fills gaps that others' records left between ours. */
  prepare(partition: number): Effect.Effect<void, LogReadError | PartitionIndexError> {
    const slot = this.partitionOf(partition)
    if (slot.state !== undefined && slot.arrived.size === 0 && slot.state.nextOffset - slot.segmentFrom < this.segmentRecords) return Effect.void
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

  /** Counts events on their way in with their partitions. */
  hasRoom(partition: number, live: number): boolean {
    const slot = this.partitionOf(partition)
    let bytes = 0
    for (const other of this.partitions.values()) bytes += other.state?.dedupeBytesWith(other.pending.size + (other === slot ? live : 0)) ?? 0
    return bytes <= this.bytesMax
  }

  /** Nothing inside the horizon is dropped to make room: docs/semantics.md §4. */
  makeRoom(partition: number, live: number): Effect.Effect<void, DedupeFullError | LogReadError> {
    return Effect.gen({ self: this }, function* () {
      const nowMs = yield* Clock.currentTimeMillis
      for (const [other, place] of this.partitions) {
        if (nowMs - place.expiredAtMs < EXPIRE_EVERY_MS) continue
        place.expiredAtMs = nowMs
        yield* place.lock.withPermits(1)(this.expire(place, other))
      }
      if (!this.hasRoom(partition, live)) return yield* Effect.fail(new DedupeFullError({ bytesMax: this.bytesMax }))
    })
  }

  /** R moves on with the log's heartbeats while events are refused, so the log is read to its end first. */
  private expire(slot: Partition, partition: number): Effect.Effect<void, LogReadError> {
    const { log } = this
    return Effect.gen({ self: this }, function* () {
      if (slot.state === undefined) return
      const { end } = yield* log.bounds(partition)
      yield* this.readTo(slot, partition, slot.state, end)
      this.drain(slot, slot.state)
      slot.state.expireDedupe()
    })
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
    for (const [offset, { identity }] of slot.arrived) {
      if (offset >= state.nextOffset) continue
      slot.arrived.delete(offset)
      slot.pending.delete(identity)
    }
    for (let named = slot.arrived.get(state.nextOffset); named !== undefined; named = slot.arrived.get(state.nextOffset)) {
      slot.arrived.delete(state.nextOffset)
      this.observe(slot, state, named)
    }
  }

  /** The event at the state's next offset. */
  private observe(slot: Partition, state: PartitionState, { event, identity }: NamedEvent): void {
    slot.pending.delete(identity)
    state.observe({ kind: "event", event: { ...event, data: undefined } })
  }

  /** Stores what was observed once it is enough. What cannot be stored is tried again with the next segment. */
  private storeSegment(slot: Partition, state: PartitionState): Effect.Effect<void> {
    if (state.nextOffset - slot.segmentFrom < this.segmentRecords) return Effect.void
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
  standing({ partition, event, identity }: NamedEvent): Standing {
    const slot = this.partitionOf(partition)
    const pending = slot.pending.get(identity)
    if (pending !== undefined) return pending.durable ? DUPLICATE : { kind: "open", answered: pending.answered }
    return slot.state?.isDuplicate(event, event.receivedAtMs) === true ? DUPLICATE : NEW
  }

  begin(batch: readonly NamedEvent[]): OpenAppend {
    const append = openAppend(batch)
    for (const { partition, identity } of batch) this.partitionOf(partition).pending.set(identity, append)
    return append
  }

  finish(append: OpenAppend, stored: readonly StoredAt[] | undefined): void {
    append.batch.forEach((named, i) => {
      const slot = this.partitionOf(named.partition)
      const offset = stored?.[i]?.offset
      if (offset === undefined) slot.pending.delete(named.identity)
      else if (offset === slot.state?.nextOffset) this.observe(slot, slot.state, named)
      else slot.arrived.set(offset, named)
    })
    for (const slot of this.partitions.values()) if (slot.state !== undefined && slot.arrived.has(slot.state.nextOffset)) this.drain(slot, slot.state)
    append.durable = stored !== undefined
    Deferred.doneUnsafe(append.answered, Effect.void)
  }
}
