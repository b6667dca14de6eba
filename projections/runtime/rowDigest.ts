/**
 * Digest of a lane's rows: the sum mod 2^128 of row hashes in 256 key buckets. Kept incrementally, so that two
 * generations compare without reading their rows. The revision is no part of it. Rules: docs/semantics.md §8.
 */
import type { Row } from "@tidemark/domain/ports/ReadModelStore"
import { RowBytes } from "./rowBytes.ts"

export const DIGEST_BUCKETS = 256
/** Words of a hash or sum; the first is the most significant. */
const WORDS = 4
const TWO_32 = 2 ** 32

/** 128 bits as four 32-bit words, most significant first. */
export type RowHash = Uint32Array

/** What a row that is not there adds to the digest. */
export const NO_ROW: RowHash = new Uint32Array(WORDS)

const rowBytes = new RowBytes()

/** 128-bit hash of a row without its revision, over its canonical bytes. */
export const rowHash = (row: Row): RowHash => {
  const hash = new Uint32Array(WORDS)
  rowBytes.hash(row, hash)
  return hash
}

/** 256 sums of row hashes. */
export class RowDigest {
  private readonly sums: Uint32Array

  private constructor(sums: Uint32Array) {
    this.sums = sums
  }

  /** Of no row. */
  static empty(): RowDigest {
    return new RowDigest(new Uint32Array(DIGEST_BUCKETS * WORDS))
  }

  /** Reads 4,096 bytes, 16 a bucket, big endian. */
  static decode(bytes: Uint8Array): RowDigest {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return new RowDigest(Uint32Array.from({ length: DIGEST_BUCKETS * WORDS }, (_, word) => view.getUint32(word * 4)))
  }

  /** Replaces a row's hash (`NO_ROW` when it is new) by another. */
  replace(keyId: string, before: RowHash, after: RowHash): void {
    const { sums } = this
    const at = Number.parseInt(keyId.slice(0, 2), 16) * WORDS
    let carry = 0
    for (let word = WORDS - 1; word >= 0; word--) {
      const sum = sums[at + word]! - before[word]! + after[word]! + carry
      carry = Math.floor(sum / TWO_32)
      sums[at + word] = sum - carry * TWO_32
    }
  }

  encode(): Uint8Array {
    const bytes = new Uint8Array(DIGEST_BUCKETS * WORDS * 4)
    const view = new DataView(bytes.buffer)
    for (const [word, sum] of this.sums.entries()) view.setUint32(word * 4, sum)
    return bytes
  }
}
