/**
 * One stored value of the log: the records of one append group in one partition, with checksum and hash chain.
 *
 * Layout, little endian: version u8, 3 bytes free, count u32, crc32 of everything from byte 48 u32, free u32,
 * chain hash 32 bytes (SHA-256 of the previous block's chain hash and everything from byte 48), ends u32 × count,
 * records.
 */
import { createHash } from "node:crypto"
import { crc32 } from "node:zlib"

const VERSION = 1
const CHAIN_AT = 16
const BODY_AT = 48
export const CHAIN_BYTES = 32

/** The chain starts from zeros. */
export const CHAIN_START: Uint8Array = new Uint8Array(CHAIN_BYTES)

export interface LogBlock {
  readonly count: number
  /** Records back to back; a view on the stored bytes. */
  readonly bytes: Uint8Array
  /** End of each record in `bytes`. */
  readonly ends: Uint32Array
  readonly chain: Uint8Array
}

const chainOf = (previous: Uint8Array, body: Uint8Array): Buffer => createHash("sha256").update(previous).update(body).digest()

/** Packs records (≥ 1) into a block of its own memory whose header is blank but for the count. */
export const packBlock = (records: readonly Uint8Array[]): Buffer => {
  let length = BODY_AT + 4 * records.length
  for (const record of records) length += record.length
  const block = Buffer.alloc(length)
  let at = BODY_AT + 4 * records.length
  const start = at
  records.forEach((record, index) => {
    block.set(record, at)
    at += record.length
    block.writeUInt32LE(at - start, BODY_AT + 4 * index)
  })
  block.writeUInt32LE(records.length, 4)
  return block
}

/** Completes a packed block behind the one whose chain hash is `previousChain`; answers its chain hash. */
export const sealBlock = (block: Buffer, previousChain: Uint8Array): Uint8Array => {
  const body = block.subarray(BODY_AT)
  const chain = chainOf(previousChain, body)
  block.writeUInt8(VERSION, 0)
  block.writeUInt32LE(crc32(body), 8)
  chain.copy(block, CHAIN_AT)
  return chain
}

/** Number of records of a block, from its header alone. */
export const blockCount = (block: Uint8Array): number => new DataView(block.buffer, block.byteOffset, block.length).getUint32(4, true)

/** Opens a block, or says what is wrong with it. The chain is checked only when `previousChain` is given. */
export const decodeBlock = (block: Uint8Array, previousChain?: Uint8Array): LogBlock | string => {
  if (block.length < BODY_AT + 4) return "block is cut off"
  const view = new DataView(block.buffer, block.byteOffset, block.length)
  if (view.getUint8(0) !== VERSION) return `unknown block version ${view.getUint8(0)}`
  const count = view.getUint32(4, true)
  const recordsAt = BODY_AT + 4 * count
  if (count === 0 || recordsAt > block.length) return "record count does not fit the block"
  const body = block.subarray(BODY_AT)
  if (crc32(body) !== view.getUint32(8, true)) return "checksum differs"
  const chain = block.slice(CHAIN_AT, BODY_AT)
  if (previousChain !== undefined && !chainOf(previousChain, body).equals(chain)) return "hash chain is broken"
  const ends = new Uint32Array(count)
  for (let i = 0; i < count; i++) ends[i] = view.getUint32(BODY_AT + 4 * i, true)
  if (ends[count - 1] !== block.length - recordsAt) return "record ends do not fit the block"
  return { count, bytes: block.subarray(recordsAt), ends, chain }
}

/** The block's records from index `skip` on. */
export const trimBlock = (block: LogBlock, skip: number): Pick<LogBlock, "bytes" | "ends"> => {
  if (skip === 0) return block
  const cut = block.ends[skip - 1] ?? 0
  const ends = block.ends.slice(skip)
  for (let i = 0; i < ends.length; i++) ends[i] = (ends[i] ?? 0) - cut
  return { bytes: block.bytes.subarray(cut), ends }
}
