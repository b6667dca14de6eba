/** The minutes of an hour or a day merged, lane by lane: an hour equals the merge of its minutes. Rules: docs/semantics.md §9.5. */
import { decodeAccumulator, mergeAccumulators } from "@tidemark/domain/measures/measure"
import type { Accumulator, MeasureSpec } from "@tidemark/domain/measures/measure"
import type { OffsetRange, StoredRow } from "@tidemark/domain/ports/ReadModelStore"

const MASK = (1n << 64n) - 1n

interface Merged {
  readonly accumulators: readonly (Accumulator | undefined)[]
  events: bigint
  lateEvents: bigint
  backfillEvents: bigint
  fingerprint: bigint
  readonly ranges: Map<number, OffsetRange>
}

const rangesText = (ranges: Iterable<OffsetRange>): string =>
  [...ranges].sort((a, b) => a.partition - b.partition).map(({ partition, min, max }) => `${partition}:${min}-${max}`).join()

export class MergedMinutes {
  private readonly lanes = new Map<number, Merged>()
  private readonly measures: readonly (readonly [name: string, spec: MeasureSpec])[]
  private unreadable: string | undefined

  /** `measures`: of the definition. */
  constructor(measures: Readonly<Record<string, MeasureSpec>>) {
    this.measures = Object.entries(measures)
  }

  /** Takes a minute of the window's key. Never throws: what cannot be read is told by `difference`. */
  add(row: StoredRow): void {
    try {
      const own = this.measures.map(([, spec], at) => decodeAccumulator(spec, row.measures[at] ?? new Uint8Array()))
      const known = this.lanes.get(row.lane)
      const merged = known ?? { accumulators: own, events: 0n, lateEvents: 0n, backfillEvents: 0n, fingerprint: 0n, ranges: new Map() }
      if (known === undefined) this.lanes.set(row.lane, merged)
      else for (const [at, from] of own.entries()) if (known.accumulators[at] !== undefined) mergeAccumulators(known.accumulators[at], from)
      merged.events += row.events
      merged.lateEvents += row.lateEvents
      merged.backfillEvents += row.backfillEvents
      merged.fingerprint = (merged.fingerprint + row.fingerprint) & MASK
      for (const { partition, min, max } of row.offsets) {
        const range = merged.ranges.get(partition) ?? { partition, min, max }
        merged.ranges.set(partition, { partition, min: range.min < min ? range.min : min, max: range.max > max ? range.max : max })
      }
    } catch (cause) {
      this.unreadable ??= `minute ${new Date(row.windowStartMs).toISOString()} in lane ${row.lane} cannot be read: ${String(cause)}`
    }
  }

  /** What the partials of the hour or day and the merged minutes disagree on, or undefined. */
  difference(rows: readonly StoredRow[]): string | undefined {
    if (this.unreadable !== undefined) return this.unreadable
    const lacking = [...this.lanes.keys()].find((lane) => !rows.some((row) => row.lane === lane))
    if (lacking !== undefined) return `lane ${lacking} has minutes and no row of it`
    for (const row of rows) {
      const wrong = this.wrongIn(row)
      if (wrong !== undefined) return `${wrong} of lane ${row.lane} is not the merge of its minutes`
    }
    return undefined
  }

  private wrongIn(row: StoredRow): string | undefined {
    const merged = this.lanes.get(row.lane)
    if (merged === undefined) return "the row"
    for (const name of ["events", "lateEvents", "backfillEvents", "fingerprint"] as const) if (merged[name] !== row[name]) return name
    if (rangesText(merged.ranges.values()) !== rangesText(row.offsets)) return "the offset range"
    const at = this.measures.findIndex((_, index) => Buffer.compare(merged.accumulators[index]?.encode() ?? new Uint8Array(), row.measures[index] ?? new Uint8Array()) !== 0)
    return at < 0 ? undefined : `measure ${this.measures[at]?.[0] ?? ""}`
  }
}
