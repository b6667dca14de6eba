/** The named places at which the replay campaign kills the server, in the order in which one rebuild after the other comes to them. */
import type { SeededRandom } from "./random.ts"

/**
 * What is done for the server to come to the place: a rebuild is carried to its end; is aborted; is cut over; rolled
 * back; what stands by is dropped, which needs a start that keeps nothing on standby.
 */
export type Scenario = "build" | "abort" | "cut-over" | "roll-back" | "retire"

export interface KillPoint {
  readonly scenario: Scenario
  /** Name of a failpoint. */
  readonly place: string
  /** It is reached at least so often. */
  readonly hitsMax: number
  /** Nothing is written between the place before it in the list and this one: the disk holds the same after either. */
  readonly repeats: boolean
}

const around = (...steps: readonly string[]): readonly string[] => steps.flatMap((step) => [`${step}-before`, `${step}-after`])

const HITS: Readonly<Record<string, number>> = { "compare-windows": 6, "compare-partials": 6, "compare-scan": 3, "joined-commit-before": 4, "joined-commit-after": 4 }

const REPEATS: readonly string[] = [
  "journal-preparing-before", "create-before", "journal-building-before", "follow-before", "journal-verified-before", "unfollow-before", "drop-before", "journal-cut-over-before",
  "journal-rolled-back-before", "journal-retired-before"
]

const points = (scenario: Scenario, places: readonly string[]): readonly KillPoint[] => places.map((place) => ({ scenario, place, hitsMax: HITS[place] ?? 1, repeats: REPEATS.includes(place) }))

export const KILL_POINTS: readonly KillPoint[] = [
  ...points("build", [
    ...around("journal-planned", "journal-preparing", "create", "journal-building"), "build-taken-over", ...around("build-commit", "journal-catching-up", "follow", "journal-verifying"),
    "compare-windows", "compare-partials", "compare-scan", ...around("journal-verified", "joined-commit")
  ]),
  ...points("abort", around("journal-aborted", "unfollow", "drop")),
  ...points("cut-over", around("flip", "journal-cut-over")),
  ...points("roll-back", around("flip-back", "journal-rolled-back")),
  ...points("retire", around("unfollow", "drop", "journal-retired"))
]

/** As the server takes it. */
export const failpointOf = ({ place, hitsMax }: KillPoint, random: SeededRandom): string => `${place}:${random.between(1, hitsMax)}`
