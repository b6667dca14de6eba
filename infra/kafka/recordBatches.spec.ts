import { crc32c, createRecordsBatch } from "@platformatic/kafka"
import type { CreateRecordsBatchOptions } from "@platformatic/kafka"
import { describe, expect, it } from "vitest"
import { packRecords } from "./recordBatches.ts"

const CRC_AT = 17
const ATTRIBUTES_AT = 21
const LAST_DELTA_AT = 23
const CONTROL = 0b10_0000

/** A stored batch as the client's own encoder makes it, then changed by `edit` under a right checksum. */
const batch = (firstOffset: bigint, values: readonly (string | null)[], edit: (bytes: Buffer) => void = () => {}, compression: CreateRecordsBatchOptions["compression"] = "none"): Buffer => {
  const messages = values.map((value, i) => ({
    topic: "t", partition: 0, key: Buffer.from(`key-${i}`), timestamp: BigInt(1_700_000_000_000 + i), headers: new Map([[Buffer.from("content-type"), Buffer.from("x")]]),
    ...(value === null ? {} : { value: Buffer.from(value) })
  }))
  const bytes = Buffer.from(createRecordsBatch(messages as Parameters<typeof createRecordsBatch>[0], { compression } as CreateRecordsBatchOptions).buffer)
  bytes.writeBigInt64BE(firstOffset, 0)
  edit(bytes)
  bytes.writeUInt32BE(crc32c(bytes.subarray(ATTRIBUTES_AT)), CRC_AT)
  return bytes
}

const valuesOf = ({ bytes, ends }: ReturnType<typeof packRecords>): string[] =>
  Array.from(ends, (end, i) => Buffer.from(bytes.subarray(i === 0 ? 0 : ends[i - 1], end)).toString())

describe("packing record batches", () => {
  it("joins the values of consecutive batches, an absent one as no bytes", () => {
    const packed = packRecords(0, Buffer.concat([batch(5n, ["a", "bb"]), batch(7n, [null, "c".repeat(5_000)])]), 5n)
    expect(valuesOf(packed)).toEqual(["a", "bb", "", "c".repeat(5_000)])
    expect(packed).toMatchObject({ batches: 2 })
    expect(packed).not.toHaveProperty("gap")
  })

  it("begins at the wanted offset, whether the batch begins or ends below it", () => {
    const data = Buffer.concat([batch(0n, ["a", "b"]), batch(2n, ["c", "d", "e"])])
    for (let from = 0; from <= 5; from++) expect(valuesOf(packRecords(0, Buffer.from(data), BigInt(from)))).toEqual(["a", "b", "c", "d", "e"].slice(from))
  })

  it("leaves a batch that the response cuts off for the next fetch, wherever the cut is", () => {
    const [first, second] = [batch(0n, ["a"]), batch(1n, ["b", "c"])]
    for (let length = 0; length < second.length; length++) expect(valuesOf(packRecords(0, Buffer.concat([first, second.subarray(0, length)]), 0n))).toEqual(["a"])
  })

  it("undoes every codec that this Node has", () => {
    for (const codec of ["gzip", "snappy", "lz4"] as const) expect(valuesOf(packRecords(0, batch(3n, ["a", "b".repeat(1_000)], undefined, codec), 3n))).toEqual(["a", "b".repeat(1_000)])
  })

  it("joins batches of which some are compressed, in any order", () => {
    const [a, b, c] = ["x".repeat(900), "y".repeat(40), "z".repeat(2_000)] as const
    for (const codecs of [["none", "gzip", "none"], ["gzip", "none", "gzip"], ["none", "none", "gzip"], ["gzip", "gzip", "none"]] as const) {
      const data = Buffer.concat([batch(0n, [a, b], undefined, codecs[0]), batch(2n, [c, a], undefined, codecs[1]), batch(4n, [b, c, a], undefined, codecs[2])])
      expect(valuesOf(packRecords(0, data, 1n))).toEqual([b, c, a, b, c, a])
    }
  })

  it("detects a flipped bit anywhere behind the checksum", () => {
    const stored = batch(4n, ["abc", "def"])
    for (let at = CRC_AT; at < stored.length; at++) {
      const damaged = Buffer.from(stored)
      damaged[at] = (damaged[at] ?? 0) ^ 1
      expect(() => packRecords(9, damaged, 4n)).toThrow(expect.objectContaining({ _tag: "LogCorruptError", partition: 9, offset: 4n, detail: "checksum differs" }))
    }
  })

  it("stops before a batch that begins too far on, and says where", () => {
    const packed = packRecords(0, Buffer.concat([batch(0n, ["a"]), batch(3n, ["d"])]), 0n)
    expect(valuesOf(packed)).toEqual(["a"])
    expect(packed.gap).toEqual({ wanted: 1n, found: 3n })
  })

  it("takes the mark of a transaction for a gap", () => {
    const mark = batch(1n, ["commit"], (bytes) => bytes.writeInt16BE(CONTROL, ATTRIBUTES_AT))
    expect(packRecords(0, Buffer.concat([batch(0n, ["a"]), mark, batch(2n, ["b"])]), 0n).gap).toEqual({ wanted: 1n, found: 2n })
    expect(packRecords(0, mark, 1n)).toMatchObject({ ends: { length: 0 }, gap: { wanted: 1n, found: 2n } })
  })

  it("takes records that compaction removed from a batch for a gap", () => {
    const compacted = batch(0n, ["a", "b"], (bytes) => bytes.writeInt32BE(4, LAST_DELTA_AT))
    const packed = packRecords(0, compacted, 0n)
    expect(valuesOf(packed)).toEqual(["a", "b"])
    expect(packed.gap).toEqual({ wanted: 2n, found: 5n })
  })
})
