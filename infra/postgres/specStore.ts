/** What the specifications of this adapter share: an opened store, a generation, commits. */
import { canonicalJson } from "@tidemark/domain/definitions/canonicalJson"
import { defineProjection } from "@tidemark/domain/definitions/definition"
import type { DefinitionInput } from "@tidemark/domain/definitions/definition"
import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import { Count } from "@tidemark/domain/measures/count"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { LaneCommit, ReadModelStoreShape, Row } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { PostgresOptions } from "./connection.ts"
import { readModelStorePostgres } from "./ReadModelStorePostgres.ts"
import { databaseUrl } from "./testDatabase.ts"

const COUNTERS = { records: 1n, system: 0n, events: 1n, folded: 1n, held: 0n, duplicate: 0n, deadLettered: 0n, filtered: 0n, late: 0n, applied: 0n }

/** Runs `use` on a store of its own, which is closed afterwards. */
export const withStore = <A, E>(
  namespace: string, use: (store: ReadModelStoreShape) => Effect.Effect<A, E, Scope.Scope>, more: Partial<PostgresOptions> = {}
): Promise<A> =>
  Effect.runPromise(Effect.scoped(Effect.gen(function* () { return yield* use(yield* ReadModelStore) })).pipe(
    Effect.provide(readModelStorePostgres({ url: databaseUrl(), namespace, ...more }))))

/** Dimension `page`, measure `views`, unless the specification says otherwise. */
export const definitionText = (name: string, more: Partial<DefinitionInput> = {}): string =>
  canonicalJson(defineProjection({ name, version: 1, handles: [{ type: "*" }], key: { page: "event.data.page" }, measures: { views: { kind: "count" } }, ...more }))

/** Creates a generation with `lanes` lanes of one partition each, and takes every lane over. */
export const prepare = (store: ReadModelStoreShape, projection: string, more: { readonly generation?: number; readonly lanes?: number; readonly definition?: string } = {}) =>
  Effect.gen(function* () {
    const { generation = 1, lanes = 1 } = more
    const numbers = Array.from({ length: lanes }, (_, lane) => lane)
    const record = { projection, generation, definition: more.definition ?? definitionText(projection), definitionHash: "h", createdAtMs: 1, logId: "l", coverage: [] }
    yield* store.createGeneration(record, numbers.map((lane) => ({ lane, partitions: [lane] })))
    for (const lane of numbers) yield* store.takeOver({ projection, generation, lane })
  })

/** A commit of one lane, which owns the partition of its number. */
export const commitOf = (projection: string, lane: number, epoch: bigint, from: bigint, to: bigint, more: Partial<LaneCommit> = {}): LaneCommit => ({
  lane: { projection, generation: 1, lane }, epoch, expected: [{ partition: lane, nextOffset: from }],
  next: [{ partition: lane, nextOffset: to, lastRecordHash: "ab", counters: COUNTERS, receivedMaxMs: 5, heartbeatMaxMs: null, tenantMaxMs: new Map([["acme", 4]]) }],
  digest: new Uint8Array(4_096), rows: [], late: [], duplicates: [], deadLetters: [], keyCounts: [], hints: [], dropBelowMs: null, ...more
})

const viewsOf = (views: number): Uint8Array => {
  const count = new Count()
  count.add(views)
  return count.encode()
}

/** A minute's row of one key with that many views. */
export const rowOf = (tenantId: string, key: readonly string[], views: number, more: Partial<Row> = {}): Row => ({
  tenantId, resolution: 0, windowStartMs: 0, keyId: keyIdOf(tenantId, key), key, measures: [viewsOf(views)], events: BigInt(views), lateEvents: 0n, backfillEvents: 0n,
  fingerprint: 7n, offsets: [{ partition: 0, min: 0n, max: 9n }], revision: 1n, ...more
})
