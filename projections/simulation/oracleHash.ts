/**
 * MurmurHash3 x86 128 for the oracle, written from the published algorithm and shared with nothing: the product's hash
 * must not vouch for itself.
 */
const MULTIPLIERS = [0x239b961b, 0xab0e9789, 0x38b34ae5, 0xa1e38b93]
const WORD_TURNS = [15, 16, 17, 18]
const STATE_TURNS = [19, 17, 15, 13]
const ADDENDS = [0x561ccd1b, 0x0bcaa747, 0x96cd1c35, 0x32ac3b17]

const turn = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits))

const finish = (word: number): number => {
  let h = word
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

const sumIntoFirst = (h: number[]): void => {
  for (let lane = 1; lane < 4; lane++) h[0] = (h[0]! + h[lane]!) | 0
  for (let lane = 1; lane < 4; lane++) h[lane] = (h[lane]! + h[0]!) | 0
}

const wordAt = (bytes: Uint8Array, at: number): number => {
  let word = 0
  for (let byte = at + 3; byte >= at; byte--) word = (word << 8) | (byte < bytes.length ? bytes[byte]! : 0)
  return word
}

/** Four 32-bit words, unsigned. */
const murmur = (bytes: Uint8Array, seed: number): readonly number[] => {
  const h = [seed | 0, seed | 0, seed | 0, seed | 0]
  for (let block = 0; block < bytes.length; block += 16) {
    const isWhole = block + 16 <= bytes.length
    for (let lane = 0; lane < 4; lane++) {
      h[lane]! ^= Math.imul(turn(Math.imul(wordAt(bytes, block + lane * 4), MULTIPLIERS[lane]!), WORD_TURNS[lane]!), MULTIPLIERS[(lane + 1) % 4]!)
      if (isWhole) h[lane] = (Math.imul(turn(h[lane]!, STATE_TURNS[lane]!) + h[(lane + 1) % 4]!, 5) + ADDENDS[lane]!) | 0
    }
  }
  for (let lane = 0; lane < 4; lane++) h[lane]! ^= bytes.length
  sumIntoFirst(h)
  for (let lane = 0; lane < 4; lane++) h[lane] = finish(h[lane]!)
  sumIntoFirst(h)
  return h.map((word) => word >>> 0)
}

const encoder = new TextEncoder()
const known = new Map<string, string>()

/** 32 hex characters of a text or of bytes. */
export const oracleHash = (input: string | Uint8Array, seed: number): string => {
  if (typeof input !== "string") return murmur(input, seed).map((word) => word.toString(16).padStart(8, "0")).join("")
  const name = `${seed}:${input}`
  let hash = known.get(name)
  if (hash === undefined) {
    hash = oracleHash(encoder.encode(input), seed)
    if (known.size > 100_000) known.clear()
    known.set(name, hash)
  }
  return hash
}

/** The first 64 bits, as the platform takes them for ids and distinct values. */
export const oracleHash64 = (text: string, seed: number): bigint => BigInt(`0x${oracleHash(text, seed).slice(0, 16)}`)

/** Seed of a log's hashes: the first 32 bits of its id's hash. */
export const oracleSeed = (logId: string): number => Number(`0x${oracleHash(logId, 0).slice(0, 8)}`)
