/** The named places at which the campaign's servers kill themselves. Names: `infra/wiring/failpoints.ts`. */
import type { SeededRandom } from "./random.ts"

/** One start of so many is given a failpoint. */
const ONE_OF = 3

/** The places every server under load comes to, each with how often it is sure to before the client has to wait for the kill. */
export const CAMPAIGN_POINTS: readonly { readonly place: string; readonly hitsMax: number }[] = [
  { place: "append-before", hitsMax: 8 }, { place: "append-written", hitsMax: 8 }, { place: "append-synced", hitsMax: 8 },
  { place: "commit-before", hitsMax: 3 }, { place: "commit-after", hitsMax: 3 }, { place: "taken-over", hitsMax: 5 }
]

/**
 * What `TIDEMARK_FAILPOINT` is to be for each of so many starts: undefined for one that is killed at random, for a third
 * of them a place at one of its occurrences. The places take turns from one that chance chooses.
 */
export const failpointsOf = (random: SeededRandom, starts: number): readonly (string | undefined)[] => {
  const first = random.between(0, CAMPAIGN_POINTS.length - 1)
  const turns = [...CAMPAIGN_POINTS.slice(first), ...CAMPAIGN_POINTS.slice(0, first)]
  let armedAt = 0
  return Array.from({ length: starts }, (_, start) => {
    if (start % ONE_OF === 0) armedAt = start + random.between(0, ONE_OF - 1)
    if (start !== armedAt) return undefined
    const { place, hitsMax } = turns[Math.floor(start / ONE_OF) % turns.length] ?? random.pick(turns)
    return `${place}:${random.between(1, hitsMax)}`
  })
}
