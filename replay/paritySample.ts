/**
 * The proof of a generation whose definition is another one than the old generation's: no digest can be equal, so windows
 * of it, chosen at random over all tenants, are recomputed from the log by the audit's own path. Rules: docs/semantics.md §8.
 */
import type { ReadSnapshot, ResolutionCode, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { RESOLUTIONS } from "@tidemark/domain/time/window"
import { SeededRandom } from "@tidemark/projections/simulation/random"
import * as Effect from "effect/Effect"
import { auditWindow } from "./auditWindow.ts"
import type { AuditedWindow } from "./auditWindow.ts"
import type { ProofBounds } from "./windowProof.ts"

/** What was recomputed. */
export interface ParitySample {
  /** Of the choice. */
  readonly seed: number
  /** Recomputed from the log. */
  readonly windows: number
  /** Chosen but not recomputed: beyond the bounds of the work. */
  readonly skipped: number
  /** What is wrong with those that are not what the log gives. */
  readonly differing: readonly string[]
}

/** Windows chosen of each resolution. */
const CHOSEN = 30
/** For one window; a larger hour or day is held against its minutes, and one of these against the log. */
const BOUNDS: ProofBounds = { recordsMax: 200_000n, workMsMax: 10_000 }
/** Records that the chosen windows' offset ranges may span together. */
const RECORDS_MAX = 4_000_000n

interface Chosen {
  readonly window: AuditedWindow
  readonly span: bigint
}

/** Chooses among the rows that pass, each as likely as the other. */
export class SampleChoice {
  private readonly chosen = new Map<ResolutionCode, Chosen[]>(RESOLUTIONS.map(({ code }) => [code, []]))
  private readonly seen = new Map<ResolutionCode, number>()
  readonly random: SeededRandom
  readonly seed: number

  constructor(seed: number) {
    this.seed = seed
    this.random = new SeededRandom(seed)
  }

  visit(projection: string, generation: number, { tenantId, resolution, windowStartMs: startMs, keyId, key, offsets }: StoredRow): void {
    const chosen = this.chosen.get(resolution)
    const seen = (this.seen.get(resolution) ?? 0) + 1
    this.seen.set(resolution, seen)
    const at = seen <= CHOSEN ? seen - 1 : Math.floor(this.random.next() * seen)
    if (chosen === undefined || at >= CHOSEN) return
    chosen[at] = { window: { projection, generation, tenantId, resolution, startMs, keyId, key }, span: offsets.reduce((sum, { min, max }) => sum + (max - min) + 1n, 0n) }
  }

  /** Shorter windows first, each once, however many of its lanes' rows were chosen. */
  all(): readonly Chosen[] {
    const name = ({ window: { tenantId, resolution, startMs, keyId } }: Chosen): string => `${tenantId} ${resolution} ${startMs} ${keyId}`
    return [...new Map([...this.chosen.values()].flat().map((one) => [name(one), one])).values()]
  }
}

/** Recomputes what was chosen. Fails when an engine does not answer. */
export const recomputeSample = Effect.fn("recomputeSample")(function* (snapshot: ReadSnapshot, choice: SampleChoice) {
  let [windows, skipped, records] = [0, 0, 0n]
  const differing: string[] = []
  for (const { window, span } of choice.all()) {
    const cost = span < BOUNDS.recordsMax ? span : BOUNDS.recordsMax
    const outcome = records + cost > RECORDS_MAX ? undefined : yield* auditWindow(snapshot, window, () => choice.random.next(), BOUNDS)
    if (outcome?.kind !== "audited") {
      skipped += 1
      continue
    }
    records += cost
    windows += 1
    if (outcome.difference !== undefined) differing.push(outcome.difference)
  }
  return { seed: choice.seed, windows, skipped, differing } satisfies ParitySample as ParitySample
})
