/**
 * Number of distinct values by their 64-bit hashes: exact up to 256, estimated beyond.
 *
 * The state is a pure function of the set of hashes added, whatever their order or how they were
 * split and merged: the set itself while it has at most 256 members, else HyperLogLog registers.
 */
import { ByteReader, MeasureBytesError, Tag, freshBytes } from "./encoding.ts"
import {
  estimateDistinct, PACKED_BYTES, packRegisters, RANK_MAX, rankOf, REGISTERS, registerOf, RELATIVE_STANDARD_ERROR,
  unpackRegisters
} from "./hyperloglog.ts"

/** Largest number of distinct hashes that is kept, and answered, exactly. */
export const EXACT_MAX = 256
/** From this number of non-zero registers on, packed registers are no longer than sorted pairs. */
export const DENSE_FROM = 4_096
/** Standard errors in the stated error bound: 99.7 % of estimates lie within it. */
export const ERROR_BOUND_SIGMAS = 3

/** Words of an empty set. */
const SLOTS_MIN = 16
/** Up to so many members are sorted by insertion. */
const INSERTED_MAX = 24
/** Room to sort the members in: as 64-bit integers, and their words. */
const sorted = new BigUint64Array(EXACT_MAX)
const sortedWords = new Uint32Array(sorted.buffer)
const LOW_WORD = new Uint32Array(BigUint64Array.of(1n).buffer)[0] === 1 ? 0 : 1
const HIGH_WORD = 1 - LOW_WORD

/** Empty slots are copied, which makes an array of just their length. At most three quarters of twice the members are ever needed. */
const EMPTY_SLOTS: readonly number[] = Array.from({ length: 4 * EXACT_MAX }, () => 0)

const emptySlots = (length: number): number[] => EMPTY_SLOTS.slice(0, length)

/** Registers four at a time: most words of a sparse state are zero. */
const wordsOf = (registers: Uint8Array): Uint32Array => new Uint32Array(registers.buffer, registers.byteOffset, REGISTERS / 4)

/** `value` items; `errorBound` items either way (0 when exact). */
export interface UniquesEstimate {
  readonly value: number
  readonly exact: boolean
  readonly errorBound: number
}

/**
 * Monoid of sets of hashes under union. Bytes: a tag, then
 * set: sorted hashes, 8 bytes each; sparse: sorted pairs, 3 bytes each (register << 6 | rank);
 * dense: all registers at 6 bits. Everything big endian.
 */
export class Uniques {
  readonly kind = "uniques"
  /**
   * Open addressing: hi and lo of slot i at 2i and 2i + 1 as signed 32-bit integers; (0, 0) is an empty slot. Unused once
   * estimating. A plain array: a typed one of more than 64 bytes costs an allocation outside the heap, and most sets are small.
   */
  private slots: number[]
  /** Hashes in `slots`. */
  private used = 0
  /** Whether the hash (0, 0), which a slot cannot hold, is a member. */
  private hasZero = false
  private registers: Uint8Array | null = null
  private nonZero = 0

  /** Empty; `slots` is for `clone` only. */
  constructor(slots: number[] = emptySlots(SLOTS_MIN)) {
    this.slots = slots
  }

  /** Adds a hash; both halves unsigned 32-bit. */
  addHash(hi: number, lo: number): void {
    if (this.registers !== null) this.raise(this.registers, registerOf(hi), rankOf(hi, lo))
    else this.insert(hi, lo)
  }

  estimate(): UniquesEstimate {
    if (this.registers === null) return { value: this.members(), exact: true, errorBound: 0 }
    const value = Math.round(estimateDistinct(this.registers))
    return { value, exact: false, errorBound: Math.ceil(value * RELATIVE_STANDARD_ERROR * ERROR_BOUND_SIGMAS) }
  }

  merge(other: Uniques): void {
    const theirs = other.registers
    if (theirs !== null) {
      const ours = this.registers ?? this.startEstimating()
      const words = wordsOf(theirs)
      for (let word = 0; word < words.length; word++) {
        if (words[word] === 0) continue
        for (let i = word * 4; i < word * 4 + 4; i++) if (theirs[i]! > ours[i]!) this.raise(ours, i, theirs[i]!)
      }
      return
    }
    const { slots, hasZero } = other
    if (this === other) return
    if (hasZero) this.addHash(0, 0)
    for (let i = 0; i < slots.length; i += 2) {
      if (slots[i] !== 0 || slots[i + 1] !== 0) this.addHash(slots[i]!, slots[i + 1]!)
    }
  }

