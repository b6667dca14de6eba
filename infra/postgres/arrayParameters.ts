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

const head = (buffer: Buffer, type: number, length: number, hasNull: boolean): number => {
  let at = buffer.writeInt32BE(length === 0 ? 0 : 1, 0)
  at = buffer.writeInt32BE(hasNull ? 1 : 0, at)
  at = buffer.writeInt32BE(type, at)
  at = buffer.writeInt32BE(length, at)
  return buffer.writeInt32BE(1, at)
}

/** An empty array has no dimension; everything else is as `buffer`. */
const finish = (buffer: Buffer, length: number): Buffer => (length === 0 ? buffer.subarray(0, 12) : buffer)

const fixed = <A>(type: number, bytes: number, values: readonly A[], write: (buffer: Buffer, value: A, at: number) => number): Buffer => {
  const buffer = Buffer.allocUnsafe(HEAD_BYTES + values.length * (4 + bytes))
  let at = head(buffer, type, values.length, false)
  for (const value of values) at = write(buffer, value, buffer.writeInt32BE(bytes, at))
  return finish(buffer, values.length)
}

/** `int2[]`. */
export const int2Array = (values: readonly number[]): Buffer => fixed(OID.int2, 2, values, (buffer, value, at) => buffer.writeInt16BE(value, at))

/** `int4[]`. */
export const int4Array = (values: readonly number[]): Buffer => fixed(OID.int4, 4, values, (buffer, value, at) => buffer.writeInt32BE(value, at))

/** `int8[]`. Throws `RangeError` beyond 63 bits. */
export const int8Array = (values: readonly bigint[]): Buffer => fixed(OID.int8, 8, values, (buffer, value, at) => buffer.writeBigInt64BE(value, at))

/** `text[]`; the texts have no NUL (`storedText`). */
export const textArray = (values: readonly (string | null)[]): Buffer => {
  let bytes = HEAD_BYTES
  let hasNull = false
  for (const value of values) {
    bytes += 4 + (value === null ? 0 : Buffer.byteLength(value))
    hasNull ||= value === null
  }
  const buffer = Buffer.allocUnsafe(bytes)
  let at = head(buffer, OID.text, values.length, hasNull)
  for (const value of values) {
    const length = value === null ? -1 : buffer.write(value, at + 4)
    buffer.writeInt32BE(length, at)
    at += 4 + Math.max(0, length)
  }
  return finish(buffer, values.length)
}

const writeTime = (buffer: Buffer, ms: number, at: number): number =>
  buffer.writeBigInt64BE(BigInt(Math.min(Math.max(ms, TIME_MS_MIN), TIME_MS_MAX) - POSTGRES_EPOCH_MS) * 1000n, at)

/** `timestamptz[]` of Unix ms. */
export const timeArray = (values: readonly number[]): Buffer => fixed(OID.timestamptz, 8, values, writeTime)

/** `timestamptz` of Unix ms; a bound outside becomes the first or the last instant. */
export const timeParameter = (ms: number): Buffer => {
  const buffer = Buffer.allocUnsafe(8)
  writeTime(buffer, ms, 0)
  return buffer
}

/** SQL that reads a `timestamptz` column as Unix ms. */
export const unixMs = (column: string): string => `(extract(epoch from ${column}) * 1000)::bigint`
