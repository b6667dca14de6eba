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

const timeKey = (ms: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt.asUintN(64, BigInt(ms)) ^ SIGN, 0)
  return bytes
}

/** Key of a partial. */
export const rowKey = (lane: LaneId, key: RowKey): Buffer => {
  const laneBytes = Buffer.alloc(2)
  laneBytes.writeUInt16BE(lane.lane, 0)
  const scope = scopeKey({ tenantId: key.tenantId, projection: lane.projection, generation: lane.generation, resolution: key.resolution })
  return Buffer.concat([scope, timeKey(key.windowStartMs), Buffer.from(key.keyId, "hex"), laneBytes])
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

/** Value of a row. */
export const encodeRow = (row: Row): Buffer => {
  const key = Buffer.from(JSON.stringify(row.key), "utf8")
  let length = HEAD_BYTES + RANGE_BYTES * row.offsets.length + 4 + key.length + 2
  for (const measure of row.measures) length += 4 + measure.length
  const out = Buffer.alloc(length)
  let at = 0
  for (const value of [row.revision, row.events, row.lateEvents, row.backfillEvents, row.fingerprint]) at = out.writeBigUInt64BE(value, at)
  at = out.writeUInt16BE(row.offsets.length, at)
  for (const range of row.offsets) {
    at = out.writeUInt32BE(range.partition, at)
    at = out.writeBigUInt64BE(range.min, at)
    at = out.writeBigUInt64BE(range.max, at)
  }
  at = out.writeUInt32BE(key.length, at)
  at += key.copy(out, at)
  at = out.writeUInt16BE(row.measures.length, at)
  for (const measure of row.measures) {
    at = out.writeUInt32BE(measure.length, at)
    out.set(measure, at)
    at += measure.length
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

/** A row found by a scan of `tenantId` and `resolution`: the rest of its identity is at the end of its key. */
export const decodeStoredRow = (tenantId: string, resolution: ResolutionCode, key: Buffer, value: Buffer): StoredRow => {
  return { ...decodeRow({ tenantId, resolution, ...decodeWindow(key) }, value), lane: laneOf(key) }
}