  clone(): Uniques {
    const copy = new Uniques(this.slots.slice())
    copy.used = this.used
    copy.hasZero = this.hasZero
    copy.registers = this.registers === null ? null : this.registers.slice()
    copy.nonZero = this.nonZero
    return copy
  }

  encode(): Uint8Array {
    if (this.registers === null) return this.encodeSet()
    if (this.nonZero < DENSE_FROM) return this.encodeSparse(this.registers)
    const bytes = new Uint8Array(1 + PACKED_BYTES)
    bytes[0] = Tag.uniquesDense
    packRegisters(this.registers, bytes, 1)
    return bytes
  }

  /** Throws `MeasureBytesError` unless `bytes` came from `encode`. */
  static decode(bytes: Uint8Array): Uniques {
    const uniques = new Uniques()
    const reader = new ByteReader(bytes)
    const tag = reader.byte()
    if (tag === Tag.uniquesSet) uniques.decodeSet(bytes)
    else if (tag === Tag.uniquesSparse) uniques.decodeSparse(bytes)
    else if (tag === Tag.uniquesDense) uniques.decodeDense(bytes)
    else throw new MeasureBytesError({ reason: `tag ${tag} where uniques were expected` })
    return uniques
  }

  private members(): number {
    return this.used + (this.hasZero ? 1 : 0)
  }

  private insert(hi: number, lo: number): void {
    if (hi === 0 && lo === 0) {
      if (this.hasZero) return
      if (this.members() === EXACT_MAX) this.raise(this.startEstimating(), 0, RANK_MAX)
      else this.hasZero = true
      return
    }
    const slots = this.slots
    const mask = slots.length - 2
    const high = hi | 0
    const low = lo | 0
    let at = (low << 1) & mask
    while (slots[at] !== 0 || slots[at + 1] !== 0) {
      if (slots[at + 1] === low && slots[at] === high) return
      at = (at + 2) & mask
    }
    if (this.members() === EXACT_MAX) {
      this.raise(this.startEstimating(), registerOf(hi), rankOf(hi, lo))
      return
    }
    slots[at] = high
    slots[at + 1] = low
    this.used++
    if (this.used * 8 > slots.length * 3) this.grow()
  }

  /** Doubles the slots; at most three quarters of them are ever used. */
  private grow(): void {
    const old = this.slots
    const slots = emptySlots(old.length * 2)
    const mask = slots.length - 2
    for (let i = 0; i < old.length; i += 2) {
      if (old[i] === 0 && old[i + 1] === 0) continue
      let at = (old[i + 1]! << 1) & mask
      while (slots[at] !== 0 || slots[at + 1] !== 0) at = (at + 2) & mask
      slots[at] = old[i]!
      slots[at + 1] = old[i + 1]!
    }
    this.slots = slots
  }

  private raise(registers: Uint8Array, register: number, rank: number): void {
    const current = registers[register]!
    if (rank <= current) return
    if (current === 0) this.nonZero++
    registers[register] = rank
  }

  /** Turns the set into registers. */
  private startEstimating(): Uint8Array {
    const registers = new Uint8Array(REGISTERS)
    const { slots } = this
    if (this.hasZero) this.raise(registers, 0, RANK_MAX)
    for (let i = 0; i < slots.length; i += 2) {
      const hi = slots[i]!
      const lo = slots[i + 1]!
      if (hi !== 0 || lo !== 0) this.raise(registers, registerOf(hi), rankOf(hi, lo))
    }
    this.slots = []
    this.used = 0
    this.hasZero = false
    this.registers = registers
    return registers
  }

