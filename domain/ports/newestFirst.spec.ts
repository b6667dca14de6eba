/** The walk through a log from its newest record: each record once, and little more read than is looked at. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { encodeEvent } from "../events/envelope.ts"
import type { EventLogShape, LogBatch } from "./EventLog.ts"
import { newestFirst, openReaders, refillFromLog } from "./newestFirst.ts"
import { compileSearch } from "./searchMatching.ts"

const RECORDS = 6_000

/** A log of one partition in blocks of so many records, that counts the bytes it was made to read. */
const logOf = (blockRecords: number, dataBytes: number) => {
  const record = (at: number): Uint8Array =>
    encodeEvent({ id: `e${at}`, source: "urn:s", type: "t", timeMs: at, receivedAtMs: at, tenantId: "acme", partitionKey: "u", schemaVersion: 0 }, JSON.stringify("x".repeat(dataBytes)))
  const blocks = Array.from({ length: Math.ceil(RECORDS / blockRecords) }, (_, block) => Array.from({ length: Math.min(blockRecords, RECORDS - block * blockRecords) }, (_, at) => record(block * blockRecords + at)))
  const bytesOf = (records: readonly Uint8Array[]): number => records.reduce((sum, { length }) => sum + length, 0)
  const counted = { bytes: 0, reads: 0, whole: blocks.reduce((sum, block) => sum + bytesOf(block), 0) }
  const batchOf = (partition: number, firstOffset: bigint, records: readonly Uint8Array[]): LogBatch => {
    let end = 0
    return { partition, firstOffset, bytes: Buffer.concat(records), ends: Uint32Array.from(records, ({ length }) => (end += length)), more: true }
  }
  const log: EventLogShape = {
    identity: { logId: "log", partitions: 1, lanes: 1, createdAtMs: 0 },
    append: () => Effect.die(new Error("a search appended")),
    verify: () => Effect.die(new Error("a search verified")),
    bounds: () => Effect.succeed({ start: 0n, end: BigInt(RECORDS) }),
    read: ([from], { bytesMax }) =>
      Effect.sync(() => {
        counted.reads += 1
        const batches: LogBatch[] = []
        let [next, bytes] = [Number(from?.nextOffset), 0]
        for (let block = Math.floor(next / blockRecords); block < blocks.length && bytes < bytesMax; block++) {
          const records = blocks[block] ?? []
          bytes += bytesOf(records)
          batches.push(batchOf(0, BigInt(next), records.slice(next - block * blockRecords)))
          next = (block + 1) * blockRecords
        }
        counted.bytes += bytes
        return batches
      })
  }
  return { log, counted }
}

describe("a search through the whole log", () => {
  it.each([[10, 300], [1, 20], [64, 3_000]])("looks at every record once and reads little more, in blocks of %i records with %i bytes", async (blockRecords, dataBytes) => {
    const { log, counted } = logOf(blockRecords, dataBytes)
    const matches = compileSearch({ tenantId: "acme", eventId: "e0" })
    const page = await Effect.runPromise(Effect.flatMap(openReaders(log, undefined), (readers) =>
      newestFirst(readers, (reader) => refillFromLog(log, matches, reader), { limit: 1, scanMaxRecords: RECORDS })))
    expect(page).toMatchObject({ scannedRecords: RECORDS, hits: [{ offset: 0n }] })
    expect(counted.bytes / counted.whole).toBeLessThan(1.6)
    // At most three reads for each 256 records or each mebibyte.
    expect(counted.reads).toBeLessThan(3 * (RECORDS / 256 + counted.whole / (1 << 20) + 1))
  })
})
