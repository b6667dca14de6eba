/**
 * Digest of a lane's rows: the sum mod 2^128 of row hashes in 256 key buckets. Kept incrementally, so that two
 * generations compare without reading their rows. The revision is no part of it. Rules: docs/semantics.md §8.
 */
import { hashHex } from "@tidemark/domain/measures/hash"
import type { Row } from "@tidemark/domain/ports/ReadModelStore"

export const DIGEST_BUCKETS = 256
const SUM_BYTES = 16
const encoder = new TextEncoder()

/** Canonical bytes of a row: its texts and numbers as JSON, then each measure with its length. */
const rowBytes = (row: Row): Uint8Array => {
  const { tenantId, resolution, windowStartMs, key, events, lateEvents, backfillEvents, fingerprint, offsets, measures } = row
  const numbers = [events, lateEvents, backfillEvents, fingerprint, ...offsets.flatMap(({ partition, min, max }) => [BigInt(partition), min, max])]
  const head = encoder.encode(JSON.stringify([tenantId, resolution, windowStartMs, key, numbers.map(String), measures.map(({ length }) => length)]))
  const bytes = new Uint8Array(measures.reduce((sum, { length }) => sum + length, head.length))
  bytes.set(head)
  let at = head.length
  for (const measure of measures) {
    bytes.set(measure, at)
    at += measure.length
  }
  return bytes
}

/** 128-bit hash of a row without its revision. */
export const rowHash = (row: Row): bigint => BigInt(`0x${hashHex(rowBytes(row), 0)}`)

/** 256 sums of row hashes. */
export class RowDigest {
  private readonly sums: bigint[]

  private constructor(sums: bigint[]) {
    this.sums = sums
  }

  /** Reads 4,096 bytes, 16 a bucket, big endian. */
  static decode(bytes: Uint8Array): RowDigest {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return new RowDigest(Array.from({ length: DIGEST_BUCKETS }, (_, bucket) => (view.getBigUint64(bucket * SUM_BYTES) << 64n) | view.getBigUint64(bucket * SUM_BYTES + 8)))
  }

  /** Replaces a row's hash (0 when it is new) by another. */
  replace(keyId: string, before: bigint, after: bigint): void {
    const bucket = Number.parseInt(keyId.slice(0, 2), 16)
    this.sums[bucket] = BigInt.asUintN(128, (this.sums[bucket] ?? 0n) - before + after)
  }

  encode(): Uint8Array {
    const bytes = new Uint8Array(DIGEST_BUCKETS * SUM_BYTES)
    const view = new DataView(bytes.buffer)
    for (const [bucket, sum] of this.sums.entries()) {
      view.setBigUint64(bucket * SUM_BYTES, sum >> 64n)
      view.setBigUint64(bucket * SUM_BYTES + 8, BigInt.asUintN(64, sum))
    }
    return bytes
  }
}
