/** Stored rows and key counts of one lane against the recomputed ones, and the digest over the rows. Rules: docs/semantics.md §5, §8. */
import { hashHex } from "@tidemark/domain/measures/hash"
import type { KeyCount, ReadSnapshot, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { inSlice, keyCountName, rowName } from "./verifyFold.ts"
import type { ExpectedRow, Slice } from "./verifyFold.ts"
import { compare } from "./verifyReport.ts"
import type { ModelCheck } from "./verifyReport.ts"

/** Beyond every window, before and after 1970. */
const EVER = { fromMs: -8_640_000_000_000_000, toMs: 8_640_000_000_000_001 }
const NAMES = ["minute", "hour", "day"] as const

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex")

const fingerprintOf = ({ hi, lo }: ExpectedRow): bigint => (BigInt(hi) << 32n) + BigInt(lo)

const rangesOf = ({ offsets }: ExpectedRow): readonly (readonly [number, number, number])[] =>
  [...offsets].map(([partition, { min, max }]) => [partition, min, max] as const).sort(([a], [b]) => a - b)

const expectedText = (row: ExpectedRow): string =>
  [row.tenantId, JSON.stringify(row.key), row.events, row.lateEvents, row.backfillEvents, fingerprintOf(row), rangesOf(row).map(([partition, min, max]) => `${partition}:${min}-${max}`).join(),
    row.accumulators.map((accumulator) => hex(accumulator.encode())).join()].join(" ")

/** A revision cannot be recomputed: it depends on flush boundaries. A stored row has had one flush at least. */
const storedText = (row: StoredRow): string =>
  [row.tenantId, JSON.stringify(row.key), row.events, row.lateEvents, row.backfillEvents, row.fingerprint, row.offsets.map(({ partition, min, max }) => `${partition}:${min}-${max}`).join(),
    row.measures.map(hex).join()].join(" ") + (row.revision > 0n ? "" : " revision 0")

const placeOf = (tenantId: string, resolution: 0 | 1 | 2, startMs: number, key: readonly string[], lane: number): string =>
  `${NAMES[resolution]} ${new Date(startMs).toISOString()} ${JSON.stringify(key)} of ${tenantId}, lane ${lane}`

export interface LaneRows {
  readonly projection: string
  readonly generation: number
  readonly lane: number
}

/** Compares the rows that start within the slice; `expected` is emptied. */
export const compareRows = Effect.fn("compareRows")(function* (
  snapshot: ReadSnapshot, { projection, generation, lane }: LaneRows, tenants: Iterable<string>, slice: Slice, expected: Map<string, ExpectedRow>, model: ModelCheck
) {
  for (const tenantId of tenants) {
    for (const resolution of [0, 1, 2] as const) {
      const comparison = model.rows[NAMES[resolution]]
      yield* snapshot.scan({ projection, generation, tenantId, resolution, ...EVER }, (rows) => {
        for (const row of rows) {
          if (row.lane !== lane || !inSlice(row.windowStartMs, slice)) continue
          const name = rowName(resolution, row.windowStartMs, row.keyId)
          const wanted = expected.get(name)
          expected.delete(name)
          compare(model, comparison, placeOf(tenantId, resolution, row.windowStartMs, row.key, lane), storedText(row), wanted === undefined ? undefined : expectedText(wanted))
        }
      })
    }
  }
  for (const row of expected.values()) compare(model, model.rows[NAMES[row.resolution]], placeOf(row.tenantId, row.resolution, row.startMs, row.key, lane), undefined, expectedText(row))
  expected.clear()
})

/** Compares the key counts of windows that start within the slice; `expected` is emptied. */
export const compareKeyCounts = Effect.fn("compareKeyCounts")(function* (
  snapshot: ReadSnapshot, lane: LaneRows, tenants: Iterable<string>, slice: Slice, expected: Map<string, KeyCount>, model: ModelCheck
) {
  const place = ({ tenantId, windowStartMs, partition }: KeyCount): string => `number of keys in minute ${new Date(windowStartMs).toISOString()} of ${tenantId}, partition ${partition}`
  for (const tenantId of tenants) {
    yield* snapshot.keyCounts({ ...lane, tenantId }, (counts) => {
      for (const count of counts) {
        if (!inSlice(count.windowStartMs, slice)) continue
        const wanted = expected.get(keyCountName(count))
        expected.delete(keyCountName(count))
        compare(model, model.keyCounts, place(count), String(count.keys), wanted === undefined ? undefined : String(wanted.keys))
      }
    })
  }
  for (const count of expected.values()) compare(model, model.keyCounts, place(count), undefined, String(count.keys))
  expected.clear()
})

const BUCKETS = 256

const integer = (value: number | bigint, width: 1 | 2 | 4 | 8): Buffer => {
  const bytes = Buffer.alloc(width)
  if (width === 8) bytes.writeBigInt64BE(BigInt.asIntN(64, BigInt(value)))
  else bytes.writeUIntBE(Number(value), 0, width)
  return bytes
}

const counted = (content: Uint8Array): readonly Uint8Array[] => [integer(content.length, 4), content]

/** What a row is hashed over: see the runtime's `rowBytes`. */
const canonicalBytes = (row: ExpectedRow): Uint8Array =>
  Buffer.concat([
    ...counted(Buffer.from(row.tenantId)), integer(row.resolution, 1), integer(row.startMs, 8), integer(row.key.length, 2), ...row.key.flatMap((text) => counted(Buffer.from(text))),
    ...[row.events, row.lateEvents, row.backfillEvents, fingerprintOf(row)].map((count) => integer(count, 8)),
    integer(row.offsets.size, 2), ...rangesOf(row).flatMap(([partition, min, max]) => [integer(partition, 4), integer(min, 8), integer(max, 8)]),
    integer(row.accumulators.length, 2), ...row.accumulators.flatMap((accumulator) => counted(accumulator.encode()))
  ])

/** Sums mod 2^128 of row hashes, by the first byte of the key id. */
export class DigestSums {
  private readonly sums: bigint[] = Array.from({ length: BUCKETS }, () => 0n)

  add(row: ExpectedRow): void {
    const bucket = Number.parseInt(row.keyId.slice(0, 2), 16)
    this.sums[bucket] = BigInt.asUintN(128, (this.sums[bucket] ?? 0n) + BigInt(`0x${hashHex(canonicalBytes(row), 0)}`))
  }

  hex(): string {
    return this.sums.map((sum) => sum.toString(16).padStart(32, "0")).join("")
  }
}

/** A stored digest as `DigestSums.hex` writes it. */
export const digestHex = hex
