/**
 * A projection that somebody has paused: its served generations are folded by nobody until it is resumed, whatever is
 * restarted or cut over meanwhile. Stored as a halt of generation 0, a number that no build ever has.
 */
import type { GenerationId, Halt, LaneId } from "./ReadModelStore.ts"

export const PAUSED = "PAUSED"

/** Where the pause of a projection is stored. */
export const pauseOf = (projection: string): LaneId => ({ projection, generation: 0, lane: 0 })

export const isPause = ({ generation, code }: Halt): boolean => generation === 0 && code === PAUSED

/** The projections that are paused. */
export const pausedIn = (halts: readonly Halt[]): ReadonlySet<string> => new Set(halts.filter(isPause).map(({ projection }) => projection))

/**
 * Why the generation does not go on by itself; undefined where it does. One whose projection is paused goes on when
 * somebody resumes it, halted or not: it is waited for.
 */
export const haltIn = (halts: readonly Halt[], { projection, generation }: GenerationId): Halt | undefined =>
  pausedIn(halts).has(projection) ? undefined : halts.find((halt) => halt.projection === projection && halt.generation === generation)
