/** A read model that grows by commits of its own making, for specifications of what follows the store. */
import { canonicalJson } from "@tidemark/domain/definitions/canonicalJson"
import { defineProjection } from "@tidemark/domain/definitions/definition"
import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import { Count } from "@tidemark/domain/measures/count"
import type { GenerationRecord, LaneCommit, PartitionCounters, ReadModelStoreShape, Row, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import type { WindowDocument } from "@tidemark/domain/ports/WindowIndex"
import * as Effect from "effect/Effect"
import { documentModel, windowDocument } from "../runtime/windowDocument.ts"
import type { MemoryModelDisk } from "./memoryReadModelStore.ts"
import { documentName } from "./memoryWindowIndex.ts"

const MINUTE_MS = 60_000
const LANES = [0, 1]

const definition = defineProjection({ name: "clicks", version: 1, handles: [{ type: "click" }], key: { page: "event.data.page" }, measures: { clicks: { kind: "count" } } })

/** Its only generation. */
export const growingRecord: GenerationRecord = { projection: "clicks", generation: 1, definition: canonicalJson(definition), definitionHash: "h", createdAtMs: 1, logId: "l", coverage: [] }

const counters: PartitionCounters = { records: 0n, system: 0n, events: 0n, folded: 0n, held: 0n, duplicate: 0n, deadLettered: 0n, filtered: 0n, late: 0n, applied: 0n }

const clicksOf = (events: bigint): Uint8Array => {
  const count = new Count()
  count.add(events)
  return count.encode()
}

/** Two lanes of one partition each. */
export class GrowingModel {
  private readonly nextOffsets = [0n, 0n]

  /** Creates the generation and makes it the active one. */
  begin(store: ReadModelStoreShape) {
    const { projection, generation } = growingRecord
    return Effect.andThen(store.createGeneration(growingRecord, LANES.map((lane) => ({ lane, partitions: [lane] }))), store.flip(projection, generation, 0))
  }

  /** Adds an event to each of the pages' rows in a lane, in the minute window `minute`, and commits. */
  commit(store: ReadModelStoreShape, lane: number, pages: readonly string[], minute = 0) {
    return Effect.gen({ self: this }, function* () {
      const id = { projection: growingRecord.projection, generation: growingRecord.generation, lane }
      const keys = pages.map((page) => ({ tenantId: "t", resolution: 0 as const, windowStartMs: minute * MINUTE_MS, keyId: keyIdOf("t", [page]) }))
      const before = yield* store.readRows(id, keys)
      const from = this.nextOffsets[lane] ?? 0n
      const rows = keys.map((key, at): Row => {
        const events = (before[at]?.events ?? 0n) + 1n
        return {
          ...key, key: [pages[at] ?? ""], measures: [clicksOf(events)], events, lateEvents: 0n, backfillEvents: 0n, fingerprint: events * 7n,
          offsets: [{ partition: lane, min: 0n, max: from }], revision: (before[at]?.revision ?? 0n) + 1n
        }
      })
      const commit: LaneCommit = {
        lane: id, epoch: 0n, expected: [{ partition: lane, nextOffset: from }],
        next: [{ partition: lane, nextOffset: from + 1n, lastRecordHash: "", counters, receivedMaxMs: null, heartbeatMaxMs: null, tenantMaxMs: new Map([["t", 1]]) }],
        digest: new Uint8Array(4_096), dropBelowMs: null, rows, late: [], duplicates: [], deadLetters: [], keyCounts: [], hints: rows
      }
      yield* store.commit([commit])
      this.nextOffsets[lane] = from + 1n
    })
  }
}

/** The documents that the stored rows are owed. */
export const owedDocuments = ({ state, incarnation }: MemoryModelDisk): readonly WindowDocument[] => {
  const model = documentModel(growingRecord, incarnation)
  const windows = new Map<string, [StoredRow, ...StoredRow[]]>()
  for (const { row } of state.rows.values()) {
    const others = windows.get(documentName(row))
    if (others === undefined) windows.set(documentName(row), [row])
    else others.push(row)
  }
  return [...windows.values()].map((partials) => windowDocument(model, partials.sort((a, b) => a.lane - b.lane)))
}
