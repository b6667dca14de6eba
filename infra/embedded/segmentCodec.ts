/**
 * Stored form of a partition segment's clocks and live entries. Its import entries go into sorted runs instead.
 *
 * Layout, little endian: version u8, 3 bytes free, crc32 of everything from byte 16 u32, entries n u32, free u32,
 * received ms f64 × n, offset f64 × n, hash hi u32 × n, hash lo u32 × n, clocks as JSON.
 */
import { crc32 } from "node:zlib"
import type { PartitionSegment, PrefixClocks } from "@tidemark/domain/ports/PartitionIndex"

const VERSION = 1
const BODY_AT = 16
const ENTRY_BYTES = 24

/** Times that may be −Infinity are null in JSON. */
interface Clocks {
  readonly from: string
  readonly to: string
  readonly receivedMaxMs: number | null
  readonly heartbeatMaxMs: number | null
  readonly tenants: readonly (readonly [string, number])[]
}

const finite = (ms: number): number | null => (ms === -Infinity ? null : ms)
const bytesOf = (array: Uint32Array | Float64Array): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)

const clocksOf = (segment: PartitionSegment): Clocks => ({
  from: String(segment.from),
  to: String(segment.to),
  receivedMaxMs: finite(segment.receivedMaxMs),
  heartbeatMaxMs: finite(segment.heartbeatMaxMs),
  tenants: [...segment.tenantMaxMs]
})

/** A segment's clocks by themselves: crc32 of the rest u32, clocks as JSON. */
export const encodeClocks = (segment: PartitionSegment): Buffer => {
  const json = Buffer.from(JSON.stringify(clocksOf(segment)))
  const packed = Buffer.alloc(4 + json.length)
  packed.writeUInt32LE(crc32(json), 0)
  json.copy(packed, 4)
  return packed
}

/** Opens stored clocks; throws when they are damaged. */
export const decodeClocks = (partition: number, stored: Buffer): PrefixClocks => {
  const json = stored.subarray(4)
  if (stored.length < 4 || crc32(json) !== stored.readUInt32LE(0)) throw new Error(`stored clocks of partition ${partition} fail their checksum`)
  const { to, receivedMaxMs, heartbeatMaxMs, tenants } = JSON.parse(json.toString()) as Clocks
  return { partition, nextOffset: BigInt(to), receivedMaxMs, heartbeatMaxMs, tenantMaxMs: new Map(tenants) }
}

/** Packs a segment without its import entries. */
export const encodeSegment = (segment: PartitionSegment): Buffer => {
  const { live } = segment
  const clocks = clocksOf(segment)
  const head = Buffer.alloc(BODY_AT)
  const packed = Buffer.concat([head, bytesOf(live.receivedMs), bytesOf(live.offset), bytesOf(live.hi), bytesOf(live.lo), Buffer.from(JSON.stringify(clocks))])
  packed.writeUInt8(VERSION, 0)
  packed.writeUInt32LE(crc32(packed.subarray(BODY_AT)), 4)
  packed.writeUInt32LE(live.hi.length, 8)
  return packed
}

/** Opens a stored segment; throws when it is damaged. Its `imports` are empty. */
export const decodeSegment = (partition: number, stored: Uint8Array): PartitionSegment => {
  const bytes = Uint8Array.from(stored)
  const view = new DataView(bytes.buffer)
  if (bytes.length < BODY_AT || view.getUint8(0) !== VERSION) throw new Error(`a stored segment of partition ${partition} has an unknown form`)
  if (crc32(bytes.subarray(BODY_AT)) !== view.getUint32(4, true)) throw new Error(`a stored segment of partition ${partition} fails its checksum`)
  const count = view.getUint32(8, true)
  const { buffer } = bytes
  const clocks = JSON.parse(Buffer.from(buffer, BODY_AT + ENTRY_BYTES * count).toString()) as Clocks
  return {
    partition,
    from: BigInt(clocks.from),
    to: BigInt(clocks.to),
    receivedMaxMs: clocks.receivedMaxMs ?? -Infinity,
    heartbeatMaxMs: clocks.heartbeatMaxMs ?? -Infinity,
    tenantMaxMs: new Map(clocks.tenants),
    live: {
      receivedMs: new Float64Array(buffer, BODY_AT, count),
      offset: new Float64Array(buffer, BODY_AT + 8 * count, count),
      hi: new Uint32Array(buffer, BODY_AT + 16 * count, count),
      lo: new Uint32Array(buffer, BODY_AT + 20 * count, count)
    },
    imports: { hi: new Uint32Array(0), lo: new Uint32Array(0), offset: new Float64Array(0) }
  }
}

/** The segment's part from offset `from` on; its clocks hold at `to` and stay. */
export const segmentFrom = (segment: PartitionSegment, from: bigint): PartitionSegment => {
  if (from === segment.from) return segment
  const { live, imports } = segment
  const keptFrom = (offsets: Float64Array): number => {
    const index = offsets.findIndex((offset) => offset >= Number(from))
    return index < 0 ? offsets.length : index
  }
  const l = keptFrom(live.offset)
  const i = keptFrom(imports.offset)
  return {
    ...segment,
    from,
    live: { hi: live.hi.slice(l), lo: live.lo.slice(l), receivedMs: live.receivedMs.slice(l), offset: live.offset.slice(l) },
    imports: { hi: imports.hi.slice(i), lo: imports.lo.slice(i), offset: imports.offset.slice(i) }
  }
}
