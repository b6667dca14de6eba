/**
 * The proof of a generation whose definition is another one than the old generation's: no digest can be equal, so windows
 * of it, chosen at random over all tenants, are recomputed from the log by the audit's own path. After an import whose
 * times are in no order every window spans the whole of it; where no chosen window is within the bounds, the whole
 * generation is recomputed instead, as `verify` does. Rules: docs/semantics.md §8.
 */
import type { GenerationRecord, LaneCheckpoint, ReadSnapshot, ResolutionCode, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { RESOLUTIONS } from "@tidemark/domain/time/window"
import { SeededRandom } from "@tidemark/projections/simulation/random"
import * as Effect from "effect/Effect"
import { AUDIT_BOUNDS, auditWindow } from "./auditWindow.ts"
import type { AuditedWindow, SkipReason } from "./auditWindow.ts"
import { checkModel } from "./verify.ts"
import { differencesOf } from "./verifyReport.ts"
import type { ModelCheck } from "./verifyReport.ts"
import type { ProofBounds } from "./windowProof.ts"

/** What was recomputed. */
export interface ParitySample {
  /** Of the choice. */
  readonly seed: number
  /** Recomputed from the log. */
  readonly windows: number
  /** Chosen but not recomputed: beyond the bounds of the work, or no longer in the log. */
  readonly skipped: number
  /** Rows of minute, hour and day, when the whole generation was recomputed because no chosen window was within the bounds; null otherwise. */
  readonly wholeRows: number | null
  /** What is wrong with those that are not what the log gives. */
  readonly differing: readonly string[]
}

/** What a sample may cost. */
export interface SampleBounds {
  /** Of one window; a larger hour or day is held against its minutes, and one of these against the log. */
  readonly window: ProofBounds
  /** Records that the recomputed windows' offset ranges may span together. */
  readonly recordsMax: bigint
}

/** The snapshot is held while the sample is read: about a minute. */
export const SAMPLE_BOUNDS: SampleBounds = { window: AUDIT_BOUNDS, recordsMax: 10_000_000n }

/** Windows chosen at random of each resolution. */
const CHOSEN = 30
/** Windows chosen besides because they span fewest records: where large ones use up the work, these still fit. */
const SMALLEST = 10
/** Why a window is not recomputed though the log may hold it. */
const BOUNDED: readonly SkipReason[] = ["records", "time", "keys"]
/** Expected rows held at once while the whole generation is recomputed; about 100 MB. */
const ROWS_MAX = 100_000

interface Chosen {
  readonly window: AuditedWindow
  readonly span: bigint
}

const nameOf = ({ window: { tenantId, resolution, startMs, keyId } }: Chosen): string => `${tenantId} ${resolution} ${startMs} ${keyId}`

/** Chooses among the rows that pass, each as likely as the other; and those that span fewest records. */
export class SampleChoice {
  private readonly smallest: Chosen[] = []
  private readonly chosen = new Map<ResolutionCode, Chosen[]>(RESOLUTIONS.map(({ code }) => [code, []]))
  private readonly seen = new Map<ResolutionCode, number>()
  readonly random: SeededRandom
  readonly seed: number

  constructor(seed: number) {
    this.seed = seed
    this.random = new SeededRandom(seed)
  }

  visit(projection: string, generation: number, { tenantId, resolution, windowStartMs: startMs, keyId, key, offsets }: StoredRow): void {
    const one = (): Chosen => ({ window: { projection, generation, tenantId, resolution, startMs, keyId, key }, span })
    const span = offsets.reduce((sum, { min, max }) => sum + (max - min) + 1n, 0n)
    const seen = (this.seen.get(resolution) ?? 0) + 1
    this.seen.set(resolution, seen)
    const at = seen <= CHOSEN ? seen - 1 : Math.floor(this.random.next() * seen)
    const chosen = this.chosen.get(resolution)
    if (chosen !== undefined && at < CHOSEN) chosen[at] = one()
    const largest = this.smallest.at(-1)
    if (this.smallest.length === SMALLEST && largest !== undefined && span >= largest.span) return
    this.smallest.push(one())
    this.smallest.sort((a, b) => (a.span < b.span ? -1 : a.span > b.span ? 1 : 0))
    if (this.smallest.length > SMALLEST) this.smallest.pop()
  }

  /** The smallest first, then minutes, hours and days in turn; each once, however many of its lanes' rows were chosen. */
  all(): readonly Chosen[] {
    const lists = RESOLUTIONS.map(({ code }) => this.chosen.get(code) ?? [])
    const inTurn = Array.from({ length: CHOSEN }, (_, at) => lists.flatMap((list) => list[at] ?? [])).flat()
    return [...new Map([...this.smallest, ...inTurn].map((one) => [nameOf(one), one])).values()]
  }
}

/** The generation that is proved, in the snapshot. */
export interface Proved {
  readonly snapshot: ReadSnapshot
  readonly record: GenerationRecord
  readonly checkpoints: readonly LaneCheckpoint[]
  /** Tenants that may have rows. */
  readonly tenants: readonly string[]
}

const wholeFaults = ({ projection, generation, error, examples, ...found }: ModelCheck): readonly string[] => {
  const name = `${projection} generation ${generation}, recomputed whole`
  if (error !== null) return [`${name}: ${error}`]
  const differences = differencesOf({ projection, generation, error, examples, ...found })
  if (differences === 0) return []
  return [`${name}: ${differences} rows and ledger entries are not what the log gives`, ...examples.map(({ at, stored, expected }) => `${name}, ${at}: ${stored} is stored, the log gives ${expected}`)]
}

/** Every row of the generation and its ledgers, from the log. */
const recomputeWhole = Effect.fn("recomputeWhole")(function* ({ snapshot, record, checkpoints, tenants }: Proved) {
  const model = yield* checkModel(snapshot, record, checkpoints, { full: true, tenants, progress: () => {}, rowsMax: ROWS_MAX })
  return { wholeRows: Object.values(model.rows).reduce((sum, { compared }) => sum + compared, 0), differing: wholeFaults(model) }
})

/** Recomputes what was chosen; where the bounds leave none of it, the whole generation. Fails when an engine does not answer. */
export const recomputeSample = Effect.fn("recomputeSample")(function* (proved: Proved, choice: SampleChoice, bounds: SampleBounds) {
  let [windows, skipped, beyond, records] = [0, 0, 0, 0n]
  const differing: string[] = []
  for (const { window, span } of choice.all()) {
    const cost = span < bounds.window.recordsMax ? span : bounds.window.recordsMax
    const outcome = records + cost > bounds.recordsMax ? undefined : yield* auditWindow(proved.snapshot, window, () => choice.random.next(), bounds.window)
    if (outcome?.kind !== "audited") {
      skipped += 1
      if (outcome === undefined || BOUNDED.includes(outcome.reason)) beyond += 1
      continue
    }
    records += cost
    windows += 1
    if (outcome.difference !== undefined) differing.push(outcome.difference)
  }
  const whole = windows === 0 && beyond > 0 ? yield* recomputeWhole(proved) : { wholeRows: null, differing }
  return { seed: choice.seed, windows, skipped, ...whole } satisfies ParitySample as ParitySample
})
