/**
 * Digest of a whole read model: the sum of row hashes over windows merged across lanes, read from one snapshot. It does
 * not depend on the number of lanes, on who owned them, on flushes or on the interleaving of partitions, so that a replay
 * is compared with what live wrote by one number. Windows that reads hide are left out. Rules: docs/semantics.md §8, §9 (2).
 */
import { parseDefinition } from "@tidemark/domain/definitions/definition"
import { hashHex } from "@tidemark/domain/measures/hash"
import type { MeasureSpec } from "@tidemark/domain/measures/measure"
import type { GenerationRecord, LaneCheckpoint, ReadSnapshot, ResolutionCode, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { mergeRows } from "./mergeRows.ts"
import { retainedFromMs } from "./retention.ts"
import { NO_ROW, RowDigest, rowHash } from "./rowDigest.ts"

export interface ModelDigest {
  /** Sums mod 2^128 of row hashes in 256 key buckets, 16 bytes each, big endian: 4,096 bytes. */
  readonly digest: Uint8Array
  /**
   * Lanes whose rows that were read are not what the lane's own digest says, sorted: a tenant was not named, or rows are
   * damaged. Unless it is empty the digest stands for nothing.
   */
  readonly unaccounted: readonly number[]
}

/** Digest of a digest, to be shown and told: 32 hex characters. */
export const digestLabel = (digest: Uint8Array): string => hashHex(digest, 0)

const RESOLUTIONS: readonly ResolutionCode[] = [0, 1, 2]
/** Beyond every window, before and after 1970. */
const EVER = { fromMs: -8_640_000_000_000_000, toMs: 8_640_000_000_000_001 }

/** Takes partials in the order of a scan: those of one window and key follow each other. */
class PartialsDigest {
  readonly model = RowDigest.empty()
  readonly lanes = new Map<number, RowDigest>()
  /** Lanes with a row whose bytes cannot be read. */
  readonly unreadable = new Set<number>()
  private readonly specs: readonly MeasureSpec[]
  private readonly fromMs: number
  private partials: StoredRow[] = []

  /** `fromMs`: windows that start before are hidden. */
  constructor(specs: readonly MeasureSpec[], fromMs: number) {
    this.specs = specs
    this.fromMs = fromMs
  }

  readonly visit = (rows: readonly StoredRow[]): void => {
    for (const row of rows) {
      const [first] = this.partials
      if (first !== undefined && (first.windowStartMs !== row.windowStartMs || first.keyId !== row.keyId)) this.close()
      this.partials.push(row)
    }
  }

  /** The window is complete. */
  close(): void {
    const [first, ...others] = this.partials
    this.partials = []
    if (first === undefined) return
    for (const row of [first, ...others]) {
      const lane = this.lanes.get(row.lane) ?? RowDigest.empty()
      this.lanes.set(row.lane, lane)
      lane.replace(row.keyId, NO_ROW, rowHash(row))
    }
    if (first.windowStartMs < this.fromMs) return
    try {
      this.model.replace(first.keyId, NO_ROW, rowHash(mergeRows(this.specs, [first, ...others])))
    } catch {
      for (const { lane } of [first, ...others]) this.unreadable.add(lane)
    }
  }
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, at) => byte === b[at])

/** Start of the windows that reads show: what has expired in any partition is hidden. */
const shownFromMs = (retentionDays: number | undefined, checkpoints: readonly LaneCheckpoint[]): number => {
  let receivedMaxMs = -Infinity
  for (const { partitions } of checkpoints) for (const { receivedMaxMs: atMs } of partitions) receivedMaxMs = Math.max(receivedMaxMs, atMs ?? -Infinity)
  return receivedMaxMs === -Infinity ? -Infinity : retainedFromMs(retentionDays, receivedMaxMs)
}

/**
 * Reads every row of a generation. `named`: tenants that may have rows; those with live events are known anyway. Throws
 * what `parseDefinition` throws of a definition that this binary cannot read.
 */
export const modelDigest = Effect.fn("modelDigest")(function* (snapshot: ReadSnapshot, { projection, generation, definition }: GenerationRecord, named: Iterable<string>) {
  const { measures, retentionDays } = parseDefinition(definition)
  const checkpoints = yield* snapshot.checkpoints(projection, generation)
  const sums = new PartialsDigest(Object.values(measures), shownFromMs(retentionDays, checkpoints))
  const tenants = new Set([...named, ...checkpoints.flatMap(({ partitions }) => partitions.flatMap(({ tenantMaxMs }) => [...tenantMaxMs.keys()]))])
  for (const tenantId of tenants) {
    for (const resolution of RESOLUTIONS) {
      yield* snapshot.scan({ projection, generation, tenantId, resolution, ...EVER }, sums.visit)
      sums.close()
    }
  }
  const unaccounted = new Set(sums.unreadable)
  const known = new Map(checkpoints.map(({ lane, digest }) => [lane.lane, digest]))
  for (const lane of new Set([...known.keys(), ...sums.lanes.keys()])) {
    const found = (sums.lanes.get(lane) ?? RowDigest.empty()).encode()
    if (!isSame(found, known.get(lane) ?? new Uint8Array())) unaccounted.add(lane)
  }
  const result: ModelDigest = { digest: sums.model.encode(), unaccounted: [...unaccounted].sort((a, b) => a - b) }
  return result
})
