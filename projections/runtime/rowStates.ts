/**
 * The absolute state of rows: committed partials, decoded once, kept while they are in use and merged with deltas.
 *
 * Whoever merges into a state changes what is cached here, so the whole cache goes with a failed or unknown commit.
 */
import type { CompiledProjection } from "@tidemark/domain/definitions/compile"
import { decodeAccumulator, mergeAccumulators } from "@tidemark/domain/measures/measure"
import type { Accumulator } from "@tidemark/domain/measures/measure"
import type { OffsetRange, ResolutionCode, Row, RowKey } from "@tidemark/domain/ports/ReadModelStore"
import { deltaFingerprint } from "./deltas.ts"
import type { Delta } from "./deltas.ts"
import { rowHash } from "./rowDigest.ts"
import type { RowDigest } from "./rowDigest.ts"

/** Encoded bytes a generation keeps decoded in one lane. */
const CACHE_BYTES_MAX = 32 << 20
const ROW_OVERHEAD_BYTES = 400

export interface RowState extends RowKey {
  readonly key: readonly string[]
  readonly accumulators: readonly Accumulator[]
  events: bigint
  lateEvents: bigint
  backfillEvents: bigint
  fingerprint: bigint
  /** By partition. */
  readonly offsets: Map<number, OffsetRange>
  revision: bigint
  /** Row hash as committed; 0 when the row is new. */
  hash: bigint
  bytes: number
}

/** Text of a row key, for maps. */
export const rowKeyText = (key: RowKey): string => `${key.resolution}:${key.windowStartMs}:${key.keyId}`

/** Extends a row by the events of one partition's delta. */
export const mergeIntoRow = (state: RowState, delta: Delta, partition: number): void => {
  state.events += BigInt(delta.events)
  state.lateEvents += BigInt(delta.lateEvents)
  state.backfillEvents += BigInt(delta.backfillEvents)
  state.fingerprint = BigInt.asUintN(64, state.fingerprint + deltaFingerprint(delta))
  const range = state.offsets.get(partition)
  const min = BigInt(delta.minOffset)
  const max = BigInt(delta.maxOffset)
  state.offsets.set(partition, range === undefined ? { partition, min, max } : { partition, min: range.min < min ? range.min : min, max: range.max > max ? range.max : max })
  for (const [at, accumulator] of state.accumulators.entries()) {
    const from = delta.accumulators[at]
    if (from !== undefined) mergeAccumulators(accumulator, from)
  }
}

/** States of one generation's rows in one lane. Keyed by `rowKeyText`: the key id holds the tenant. */
export class RowStates {
  private readonly compiled: CompiledProjection
  private readonly states = new Map<string, RowState>()
  private bytes = 0

  constructor(compiled: CompiledProjection) {
    this.compiled = compiled
  }

  get(text: string): RowState | undefined {
    return this.states.get(text)
  }

  /** Keeps a committed row. Throws `MeasureBytesError` when its bytes are not canonical for the definition. */
  addCommitted(row: Row): void {
    const specs = Object.values(this.compiled.definition.measures)
    const accumulators = specs.map((spec, at) => decodeAccumulator(spec, row.measures[at] ?? new Uint8Array()))
    this.add({ ...row, accumulators, offsets: new Map(row.offsets.map((range) => [range.partition, range])), hash: rowHash(row), bytes: 0 })
  }

  /** A new row without events. */
  addNew(tenantId: string, resolution: ResolutionCode, windowStartMs: number, keyId: string, key: readonly string[]): RowState {
    return this.add({
      tenantId, resolution, windowStartMs, keyId, key, accumulators: this.compiled.createAccumulators(), events: 0n, lateEvents: 0n, backfillEvents: 0n,
      fingerprint: 0n, offsets: new Map(), revision: 0n, hash: 0n, bytes: 0
    })
  }

  /** The changed row as it is to be committed, one revision later; its hash replaces the old one in the digest. */
  encode(state: RowState, digest: RowDigest): Row {
    state.revision += 1n
    const { tenantId, resolution, windowStartMs, keyId, key, events, lateEvents, backfillEvents, fingerprint, revision } = state
    const row: Row = {
      tenantId, resolution, windowStartMs, keyId, key, events, lateEvents, backfillEvents, fingerprint, revision,
      measures: state.accumulators.map((accumulator) => accumulator.encode()),
      offsets: [...state.offsets.values()].sort((a, b) => a.partition - b.partition)
    }
    const hash = rowHash(row)
    digest.replace(keyId, state.hash, hash)
    state.hash = hash
    const bytes = row.measures.reduce((sum, { length }) => sum + length, ROW_OVERHEAD_BYTES)
    this.bytes += bytes - state.bytes
    state.bytes = bytes
    return row
  }

  /** Drops the rows that were added first until the cache is below its limit. Call it after a commit only. */
  trim(): void {
    for (const [text, { bytes }] of this.states) {
      if (this.bytes <= CACHE_BYTES_MAX) return
      this.states.delete(text)
      this.bytes -= bytes
    }
  }

  /** Forgets the rows of windows that start before `fromMs`. */
  dropBelow(fromMs: number): void {
    for (const [text, { bytes, windowStartMs }] of this.states) {
      if (windowStartMs >= fromMs) continue
      this.states.delete(text)
      this.bytes -= bytes
    }
  }

  private add(state: RowState): RowState {
    this.states.set(rowKeyText(state), state)
    return state
  }
}
