import { canonicalJson } from "@tidemark/domain/definitions/canonicalJson"
import { defineProjection, definitionHash } from "@tidemark/domain/definitions/definition"
import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import { Count } from "@tidemark/domain/measures/count"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { PartitionCheckpoint, Row } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { createMemoryModelDisk, memoryReadModelStore } from "../simulation/memoryReadModelStore.ts"
import { lanePartitions } from "./generationCheck.ts"
import { digestLabel, modelDigest } from "./modelDigest.ts"
import { NO_ROW, RowDigest, rowHash } from "./rowDigest.ts"

const PARTITIONS = 2
const T0 = 1_700_000_040_000
const DAY_MS = 86_400_000
const clicks = defineProjection({ name: "clicks", version: 1, handles: [{ type: "click" }], key: { page: "event.data.page" }, measures: { clicks: { kind: "count" } }, retentionDays: 2 })
const RECORD = { projection: "clicks", generation: 1, definition: canonicalJson(clicks), definitionHash: definitionHash(clicks), createdAtMs: 0, logId: "l", coverage: [] }

const counted = (events: number): Uint8Array => {
  const count = new Count()
  count.add(events)
  return count.encode()
}

/** Clicks of one page in one partition and minute. */
const part = (page: string, partition: number, events: number, over: Partial<Row> = {}): Row => {
  const tenantId = over.tenantId ?? "acme"
  return {
    tenantId, resolution: 0, windowStartMs: T0, keyId: keyIdOf(tenantId, [page]), key: [page], measures: [counted(events)], events: BigInt(events), lateEvents: 1n, backfillEvents: 0n,
    fingerprint: (1n << 63n) + BigInt(partition), offsets: [{ partition, min: 3n, max: 9n }], revision: BigInt(1 + partition), ...over
  }
}

const checkpointOf = (partition: number, receivedMaxMs: number): PartitionCheckpoint => ({
  partition, nextOffset: 10n, lastRecordHash: "", receivedMaxMs, heartbeatMaxMs: null, tenantMaxMs: new Map([["acme", T0]]),
  counters: { records: 10n, system: 0n, events: 10n, folded: 10n, held: 0n, duplicate: 0n, deadLettered: 0n, filtered: 0n, late: 0n, applied: 0n }
})

/** Stores each lane's rows with the lane's digest over them, and answers the model's. */
const digestOf = (lanes: readonly (readonly Row[])[], named: readonly string[] = [], receivedMaxMs: readonly [number, number] = [T0, T0]) => {
  const program = Effect.gen(function* () {
    const store = yield* ReadModelStore
    const owned = lanes.map((_rows, lane) => ({ lane, partitions: lanePartitions(lane, PARTITIONS, lanes.length) }))
    yield* store.createGeneration(RECORD, owned)
    for (const { lane, partitions } of owned) {
      const id = { projection: "clicks", generation: 1, lane }
      const { epoch } = yield* store.takeOver(id)
      const digest = RowDigest.empty()
      for (const row of lanes[lane] ?? []) digest.replace(row.keyId, NO_ROW, rowHash(row))
      yield* store.commit([{
        lane: id, epoch, expected: partitions.map((partition) => ({ partition, nextOffset: 0n })), next: partitions.map((partition) => checkpointOf(partition, receivedMaxMs[partition] ?? T0)),
        digest: digest.encode(), dropBelowMs: null, rows: lanes[lane] ?? [], late: [], duplicates: [], deadLetters: [], keyCounts: [], hints: []
      }])
    }
    const { digest, unaccounted } = yield* modelDigest(yield* store.snapshot, RECORD, named)
    const sums = new Set(digest)
    return { label: digestLabel(digest), isEmpty: sums.size === 1 && sums.has(0), unaccounted }
  })
  return Effect.runSync(Effect.scoped(program).pipe(Effect.provide(memoryReadModelStore(createMemoryModelDisk()))))
}

/** What one lane stores of a page that both partitions have. */
const whole = part("/", 0, 5, { lateEvents: 2n, fingerprint: 1n, offsets: [{ partition: 0, min: 3n, max: 9n }, { partition: 1, min: 3n, max: 9n }], measures: [counted(5)], revision: 7n })

describe("the digest of a model", () => {
  it("is the same for one lane that holds all and two that hold parts, whatever their revisions", () => {
    const one = digestOf([[whole, part("/a", 1, 4)]])
    const two = digestOf([[part("/", 0, 2)], [part("/", 1, 3), part("/a", 1, 4, { revision: 80n })]])
    expect(two).toEqual(one)
    expect(one).toMatchObject({ isEmpty: false, unaccounted: [] })
  })

  it("is another one for any other number, tenant, window, key or offset", () => {
    const base = digestOf([[whole]])
    const changes: readonly Partial<Row>[] = [
      { events: 6n }, { lateEvents: 1n }, { backfillEvents: 1n }, { fingerprint: 2n }, { windowStartMs: T0 + 60_000 }, { resolution: 1 }, { key: ["/b"] }, { measures: [counted(6)] },
      { offsets: [{ partition: 0, min: 3n, max: 8n }, { partition: 1, min: 3n, max: 9n }] }
    ]
    const others = changes.map((change) => digestOf([[{ ...whole, ...change }]]).label)
    expect(new Set([base.label, ...others]).size).toBe(changes.length + 1)
  })

  it("leaves out what has expired in any partition, whether a lane still stores it or not", () => {
    const kept = part("/new", 1, 1, { windowStartMs: T0 + 3 * DAY_MS })
    const received = [T0, T0 + 4 * DAY_MS] as const
    expect(digestOf([[part("/", 0, 2)], [kept]], [], received)).toEqual(digestOf([[], [kept]], [], received))
    expect(digestOf([[part("/", 0, 2)], []], [], received).isEmpty).toBe(true)
  })

  it("says which lanes have rows that were not read: of a tenant that only imports know, or changed behind the digest", () => {
    const imported = part("/", 1, 3, { tenantId: "importer" })
    expect(digestOf([[part("/", 0, 2)], [imported]]).unaccounted).toEqual([1])
    expect(digestOf([[part("/", 0, 2)], [imported]], ["importer"]).unaccounted).toEqual([])
  })

  it("says which lanes have a measure that cannot be merged", () => {
    const damaged = part("/", 1, 3, { measures: [Uint8Array.of(0xff)] })
    expect(digestOf([[part("/", 0, 2)], [damaged]]).unaccounted).toEqual([0, 1])
  })
})
