/**
 * The absolute state of rows: committed partials, decoded once, kept while they are in use and merged with deltas.
 *
 * Whoever merges into a state changes what is cached here, so the whole cache goes with a failed or unknown commit.
 */
import type { CompiledProjection } from "@tidemark/domain/definitions/compile"
import { decodeAccumulator } from "@tidemark/domain/measures/measure"
import type { OffsetRange, ResolutionCode, Row, RowKey } from "@tidemark/domain/ports/ReadModelStore"
import { NO_ROW, rowHash } from "./rowDigest.ts"
import type { RowDigest, RowHash } from "./rowDigest.ts"
import type { RowSums } from "./rowSums.ts"

/** Memory of the decoded rows of a generation in one lane, bytes. */
const CACHE_BYTES_MAX = 24 << 20
/**
 * A decoded row takes about this much and three times its encoded measures: 1.8 KB for 100 bytes, measured on rows of
 * `page-views` with sets of a handful of visitors.
 */
const ROW_BYTES = 1_500
const DECODED_PER_ENCODED = 3
/** Windows that no flush of the last so many has touched are forgotten: what is kept follows the traffic, not the time a lane has run. */
const KEPT_FLUSHES = 32

export interface RowState extends RowKey, RowSums {
  revision: number
  /** As committed; `NO_ROW` when the row is new. */
  hash: RowHash
  bytes: number
}

/** States of one window, by key id; the key id holds the tenant. */
export type WindowStates = Map<string, RowState>

interface CachedWindow {
  readonly states: WindowStates
  /** Number of the flush that used it last. */
  usedIn: number
}

const memoryOf = (measures: readonly Uint8Array[]): number => measures.reduce((sum, { length }) => sum + length * DECODED_PER_ENCODED, ROW_BYTES)

const offsetsOf = ({ offsets }: RowState): readonly OffsetRange[] => offsets.map(({ partition, min, max }) => ({ partition, min: BigInt(min), max: BigInt(max) }))

/** States of one generation's rows in one lane. */
export class RowStates {
  private readonly compiled: CompiledProjection
  /** By window start, one map per resolution. */
  private readonly windows: readonly [Map<number, CachedWindow>, Map<number, CachedWindow>, Map<number, CachedWindow>] = [new Map(), new Map(), new Map()]
  private bytes = 0
  private flushes = 0

  constructor(compiled: CompiledProjection) {
    this.compiled = compiled
  }

  /** The cached states of a window. */
  window(resolution: ResolutionCode, windowStartMs: number): WindowStates {
    const windows = this.windows[resolution]
    let window = windows.get(windowStartMs)
    if (window === undefined) windows.set(windowStartMs, (window = { states: new Map(), usedIn: this.flushes }))
    window.usedIn = this.flushes
    return window.states
  }

  /** Keeps a committed row. Throws `MeasureBytesError` when its bytes are not canonical for the definition. */
  addCommitted(row: Row): void {
    const { tenantId, resolution, windowStartMs, keyId, key } = row
    const specs = Object.values(this.compiled.definition.measures)
    const bytes = memoryOf(row.measures)
    this.bytes += bytes
    this.window(resolution, windowStartMs).set(keyId, {
      tenantId, resolution, windowStartMs, keyId, key,
      accumulators: specs.map((spec, at) => decodeAccumulator(spec, row.measures[at] ?? new Uint8Array())),
      events: Number(row.events), lateEvents: Number(row.lateEvents), backfillEvents: Number(row.backfillEvents),
      hi: Number(row.fingerprint >> 32n), lo: Number(row.fingerprint & 0xffff_ffffn),
      offsets: row.offsets.map(({ partition, min, max }) => ({ partition, min: Number(min), max: Number(max) })).sort((a, b) => a.partition - b.partition),
      revision: Number(row.revision), hash: rowHash(row), bytes
    })
  }

  /** A new row of these sums, which it takes over: they may be read but not changed any more. */
  adopt(window: WindowStates, { tenantId, resolution, windowStartMs, keyId }: RowKey, sums: RowSums): RowState {
    const { key, accumulators, events, lateEvents, backfillEvents, hi, lo, offsets } = sums
    const state: RowState = { tenantId, resolution, windowStartMs, keyId, key, accumulators, events, lateEvents, backfillEvents, hi, lo, offsets, revision: 0, hash: NO_ROW, bytes: 0 }
    window.set(keyId, state)
    return state
  }

  /** The changed row as it is to be committed, one revision later; its hash replaces the old one in the digest. */
  encode(state: RowState, digest: RowDigest): Row {
    state.revision += 1
    const { tenantId, resolution, windowStartMs, keyId, key } = state
    const measures = state.accumulators.map((accumulator) => accumulator.encode())
    const row: Row = {
      tenantId, resolution, windowStartMs, keyId, key, measures,
      events: BigInt(state.events), lateEvents: BigInt(state.lateEvents), backfillEvents: BigInt(state.backfillEvents),
      fingerprint: (BigInt(state.hi) << 32n) + BigInt(state.lo), offsets: offsetsOf(state), revision: BigInt(state.revision)
    }
    const hash = rowHash(row)
    digest.replace(keyId, state.hash, hash)
    state.hash = hash
    const bytes = memoryOf(measures)
    this.bytes += bytes - state.bytes
    state.bytes = bytes
    return row
  }

  /** Memory of what is cached, bytes, estimated. */
  get cachedBytes(): number {
    return this.bytes
  }

  /**
   * Ends a flush: drops the windows that are out of use and, while the cache is above its limit, more of them, shortest
   * first and of these the first ones seen. Call it after a commit only.
   */
  trim(): void {
    this.flushes += 1
    for (const windows of this.windows) {
      for (const [startMs, { usedIn }] of windows) if (usedIn < this.flushes - KEPT_FLUSHES) this.forget(windows, startMs)
    }
    for (const windows of this.windows) {
      for (const startMs of windows.keys()) {
        if (this.bytes <= CACHE_BYTES_MAX) return
        this.forget(windows, startMs)
      }
    }
  }

  /** Forgets the rows of windows that start before `fromMs`. */
  dropBelow(fromMs: number): void {
    for (const windows of this.windows) for (const startMs of windows.keys()) if (startMs < fromMs) this.forget(windows, startMs)
  }

  private forget(windows: Map<number, CachedWindow>, startMs: number): void {
    for (const { bytes } of windows.get(startMs)?.states.values() ?? []) this.bytes -= bytes
    windows.delete(startMs)
  }
}
