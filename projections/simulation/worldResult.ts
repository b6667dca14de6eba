/** What a run of the simulation came to. */
import type { Scenario } from "./scenario.ts"

export interface WorldStats {
  commits: number
  fenced: number
  unknown: number
  kills: number
  /** Most commits between two kills: those before the first and after the last one are not counted. */
  calmestCommits: number
  pauses: number
  records: number
  halts: number
  /** Appends of unknown outcome of which a part was stored. */
  inPart: number
}

export interface WorldResult {
  /** What was run, with the deeds that came to happen. */
  readonly scenario: Scenario
  /** Empty when every rule held. */
  readonly violations: readonly string[]
  readonly traceHash: string
  /** Last lines of the trace. */
  readonly tail: readonly string[]
  readonly stats: WorldStats
  /** Where the planted bug made a difference, first one first. */
  readonly effects: readonly string[]
}
