/**
 * A small platform in memory for the specifications of questions and of what serves them: a log of two partitions in two
 * lanes, one projection folded from it row by row, and a bus. Rows, checkpoints and ledgers are plain lists that a
 * specification may also write by hand.
 */
import { compileDefinition, createExtraction } from "@tidemark/domain/definitions/compile"
import { canonicalJson } from "@tidemark/domain/definitions/canonicalJson"
import { defineProjection, definitionHash } from "@tidemark/domain/definitions/definition"
import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import { encodeEvent } from "@tidemark/domain/events/envelope"
import type { EventEnvelope } from "@tidemark/domain/events/event"
import { encodeLateApplied } from "@tidemark/domain/events/systemRecords"
import { hashSeedOf } from "@tidemark/domain/events/hashSeed"
import { hashUtf8 } from "@tidemark/domain/measures/hash"
import { decodeAccumulator, mergeAccumulators } from "@tidemark/domain/measures/measure"
import { AFTER_KEY, checkpointTopic, checkpointVersion, hintKey, hintVersion, modelTopic } from "@tidemark/domain/ports/hintTopic"
import type { Notification } from "@tidemark/domain/ports/PubSub"
import type { DeadLetter, DuplicateEntry, Halt, LateEntry, LaneCheckpoint, OutboxEntry, PartitionCheckpoint, Pointer, RowScan, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import type { StaleView } from "@tidemark/domain/ports/staleView"
import type { RejectedEvent } from "@tidemark/domain/ports/RejectedLog"
import { RESOLUTIONS, windowStart } from "@tidemark/domain/time/window"

export const LOG_ID = "log-of-the-specifications"
export const PARTITIONS = 2
/** The projection's out-of-orderness. */
export const OUT_OF_ORDERNESS_MS = 10_000

/** Views, visitors and time on page, by country and page. */
export const definition = defineProjection({
  name: "page-views",
  version: 1,
  handles: [{ type: "page.viewed" }],
  key: { country: "event.data.country", page: "event.data.page" },
  measures: { views: { kind: "count" }, visitors: { kind: "uniques", of: "event.subject" }, duration: { kind: "quantiles", of: "event.data.durationMs" } }
})

const compiled = compileDefinition(definition, hashSeedOf(LOG_ID))
const ZERO = { records: 0n, system: 0n, events: 0n, folded: 0n, held: 0n, duplicate: 0n, deadLettered: 0n, filtered: 0n, late: 0n, applied: 0n }
const MASK = (1n << 64n) - 1n

const emptyCheckpoint = (partition: number): PartitionCheckpoint =>
  ({ partition, nextOffset: 0n, lastRecordHash: "", counters: ZERO, receivedMaxMs: null, heartbeatMaxMs: null, tenantMaxMs: new Map() })

/** A page view; everything but its id, time and page has a default. */
export interface View {
  readonly id: string
  readonly timeMs: number
  readonly page: string
  readonly country?: string
  readonly user?: string
  readonly durationMs?: number
  readonly tenantId?: string
  readonly backfill?: string
}

export const viewed = ({ id, timeMs, page, country = "DE", user = `user of ${id}`, durationMs = 100, tenantId = "acme", backfill }: View): EventEnvelope =>
  ({ id, source: "urn:specification", type: "page.viewed", timeMs, receivedAtMs: timeMs + 5, tenantId, partitionKey: user, schemaVersion: 0, userId: user, backfill, data: { page, country, durationMs } })

export const recordOf = ({ data, ...event }: EventEnvelope): Uint8Array => encodeEvent(event, JSON.stringify(data))

const fingerprintOf = (id: string): bigint => {
  const hash = new Uint32Array(4)
  hashUtf8(id, hashSeedOf(LOG_ID), hash)
  return (BigInt(hash[0] ?? 0) << 32n) | BigInt(hash[1] ?? 0)
}

const mergedRow = (known: StoredRow | undefined, added: StoredRow): StoredRow => {
  if (known === undefined) return added
  const measures = Object.values(definition.measures).map((spec, index) => {
    const into = decodeAccumulator(spec, known.measures[index] ?? new Uint8Array())
    mergeAccumulators(into, decodeAccumulator(spec, added.measures[index] ?? new Uint8Array()))
    return into.encode()
  })
  const [range] = added.offsets
  const own = known.offsets.find(({ partition }) => partition === range?.partition)
  const offsets = range === undefined ? known.offsets : [...known.offsets.filter((other) => other !== own), { ...range, min: own?.min ?? range.min }]
  return {
    ...known,
    measures,
    offsets,
    events: known.events + added.events,
    lateEvents: known.lateEvents + added.lateEvents,
    backfillEvents: known.backfillEvents + added.backfillEvents,
    fingerprint: (known.fingerprint + added.fingerprint) & MASK,
    revision: known.revision + 1n
  }
}

/** Everything a specification can look at and change. */
export class World {
  readonly records: Uint8Array[][] = Array.from({ length: PARTITIONS }, () => [])
  readonly checkpoints: PartitionCheckpoint[] = Array.from({ length: PARTITIONS }, (_, partition) => emptyCheckpoint(partition))
  rows: readonly StoredRow[] = []
  pointers: readonly Pointer[] = [{ projection: definition.name, generation: 1, pointerVersion: 1 }]
  readonly generations = new Set([1])
  /** First offset folded, by partition. */
  coverage: readonly { readonly partition: number; readonly nextOffset: bigint }[] = []
  readonly late: LateEntry[] = []
  readonly dead: DeadLetter[] = []
  readonly duplicates: DuplicateEntry[] = []
  readonly halts: Halt[] = []
  readonly staleViews: StaleView[] = []
  readonly rejected: RejectedEvent[] = []
  /** Notifications told so far, and who listens. */
  readonly listeners = new Map<string, Set<(notifications: readonly Notification[]) => void>>()
  readonly appendListeners = new Set<() => void>()
  /** Length of the projection's shortest windows, ms. */
  baseMs: number = definition.window.sizeMs
  /** Snapshots opened so far. */
  snapshots = 0
  /** Commits that the consumer of the window index has not read; undefined while it is not registered. */
  unread: OutboxEntry[] | undefined = undefined
  /** Scans of rows so far. */
  readonly scans: RowScan[] = []

  /** Publications kept back, oldest first, while there is a list for them. */
  held: (readonly [topic: string, notifications: readonly Notification[]])[] | undefined = undefined
  /** Commits with hints so far, and the last of each topic. */
  private sequence = 0n
  private readonly hintedTo = new Map<string, bigint>()

  tell(topic: string, notifications: readonly Notification[]): void {
    if (this.held !== undefined) return void this.held.push([topic, notifications])
    for (const listener of this.listeners.get(topic) ?? []) listener(notifications)
  }

  /** Appends without folding. */
  append(partition: number, value: Uint8Array): bigint {
    const offset = BigInt((this.records[partition] ?? []).push(value) - 1)
    for (const wake of new Set(this.appendListeners)) wake()
    return offset
  }

  /** Moves a checkpoint to the end of its partition and says so. */
  private reach(partition: number, change: Partial<PartitionCheckpoint>): void {
    const known = this.checkpoints[partition] ?? emptyCheckpoint(partition)
    this.checkpoints[partition] = { ...known, ...change, nextOffset: BigInt(this.records[partition]?.length ?? 0) }
    this.tell(checkpointTopic(definition.name), [{ key: definition.name, version: checkpointVersion(this.checkpoints) }])
  }

  /** Publishes the hints of one commit as the outbox does. */
  private hint(tenantId: string, keys: readonly string[]): void {
    const topic = modelTopic(tenantId, definition.name)
    const version = hintVersion(++this.sequence)
    const after = this.hintedTo.get(topic)
    this.hintedTo.set(topic, this.sequence)
    this.tell(topic, [...(after === undefined ? [] : [{ key: AFTER_KEY, version: hintVersion(after) }]), ...keys.map((key) => ({ key, version }))])
  }

  /** A heartbeat: the watermark moves, no row does. */
  heartbeat(partition: number, timeMs: number): void {
    this.append(partition, new TextEncoder().encode(`{"specversion":"1.0","id":"h${timeMs}","source":"urn:tidemark","type":"tidemark.heartbeat","time":"${new Date(timeMs).toISOString()}"}`))
    this.reach(partition, { heartbeatMaxMs: timeMs })
  }

  /** Appends an event that was held on arrival and, with `released`, the record that releases it; answers their offsets. */
  hold(partition: number, view: View, released: boolean): readonly [original: bigint, release: bigint | null] {
    const event = viewed(view)
    const original = this.append(partition, recordOf(event))
    this.reach(partition, {})
    const entry: LateEntry = {
      partition, offset: original, tenantId: event.tenantId, eventId: event.id, eventType: event.type, eventTimeMs: event.timeMs, windowStartMs: windowStart(event.timeMs, RESOLUTIONS[0].sizeMs),
      key: [view.country ?? "DE", view.page], lateByMs: definition.window.reviseWithinMs + 1, outcome: released ? "applied" : "held", contribution: { views: "1" }
    }
    this.late.push(entry)
    if (!released) return [original, null]
    const release = this.append(partition, encodeLateApplied(event.receivedAtMs, partition, original, recordOf(event), { actor: "tm_admin", reason: "came back" }))
    this.count(partition, event, release, true)
    this.reach(partition, {})
    return [original, release]
  }

  /** Appends an event, folds it into minute, hour and day of its lane, tells what changed. */
  fold(partition: number, view: View, { late = false }: { readonly late?: boolean } = {}): EventEnvelope {
    const event = viewed(view)
    const offset = this.append(partition, recordOf(event))
    const backfill = event.backfill !== undefined
    this.count(partition, event, offset, late)
    const { tenantMaxMs } = this.checkpoints[partition] ?? emptyCheckpoint(partition)
    const maxMs = Math.max(tenantMaxMs.get(event.tenantId) ?? -Infinity, backfill ? -Infinity : event.timeMs)
    this.reach(partition, { receivedMaxMs: event.receivedAtMs, tenantMaxMs: maxMs === -Infinity ? tenantMaxMs : new Map(tenantMaxMs).set(event.tenantId, maxMs) })
    return event
  }

  /** Counts an event in minute, hour and day at an offset, and tells what changed. */
  private count(partition: number, event: EventEnvelope, offset: bigint, late: boolean): void {
    const out = createExtraction()
    if (compiled.extract(event, out) !== "ok") throw new Error(`${event.id} is not folded`)
    const accumulators = compiled.createAccumulators()
    compiled.apply(out, accumulators)
    const measures = accumulators.map((accumulator) => accumulator.encode())
    const backfill = event.backfill !== undefined
    const hints: string[] = []
    for (const { code, sizeMs: ownMs } of RESOLUTIONS) {
      const sizeMs = code === 0 ? this.baseMs : ownMs
      const place = { tenantId: event.tenantId, resolution: code, windowStartMs: windowStart(event.timeMs, sizeMs), keyId: keyIdOf(event.tenantId, out.key) }
      const added = { ...place, key: [...out.key], lane: partition, measures, events: 1n, lateEvents: late ? 1n : 0n, backfillEvents: backfill ? 1n : 0n, fingerprint: fingerprintOf(event.id), offsets: [{ partition, min: offset, max: offset }], revision: 1n }
      this.put(added)
      hints.push(hintKey(place))
    }
    this.hint(event.tenantId, hints)
  }

  /** Merges a partial into the stored one of its lane. */
  put(added: StoredRow): void {
    const same = (row: StoredRow): boolean =>
      row.lane === added.lane && row.tenantId === added.tenantId && row.resolution === added.resolution && row.windowStartMs === added.windowStartMs && row.keyId === added.keyId
    const merged = mergedRow(this.rows.find(same), added)
    this.rows = [...this.rows.filter((row) => !same(row)), merged].sort((a, b) => a.windowStartMs - b.windowStartMs || (a.keyId < b.keyId ? -1 : a.keyId > b.keyId ? 1 : a.lane - b.lane))
  }

  /** One per lane; a lane is a partition here. */
  lanes(generation: number): readonly LaneCheckpoint[] {
    return this.checkpoints.map((checkpoint, lane) => ({ lane: { projection: definition.name, generation, lane }, epoch: 1n, partitions: [checkpoint], digest: new Uint8Array(4_096) }))
  }

  generation(generation: number) {
    const own = { ...definition, window: { ...definition.window, sizeMs: this.baseMs } }
    return { projection: definition.name, generation, definition: canonicalJson(own), definitionHash: definitionHash(own), createdAtMs: 0, logId: LOG_ID, coverage: this.coverage }
  }
}
