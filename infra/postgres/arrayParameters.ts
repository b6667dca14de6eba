/**
 * Arrays as parameters in Postgres' binary format, which the server reads without parsing text.
 *
 * Layout: dimensions i32, has-null flag i32, element type i32, then per dimension length i32 and lower bound i32, then
 * per element its length i32 (−1 for null) and bytes. The client sends a Buffer as a binary parameter.
 */
const HEAD_BYTES = 20
const OID = { int2: 21, int4: 23, int8: 20, text: 25, timestamptz: 1184 } as const
/** Postgres counts microseconds from 2000-01-01. */
const POSTGRES_EPOCH_MS = 946_684_800_000
/** From the first day of Postgres (4713 BC) to the last one of JavaScript (275760 AD), ms from 1970. */
const TIME_MS_MIN = -210_866_803_200_000
const TIME_MS_MAX = 8_640_000_000_000_000

const TWO_32 = 2 ** 32
/** Microseconds of a time this near to the epoch are a safe integer. */
const EXACT_MS_MAX = Math.floor(Number.MAX_SAFE_INTEGER / 1_000)

/** Big endian by default. Buffer's own methods for 64 bits take bigints apart, which costs several more for each. */
export const viewOf = (buffer: Buffer): DataView => new DataView(buffer.buffer, buffer.byteOffset, buffer.length)

const head = (view: DataView, type: number, length: number, hasNull: boolean): void => {
  view.setInt32(0, length === 0 ? 0 : 1)
  view.setInt32(4, hasNull ? 1 : 0)
  view.setInt32(8, type)
  view.setInt32(12, length)
  view.setInt32(16, 1)
}

/** An empty array has no dimension; everything else is as `buffer`. */
const finish = (buffer: Buffer, length: number): Buffer => (length === 0 ? buffer.subarray(0, 12) : buffer)

const fixed = <A>(type: number, bytes: number, values: readonly A[], write: (view: DataView, value: A, at: number) => void): Buffer => {
  const buffer = Buffer.allocUnsafe(HEAD_BYTES + values.length * (4 + bytes))
  const view = viewOf(buffer)
  head(view, type, values.length, false)
  let at = HEAD_BYTES
  for (let i = 0; i < values.length; i++) {
    view.setInt32(at, bytes)
    write(view, values[i] as A, at + 4)
    at += 4 + bytes
  }
  return finish(buffer, values.length)
}

const refuse = (value: number | bigint, bits: number): never => {
  throw new RangeError(`${value} has more than ${bits} bits and a sign`)
}

const writeInt2 = (view: DataView, value: number, at: number): void => {
  if (value << 16 >> 16 !== value) refuse(value, 15)
  view.setInt16(at, value)
}

const writeInt4 = (view: DataView, value: number, at: number): void => {
  if ((value | 0) !== value) refuse(value, 31)
  view.setInt32(at, value)
}

const writeInt8 = (view: DataView, value: bigint, at: number): void => {
  if (BigInt.asIntN(64, value) !== value) refuse(value, 63)
  view.setBigInt64(at, value)
}

/** `int2[]`. Throws `RangeError` beyond 15 bits. */
export const int2Array = (values: readonly number[]): Buffer => fixed(OID.int2, 2, values, writeInt2)

/** `int4[]`. Throws `RangeError` beyond 31 bits. */
export const int4Array = (values: readonly number[]): Buffer => fixed(OID.int4, 4, values, writeInt4)

/** `int8[]`. Throws `RangeError` beyond 63 bits. */
export const int8Array = (values: readonly bigint[]): Buffer => fixed(OID.int8, 8, values, writeInt8)

/** `text[]`; the texts have no NUL (`storedText`). */
export const textArray = (values: readonly (string | null)[]): Buffer => {
  let bytes = HEAD_BYTES
  let hasNull = false
  for (const value of values) {
    bytes += 4 + (value === null ? 0 : Buffer.byteLength(value))
    hasNull ||= value === null
  }
  const buffer = Buffer.allocUnsafe(bytes)
  const view = viewOf(buffer)
  head(view, OID.text, values.length, hasNull)
  let at = HEAD_BYTES
  for (const value of values) {
    const length = value === null ? -1 : buffer.write(value, at + 4)
    view.setInt32(at, length)
    at += 4 + Math.max(0, length)
  }
  return finish(buffer, values.length)
}

/** A safe integer as 64 bits. */
export const writeSafeInt8 = (view: DataView, value: number, at: number): void => {
  const high = Math.floor(value / TWO_32)
  view.setInt32(at, high)
  view.setUint32(at + 4, value - high * TWO_32)
}

const writeTime = (view: DataView, ms: number, at: number): void => {
  const sinceMs = Math.min(Math.max(ms, TIME_MS_MIN), TIME_MS_MAX) - POSTGRES_EPOCH_MS
  if (Math.abs(sinceMs) <= EXACT_MS_MAX) writeSafeInt8(view, sinceMs * 1_000, at)
  else view.setBigInt64(at, BigInt(sinceMs) * 1000n)
}

/** `timestamptz[]` of Unix ms. */
export const timeArray = (values: readonly number[]): Buffer => fixed(OID.timestamptz, 8, values, writeTime)

/** `timestamptz` of Unix ms; a bound outside becomes the first or the last instant. */
export const timeParameter = (ms: number): Buffer => {
  const buffer = Buffer.allocUnsafe(8)
  writeTime(viewOf(buffer), ms, 0)
  return buffer
}

/** SQL that reads a `timestamptz` column as Unix ms. */
export const unixMs = (column: string): string => `(extract(epoch from ${column}) * 1000)::bigint`
