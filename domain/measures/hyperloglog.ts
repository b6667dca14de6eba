/**
 * HyperLogLog with 2^14 registers over 64-bit hashes: register = first 14 bits, rank = position of
 * the first one bit in the other 50 (51 when there is none). A register keeps the largest rank, so
 * the registers are a pure function of the set of hashes.
 */

/** Registers, 2^14. */
export const REGISTERS = 16_384
/** Rank of a hash whose other 50 bits are all zero; no rank is larger. */
export const RANK_MAX = 51
/** Relative standard error of the estimate: 1.04 / √registers = 0.8125 %. */
export const RELATIVE_STANDARD_ERROR = 1.04 / 128
/** Bytes of all registers at 6 bits each. */
export const PACKED_BYTES = (REGISTERS / 4) * 3

/** Register of the hash `hi`, `lo` (32 bits each). */
export const registerOf = (hi: number): number => hi >>> 18

/** Rank of the hash `hi`, `lo` (32 bits each). */
export const rankOf = (hi: number, lo: number): number => {
  const high = hi << 14
  return high === 0 ? 19 + Math.clz32(lo) : Math.clz32(high) + 1
}

/** Packs the registers in order, 6 bits each, big endian. */
export const packRegisters = (registers: Uint8Array, target: Uint8Array, at: number): void => {
  let to = at
  for (let i = 0; i < REGISTERS; i += 4) {
    const bits = (registers[i]! << 18) | (registers[i + 1]! << 12) | (registers[i + 2]! << 6) | registers[i + 3]!
    target[to++] = bits >>> 16
    target[to++] = (bits >>> 8) & 0xff
    target[to++] = bits & 0xff
  }
}

/** Reverse of `packRegisters`. */
export const unpackRegisters = (source: Uint8Array, at: number, registers: Uint8Array): void => {
  let from = at
  for (let i = 0; i < REGISTERS; i += 4) {
    const bits = (source[from]! << 16) | (source[from + 1]! << 8) | source[from + 2]!
    from += 3
    registers[i] = bits >>> 18
    registers[i + 1] = (bits >>> 12) & 0x3f
    registers[i + 2] = (bits >>> 6) & 0x3f
    registers[i + 3] = bits & 0x3f
  }
}

/**
 * Number of distinct hashes, unrounded. Ertl's improved raw estimator ("New cardinality estimation
 * algorithms for HyperLogLog sketches", 2017, algorithm 6): unbiased over the whole range, without
 * the switch to linear counting or empirical correction tables.
 */
export const estimateDistinct = (registers: Uint8Array): number => {
  const histogram = new Uint32Array(RANK_MAX + 1)
  for (let i = 0; i < REGISTERS; i++) {
    const rank = registers[i]!
    histogram[rank] = histogram[rank]! + 1
  }
  let z = REGISTERS * tau(1 - histogram[RANK_MAX]! / REGISTERS)
  for (let rank = RANK_MAX - 1; rank >= 1; rank--) z = 0.5 * (z + histogram[rank]!)
  z += REGISTERS * sigma(histogram[0]! / REGISTERS)
  return (REGISTERS * REGISTERS) / (2 * Math.LN2 * z)
}

const sigma = (start: number): number => {
  if (start === 1) return Infinity
  let x = start
  let y = 1
  let z = x
  let before = NaN
  while (z !== before) {
    x *= x
    before = z
    z += x * y
    y += y
  }
  return z
}

const tau = (start: number): number => {
  if (start === 0 || start === 1) return 0
  let x = start
  let y = 1
  let z = 1 - x
  let before = NaN
  while (z !== before) {
    x = Math.sqrt(x)
    before = z
    y *= 0.5
    z -= (1 - x) ** 2 * y
  }
  return z / 3
}
