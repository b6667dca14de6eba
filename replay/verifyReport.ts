/** What a verification found, as plain data. */

/** Stored against recomputed: how many were compared, and how many of them are wrong. */
export interface Comparison {
  compared: number
  /** Stored with another value. */
  differing: number
  /** Recomputed and not stored. */
  missing: number
  /** Stored and not recomputed. */
  extra: number
}

/** One difference, shortened. */
export interface Difference {
  /** Which row, ledger entry or checkpoint. */
  readonly at: string
  readonly stored: string
  readonly expected: string
}

/** One partition of the log: checksums, hash chain, dense offsets. */
export interface LogCheck {
  readonly partition: number
  readonly records: string
  readonly blocks: number
  readonly error: string | null
}

/** Counters of one partition of one generation that do not add up. */
export interface ConservationFault {
  readonly projection: string
  readonly generation: number
  readonly partition: number
  readonly error: string
}

/** One generation recomputed up to its checkpoint. */
export interface ModelCheck {
  readonly projection: string
  readonly generation: number
  /** Records folded again, over all partitions. */
  records: number
  readonly rows: { readonly minute: Comparison; readonly hour: Comparison; readonly day: Comparison }
  readonly late: Comparison
  readonly duplicates: Comparison
  readonly deadLetters: Comparison
  /** Per partition: next offset, last record, counters, clocks. */
  readonly checkpoints: Comparison
  /** Per lane: the digest of its rows. */
  readonly digests: Comparison
  /** Per tenant, base window and partition: keys admitted under their own name. */
  readonly keyCounts: Comparison
  /**
   * Over the stored windows merged across lanes, 32 hex characters: the same for the same windows, however many lanes,
   * threads or flushes they came from. Null: not recomputed, or the rows are not what their lanes' digests say.
   */
  modelDigest: string | null
  /** Why it could not be recomputed; null when it was. */
  error: string | null
  /** The first differences. */
  readonly examples: Difference[]
}

export interface VerifyReport {
  readonly ok: boolean
  readonly log: readonly LogCheck[]
  readonly conservation: readonly ConservationFault[]
  /** Null when only log and conservation were asked for. */
  readonly models: readonly ModelCheck[] | null
}

const EXAMPLES_MAX = 10
const TEXT_MAX = 300

const none = (): Comparison => ({ compared: 0, differing: 0, missing: 0, extra: 0 })

export const newModelCheck = (projection: string, generation: number): ModelCheck => ({
  projection, generation, records: 0, rows: { minute: none(), hour: none(), day: none() }, late: none(), duplicates: none(), deadLetters: none(), checkpoints: none(), digests: none(), keyCounts: none(), modelDigest: null, error: null, examples: []
})

const comparisonsOf = ({ rows, late, duplicates, deadLetters, checkpoints, digests, keyCounts }: ModelCheck): readonly Comparison[] =>
  [rows.minute, rows.hour, rows.day, late, duplicates, deadLetters, checkpoints, digests, keyCounts]

const wrong = ({ differing, missing, extra }: Comparison): number => differing + missing + extra

/** Rows, ledger entries and checkpoints that are wrong. */
export const differencesOf = (model: ModelCheck): number => comparisonsOf(model).reduce((sum, comparison) => sum + wrong(comparison), 0)

/** Adds what one pass found. */
export const addCheck = (into: ModelCheck, from: ModelCheck): void => {
  into.records += from.records
  const others = comparisonsOf(from)
  for (const [at, comparison] of comparisonsOf(into).entries()) {
    const other = others[at]
    if (other === undefined) continue
    comparison.compared += other.compared
    comparison.differing += other.differing
    comparison.missing += other.missing
    comparison.extra += other.extra
  }
  into.error ??= from.error
  into.examples.push(...from.examples.slice(0, EXAMPLES_MAX - into.examples.length))
}

const short = (text: string): string => (text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text)

/** Compares one thing; undefined = it is not there. */
export const compare = (model: ModelCheck, comparison: Comparison, at: string, stored: string | undefined, expected: string | undefined): void => {
  comparison.compared += 1
  if (stored === expected) return
  if (stored === undefined) comparison.missing += 1
  else if (expected === undefined) comparison.extra += 1
  else comparison.differing += 1
  if (model.examples.length < EXAMPLES_MAX) model.examples.push({ at, stored: short(stored ?? "nothing"), expected: short(expected ?? "nothing") })
}
