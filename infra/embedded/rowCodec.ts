/**
 * Rows and their keys as stored in LMDB.
 *
 * Key: tenant (u16 length, UTF-8) · projection (u16 length, UTF-8) · generation u32 · resolution u8 · window start
 * (i64 with its sign bit turned, so that byte order is time order before 1970 too) · key id 16 bytes · lane u16. All
 * big endian. A tenant's windows of one projection and resolution are therefore one contiguous range.
 */
import type { LaneId, OffsetRange, ResolutionCode, Row, RowKey, StoredRow } from "@tidemark/domain/ports/ReadModelStore"

const HEAD_BYTES = 42
const RANGE_BYTES = 20
const SIGN = 1n << 63n
const KEY_ID_BYTES = 16

interface Scope {
  readonly tenantId: string
  readonly projection: string
  readonly generation: number
  readonly resolution: ResolutionCode
}

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value, "utf8")
  const prefixed = Buffer.alloc(2 + bytes.length)
  prefixed.writeUInt16BE(bytes.length, 0)
  bytes.copy(prefixed, 2)
  return prefixed
}

/** Prefix of every row of one tenant, projection, generation and resolution. */
const scopeKey = (scope: Scope): Buffer => {
  const tail = Buffer.alloc(5)
  tail.writeUInt32BE(scope.generation, 0)
  tail.writeUInt8(scope.resolution, 4)
  return Buffer.concat([text(scope.tenantId), text(scope.projection), tail])
}

/** Tenant of a stored row's key. */
export const tenantOf = (key: Buffer): string => key.toString("utf8", 2, 2 + key.readUInt16BE(0))

/** Lane of a stored row's key. */
export const laneOf = (key: Buffer): number => key.readUInt16BE(key.length - 2)

const TENANT_END = Buffer.from([0xff, 0xff, 0xff])

/** Above every key of the tenant and below those of the next one: no projection's name is as long as this says. */
export const tenantEnd = (tenantId: string): Buffer => Buffer.concat([text(tenantId), TENANT_END])

const RESOLUTION_CODES: readonly ResolutionCode[] = [0, 1, 2]
const WORD = 2 ** 32

/** A window start (Unix ms, a safe integer) as eight bytes that sort like it. */
const writeTime = (bytes: Buffer, ms: number, at: number): void => {
  const high = Math.floor(ms / WORD)
  bytes.writeUInt32BE((high + 0x8000_0000) >>> 0, at)
  bytes.writeUInt32BE(ms - high * WORD, at + 4)
}

const timeKey = (ms: number): Buffer => {
  const bytes = Buffer.alloc(8)
  writeTime(bytes, ms, 0)
  return bytes
}

const KEY_TAIL_BYTES = 8 + KEY_ID_BYTES + 2

/** Writes the keys of one lane's rows; what rows of a tenant and resolution share is made once. */
export class RowKeys {
  private readonly lane: LaneId
  private readonly prefixes = new Map<string, readonly Buffer[]>()

  constructor(lane: LaneId) {
    this.lane = lane
  }

  /** Key of a partial. */
  of({ tenantId, resolution, windowStartMs, keyId }: RowKey): Buffer {
    const prefix = this.prefix(tenantId, resolution)
    const key = Buffer.allocUnsafe(prefix.length + KEY_TAIL_BYTES)
    prefix.copy(key)
    writeTime(key, windowStartMs, prefix.length)
    key.write(keyId, prefix.length + 8, KEY_ID_BYTES, "hex")
    key.writeUInt16BE(this.lane.lane, prefix.length + 8 + KEY_ID_BYTES)
    return key
  }

  private prefix(tenantId: string, resolution: ResolutionCode): Buffer {
    let prefixes = this.prefixes.get(tenantId)
    if (prefixes === undefined) {
      const { projection, generation } = this.lane
      prefixes = RESOLUTION_CODES.map((code) => scopeKey({ tenantId, projection, generation, resolution: code }))
      this.prefixes.set(tenantId, prefixes)
    }
    return prefixes[resolution] ?? Buffer.alloc(0)
  }
}

/** Bounds of the windows with fromMs ≤ start < toMs: [start, end). */
export const rowRange = (scope: Scope, fromMs: number, toMs: number): { readonly start: Buffer; readonly end: Buffer } => {
  const prefix = scopeKey(scope)
  return { start: Buffer.concat([prefix, timeKey(fromMs)]), end: Buffer.concat([prefix, timeKey(toMs)]) }
}

const LANE_END = Buffer.from([0xff, 0xff, 0xff])

/** Bounds of the partials of one window and key: [start, end). */
export const partialRange = (of: { readonly projection: string; readonly generation: number }, key: RowKey): { readonly start: Buffer; readonly end: Buffer } => {
  const start = Buffer.concat([scopeKey({ ...of, tenantId: key.tenantId, resolution: key.resolution }), timeKey(key.windowStartMs), Buffer.from(key.keyId, "hex")])
  return { start, end: Buffer.concat([start, LANE_END]) }
}

