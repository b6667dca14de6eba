/** Keys of the log's blocks: partition u32, first offset u64, big endian, so that byte order is offset order. */
const KEY_BYTES = 12

/** Key of the block that starts at `offset`. */
export const keyOf = (partition: number, offset: bigint): Buffer => {
  const key = Buffer.alloc(KEY_BYTES)
  key.writeUInt32BE(partition, 0)
  key.writeBigUInt64BE(offset, 4)
  return key
}

/** First offset of the block with this key. */
export const offsetOfKey = (key: Buffer): bigint => key.readBigUInt64BE(4)
