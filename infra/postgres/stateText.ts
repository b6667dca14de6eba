/** Checkpoints and hints as stored. */
import type { Hint, PartitionCheckpoint, PartitionCounters, ResolutionCode } from "@tidemark/domain/ports/ReadModelStore"
import { viewOf, writeSafeInt8 } from "./arrayParameters.ts"
import { originalText, storedText } from "./sqlText.ts"

const COUNTERS = ["records", "system", "events", "folded", "held", "duplicate", "deadLettered", "filtered", "late", "applied"] as const

interface StoredPartition {
  readonly partition: number
  readonly nextOffset: string
  readonly lastRecordHash: string
  /** In the order of `COUNTERS`. */
  readonly counters: readonly string[]
  readonly receivedMaxMs: number | null
  readonly heartbeatMaxMs: number | null
  readonly tenantMaxMs: readonly (readonly [string, number])[]
}

/** JSON of a lane's partitions. Its texts are escaped by JSON, so the column takes whatever a tenant is called. */
export const checkpointText = (partitions: readonly PartitionCheckpoint[]): string =>
  JSON.stringify(partitions.map(({ partition, nextOffset, lastRecordHash, counters, receivedMaxMs, heartbeatMaxMs, tenantMaxMs }): StoredPartition => ({
    partition, nextOffset: nextOffset.toString(), lastRecordHash, counters: COUNTERS.map((name) => counters[name].toString()), receivedMaxMs, heartbeatMaxMs,
    tenantMaxMs: [...tenantMaxMs]
  })))

/** Reverse of `checkpointText`. */
export const checkpointOf = (text: string): PartitionCheckpoint[] =>
  (JSON.parse(text) as readonly StoredPartition[]).map((stored) => ({
    ...stored,
    nextOffset: BigInt(stored.nextOffset),
    counters: Object.fromEntries(COUNTERS.map((name, index) => [name, BigInt(stored.counters[index] ?? "0")])) as unknown as PartitionCounters,
    tenantMaxMs: new Map(stored.tenantMaxMs)
  }))

/** Checkpoint of a partition of which nothing was folded yet. */
export const emptyPartition = (partition: number, nextOffset: bigint): PartitionCheckpoint => ({
  partition,
  nextOffset,
  lastRecordHash: "",
  counters: { records: 0n, system: 0n, events: 0n, folded: 0n, held: 0n, duplicate: 0n, deadLettered: 0n, filtered: 0n, late: 0n, applied: 0n },
  receivedMaxMs: null,
  heartbeatMaxMs: null,
  tenantMaxMs: new Map()
})

/** Tenant number u32, resolution u8, window start i64 ms, key id 16 bytes, revision u64. */
const HINT_BYTES = 37

/** Number of tenants u32; per tenant its length u32 and its text as stored; then the hints. All big endian. */
export const packHints = (hints: readonly Hint[]): Buffer => {
  const tenants = new Map<string, number>()
  for (const { tenantId } of hints) if (!tenants.has(tenantId)) tenants.set(tenantId, tenants.size)
  const names = [...tenants.keys()].map((name) => Buffer.from(storedText(name), "utf8"))
  const bytes = Buffer.allocUnsafe(4 + names.reduce((total, name) => total + 4 + name.length, 0) + hints.length * HINT_BYTES)
  let at = bytes.writeUInt32BE(names.length, 0)
  for (const name of names) {
    at = bytes.writeUInt32BE(name.length, at)
    at += name.copy(bytes, at)
  }
  const view = viewOf(bytes)
  for (const { tenantId, resolution, windowStartMs, keyId, revision } of hints) {
    view.setUint32(at, tenants.get(tenantId) ?? 0)
    view.setUint8(at + 4, resolution)
    writeSafeInt8(view, windowStartMs, at + 5)
    bytes.write(keyId, at + 13, 16, "hex")
    view.setBigUint64(at + 29, revision)
    at += HINT_BYTES
  }
  return bytes
}

/** Reverse of `packHints`. */
export const unpackHints = (packed: Uint8Array): Hint[] => {
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.length)
  const tenants: string[] = []
  let at = 4
  for (let n = bytes.readUInt32BE(0); n > 0; n--) {
    const length = bytes.readUInt32BE(at)
    tenants.push(originalText(bytes.toString("utf8", at + 4, at + 4 + length)))
    at += 4 + length
  }
  const hints: Hint[] = []
  for (; at < bytes.length; at += HINT_BYTES) {
    hints.push({
      tenantId: tenants[bytes.readUInt32BE(at)] ?? "", resolution: bytes.readUInt8(at + 4) as ResolutionCode, windowStartMs: Number(bytes.readBigInt64BE(at + 5)),
      keyId: bytes.toString("hex", at + 13, at + 29), revision: bytes.readBigUInt64BE(at + 29)
    })
  }
  return hints
}