/** Bounds of all windows of the scope behind `after`: [start, end). */
export const windowRange = (scope: Scope, after?: { readonly windowStartMs: number; readonly keyId: string }): { readonly start: Buffer; readonly end: Buffer } => {
  const prefix = scopeKey(scope)
  const start = after === undefined ? prefix : Buffer.concat([prefix, timeKey(after.windowStartMs), Buffer.from(after.keyId, "hex"), LANE_END])
  return { start, end: Buffer.concat([prefix, Buffer.alloc(8, 0xff), LANE_END]) }
}

/** Rows of one key share its texts, window after window, and so their bytes. */
const keyBytes = new WeakMap<readonly string[], Buffer>()

const keyBytesOf = (key: readonly string[]): Buffer => {
  const known = keyBytes.get(key)
  if (known !== undefined) return known
  const made = Buffer.from(JSON.stringify(key), "utf8")
  keyBytes.set(key, made)
  return made
}

/** Value of a row. */
export const encodeRow = (row: Row): Buffer => {
  const key = keyBytesOf(row.key)
  let length = HEAD_BYTES + RANGE_BYTES * row.offsets.length + 4 + key.length + 2
  for (const measure of row.measures) length += 4 + measure.length
  const out = Buffer.allocUnsafe(length)
  const view = new DataView(out.buffer, out.byteOffset, length)
  view.setBigUint64(0, row.revision)
  view.setBigUint64(8, row.events)
  view.setBigUint64(16, row.lateEvents)
  view.setBigUint64(24, row.backfillEvents)
  view.setBigUint64(32, row.fingerprint)
  view.setUint16(40, row.offsets.length)
  let at = HEAD_BYTES
  for (const { partition, min, max } of row.offsets) {
    view.setUint32(at, partition)
    view.setBigUint64(at + 4, min)
    view.setBigUint64(at + 12, max)
    at += RANGE_BYTES
  }
  view.setUint32(at, key.length)
  at += 4 + key.copy(out, at + 4)
  view.setUint16(at, row.measures.length)
  at += 2
  for (const measure of row.measures) {
    view.setUint32(at, measure.length)
    out.set(measure, at + 4)
    at += 4 + measure.length
  }
  return out
}

const decodeOffsets = (value: Buffer): OffsetRange[] => {
  const count = value.readUInt16BE(HEAD_BYTES - 2)
  return Array.from({ length: count }, (_, index) => {
    const at = HEAD_BYTES + RANGE_BYTES * index
    return { partition: value.readUInt32BE(at), min: value.readBigUInt64BE(at + 4), max: value.readBigUInt64BE(at + 12) }
  })
}

/** The row of a value, whose identity is known from its key. Measures are copies. */
export const decodeRow = (key: RowKey, value: Buffer): Row => {
  const offsets = decodeOffsets(value)
  let at = HEAD_BYTES + RANGE_BYTES * offsets.length
  const keyLength = value.readUInt32BE(at)
  const dimensions = JSON.parse(value.toString("utf8", at + 4, at + 4 + keyLength)) as string[]
  at += 4 + keyLength
  const count = value.readUInt16BE(at)
  at += 2
  const measures: Uint8Array[] = []
  for (let i = 0; i < count; i++) {
    const length = value.readUInt32BE(at)
    measures.push(new Uint8Array(value.subarray(at + 4, at + 4 + length)))
    at += 4 + length
  }
  return {
    tenantId: key.tenantId, resolution: key.resolution, windowStartMs: key.windowStartMs, keyId: key.keyId, key: dimensions, measures, offsets,
    revision: value.readBigUInt64BE(0), events: value.readBigUInt64BE(8), lateEvents: value.readBigUInt64BE(16),
    backfillEvents: value.readBigUInt64BE(24), fingerprint: value.readBigUInt64BE(32)
  }
}

/** Window start and key id at the end of a stored key. */
export const decodeWindow = (key: Buffer): { readonly windowStartMs: number; readonly keyId: string } => {
  const idAt = key.length - 2 - KEY_ID_BYTES
  const windowStartMs = Number(BigInt.asIntN(64, key.readBigUInt64BE(idAt - 8) ^ SIGN))
  return { windowStartMs, keyId: key.toString("hex", idAt, idAt + KEY_ID_BYTES) }
}

/** Compares the key id of stored keys with one, without decoding anything: below 0 where the stored one comes first, 0 where it is the same. */
export const keyIdOrder = (keyId: string): ((key: Buffer) => number) => {
  const wanted = Buffer.from(keyId, "hex")
  return (key) => -wanted.compare(key, key.length - 2 - KEY_ID_BYTES, key.length - 2)
}

/** A row found by a scan of `tenantId` and `resolution`: the rest of its identity is at the end of its key. */
export const decodeStoredRow = (tenantId: string, resolution: ResolutionCode, key: Buffer, value: Buffer): StoredRow => {
  return { ...decodeRow({ tenantId, resolution, ...decodeWindow(key) }, value), lane: laneOf(key) }
}