  private encodeSet(): Uint8Array {
    const used = this.sortMembers()
    const bytes = freshBytes(1 + this.members() * 8)
    bytes[0] = Tag.uniquesSet
    if (this.hasZero) bytes.fill(0, 1, 9)
    let at = this.hasZero ? 9 : 1
    for (let i = 0; i < used; i++) {
      const hi = sortedWords[2 * i + HIGH_WORD]!
      const lo = sortedWords[2 * i + LOW_WORD]!
      bytes[at++] = hi >>> 24
      bytes[at++] = hi >>> 16
      bytes[at++] = hi >>> 8
      bytes[at++] = hi
      bytes[at++] = lo >>> 24
      bytes[at++] = lo >>> 16
      bytes[at++] = lo >>> 8
      bytes[at++] = lo
    }
    return bytes
  }

  /** Puts the members into `sortedWords`, in order; answers their number. Few are inserted one by one. */
  private sortMembers(): number {
    const { slots } = this
    let n = 0
    const isShort = this.used <= INSERTED_MAX
    for (let i = 0; i < slots.length; i += 2) {
      const hi = slots[i]! >>> 0
      const lo = slots[i + 1]! >>> 0
      if (hi === 0 && lo === 0) continue
      let at = n++
      while (isShort && at > 0) {
        const before = sortedWords[2 * at - 2 + HIGH_WORD]!
        const beforeLo = sortedWords[2 * at - 2 + LOW_WORD]!
        if (before < hi || (before === hi && beforeLo < lo)) break
        sortedWords[2 * at + HIGH_WORD] = before
        sortedWords[2 * at + LOW_WORD] = beforeLo
        at--
      }
      sortedWords[2 * at + HIGH_WORD] = hi
      sortedWords[2 * at + LOW_WORD] = lo
    }
    if (!isShort) sorted.subarray(0, n).sort()
    return n
  }

  private decodeSet(bytes: Uint8Array): void {
    const members = (bytes.length - 1) / 8
    if (!Number.isInteger(members) || members > EXACT_MAX) throw new MeasureBytesError({ reason: "uniques set length" })
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    let beforeHi = -1
    let beforeLo = -1
    for (let at = 1; at < bytes.length; at += 8) {
      const hi = view.getUint32(at)
      const lo = view.getUint32(at + 4)
      if (hi < beforeHi || (hi === beforeHi && lo <= beforeLo)) throw new MeasureBytesError({ reason: "uniques order" })
      this.insert(hi, lo)
      beforeHi = hi
      beforeLo = lo
    }
  }

  private encodeSparse(registers: Uint8Array): Uint8Array {
    const bytes = freshBytes(1 + this.nonZero * 3)
    bytes[0] = Tag.uniquesSparse
    let at = 1
    const words = wordsOf(registers)
    for (let word = 0; word < words.length; word++) {
      if (words[word] === 0) continue
      for (let i = word * 4; i < word * 4 + 4; i++) {
        const rank = registers[i]!
        if (rank === 0) continue
        const pair = (i << 6) | rank
        bytes[at++] = pair >>> 16
        bytes[at++] = (pair >>> 8) & 0xff
        bytes[at++] = pair & 0xff
      }
    }
    return bytes
  }

  private decodeSparse(bytes: Uint8Array): void {
    const pairs = (bytes.length - 1) / 3
    if (!Number.isInteger(pairs) || pairs >= DENSE_FROM) throw new MeasureBytesError({ reason: "uniques pairs length" })
    const registers = this.startEstimating()
    let before = -1
    for (let at = 1; at < bytes.length; at += 3) {
      const pair = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!
      const register = pair >>> 6
      const rank = pair & 0x3f
      if (register <= before || register >= REGISTERS || rank === 0 || rank > RANK_MAX) {
        throw new MeasureBytesError({ reason: "uniques pair" })
      }
      this.raise(registers, register, rank)
      before = register
    }
  }

  private decodeDense(bytes: Uint8Array): void {
    if (bytes.length !== 1 + PACKED_BYTES) throw new MeasureBytesError({ reason: "uniques registers length" })
    const registers = this.startEstimating()
    unpackRegisters(bytes, 1, registers)
    for (let i = 0; i < REGISTERS; i++) {
      if (registers[i]! > RANK_MAX) throw new MeasureBytesError({ reason: "uniques rank" })
      if (registers[i] !== 0) this.nonZero++
    }
    if (this.nonZero < DENSE_FROM) throw new MeasureBytesError({ reason: "uniques registers are too few" })
  }
}
