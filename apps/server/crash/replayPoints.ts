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
  /** Nothing is written between the place before it in the list and this one: the disk holds the same after either. */
  readonly repeats: boolean
}

/** Lanes of the campaign's log, each of one partition. */
export const LANES = 4
/** First events of the log, and the cap on a build that is to flush each lane several times, events a second. */
export const FIRST_EVENTS = 5_000
export const CAP = 2_500

/**
 * A capped build of the first events takes 1.6 s: a lane flushes after 0.5 s, after 1 s more (`runLane.ts`), and at its
 * end, so twice at least where the build goes on from an earlier one's checkpoints.
 */
const FLUSHES_OF_LANE = 2

const around = (...steps: readonly string[]): readonly string[] => steps.flatMap((step) => [`${step}-before`, `${step}-after`])

const REPEATS: readonly string[] = [
  "journal-preparing-before", "create-before", "journal-building-before", "follow-before", "journal-verified-before", "unfollow-before", "drop-before", "journal-cut-over-before",
  "journal-rolled-back-before", "journal-retired-before"
]

const points = (scenario: Scenario, places: readonly string[]): readonly KillPoint[] => places.map((place) => ({ scenario, place, repeats: REPEATS.includes(place) }))

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

/** One kill: the server comes to the place so often, in one of its threads, and dies. */
export interface Kill extends KillPoint {
  readonly hit: number
  /** Threads of a build. */
  readonly threads: number
}

/** The most often that one thread is sure to come to the place: in one build or comparison, or while a decision is taken again and again. */
export const hitsMax = ({ place, scenario }: KillPoint, threads: number): number => {
  const lanes = LANES / threads
  switch (place) {
    case "build-taken-over":
      return lanes
    case "build-commit-before":
    case "build-commit-after":
      return lanes * FLUSHES_OF_LANE
    case "compare-windows":
    case "compare-partials":
      // Pages of a model of the first events' windows.
      return 12
    case "compare-scan":
      // Minute, hour and day.
      return 3
    case "joined-commit-before":
    case "joined-commit-after":
      // While events come it is committed until somebody decides.
      return 20
    default:
      // There and back again takes no new build.
      return scenario === "cut-over" || scenario === "roll-back" ? 3 : 1
  }
}

/** A kill at each of the places, at an occurrence that the seed chooses. */
export const killsOf = (points: readonly KillPoint[], random: SeededRandom): readonly Kill[] =>
  points.map((point) => {
    const threads = random.between(1, 2)
    return { ...point, threads, hit: random.between(1, hitsMax(point, threads)) }
  })
