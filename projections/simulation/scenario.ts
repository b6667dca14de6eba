/**
 * What one run is made of, as data: how much is sent, by how many, what goes wrong and when. A seed gives one; a smaller
 * one can be made of it by leaving things out, and run again.
 */
import { MEMORY_LIMITS } from "../runtime/memoryLimits.ts"
import type { MemoryLimits } from "../runtime/memoryLimits.ts"
import { simulatedProjections } from "./oracleProjections.ts"
import { SeededRandom } from "./random.ts"

/** Deeds that hit the processes of a run with guests only. */
export const GUEST_DEEDS = ["kill guest", "sleeping guest"] as const
const COMMON_DEEDS = ["kill projector", "kill, calm, kill", "zombie", "kill ingest", "store down", "log down", "deployment", "power cut, index lost"] as const
export const DEED_NAMES = [...COMMON_DEEDS, ...GUEST_DEEDS] as const
export type DeedName = (typeof DEED_NAMES)[number]

export const DAMAGES = ["lost head", "other tail", "other log", "other partitions"] as const

/** Something that happens to the platform once. */
export interface Deed {
  /** After the start of the run, virtual ms. */
  readonly atMs: number
  readonly name: DeedName
  /** Seed of what the deed itself leaves to chance: whom it hits, for how long. */
  readonly draw: number
}

/** Probabilities from 0 to 1 of what goes wrong with every call, and the longest delay of one in ms. */
export interface Odds {
  readonly slow: number
  readonly slowMsMax: number
  readonly commitFault: number
  readonly appendFault: number
  readonly busFault: number
  readonly indexFault: number
}

export const NO_FAULTS: Odds = { slow: 0, slowMsMax: 0, commitFault: 0, appendFault: 0, busFault: 0, indexFault: 0 }

export interface Scenario {
  /** Decides everything that is not written down here. */
  readonly seed: number
  /** Records the clients make in all. */
  readonly records: number
  readonly partitions: number
  readonly lanes: number
  readonly projectors: number
  readonly ingests: number
  /** Projections that the projectors know at the start. */
  readonly projections: number
  readonly odds: Odds
  readonly deeds: readonly Deed[]
  /** What becomes of the log at the end. */
  readonly damage: (typeof DAMAGES)[number] | "none"
  /** Clocks of ingest processes are ahead or behind by up to this, ms. */
  readonly skewMsMax: number
  /** What a lane may hold in memory. */
  readonly limits: MemoryLimits
  /** Memory of the 24-hour part of ingest's dedupe index, bytes. */
  readonly dedupeBytesMax: number
}

/** No run takes longer than this, virtual ms. */
export const STORM_MS_MAX = 120_000

/** Deeds until the end of the longest run: those after the clients' end never happen. */
const deedsOf = (random: SeededRandom): readonly Deed[] => {
  const chosen: DeedName[] = ["kill projector", "zombie", "zombie", ...COMMON_DEEDS.slice(3).filter(() => random.chance(0.4))]
  const rarestMs = random.pick([300, 600, 1_200])
  const twiceAt = random.between(0, 1)
  const deeds: Deed[] = []
  for (let atMs = random.between(300, 900); atMs < STORM_MS_MAX; atMs += random.chance(0.25) ? random.between(1_200, 3_000) : random.between(30, rarestMs))
    deeds.push({ atMs, name: deeds.length === twiceAt ? "kill, calm, kill" : random.pick(chosen), draw: random.between(0, 2 ** 31) })
  return deeds
}

/** Memory that no run fills. */
const DEDUPE_BYTES_MAX = 1 << 30

/** Half of the runs have the limits of the product, which no run reaches; in the others every lane reaches one with nearly every read. */
const limitsOf = (random: SeededRandom): MemoryLimits => {
  if (random.chance(0.5)) return MEMORY_LIMITS
  const readBytesMax = random.pick([1, 1_000, 4_000])
  const isByRows = random.chance(0.5)
  return { readBytesMax, flushBytesMax: isByRows ? MEMORY_LIMITS.flushBytesMax : random.pick([1, 600, 3_000]), flushRowsMax: isByRows ? random.between(1, 12) : MEMORY_LIMITS.flushRowsMax }
}

/** The scenario of a seed. */
export const scenarioOf = (seed: number): Scenario => {
  const random = new SeededRandom(seed)
  const partitions = random.between(1, 4)
  const odds = {
    slow: random.pick([0, 0.05, 0.2]), slowMsMax: random.pick([5, 30, 120]), commitFault: random.pick([0, 0.05, 0.15]), appendFault: random.pick([0, 0.05, 0.2]),
    busFault: random.pick([0, 0.1, 0.4]), indexFault: random.pick([0, 0, 0.1])
  }
  return {
    seed, partitions, odds, lanes: random.between(1, partitions), records: random.between(40, 120), projectors: random.between(2, 3), ingests: random.between(1, 2),
    projections: random.between(1, simulatedProjections.length), deeds: deedsOf(random.fork()), damage: random.pick(["lost head", "lost head", "other tail", "other log", "other partitions", "none"]), skewMsMax: random.pick([0, 3_000, 30_000]),
    limits: limitsOf(random.fork()), dedupeBytesMax: random.pick([DEDUPE_BYTES_MAX, DEDUPE_BYTES_MAX, partitions * 512, partitions * 1_024])
  }
}

/** The scenario with deeds that hit guests mixed in, and with a log that is not damaged at the end. */
export const withGuests = (scenario: Scenario): Scenario => {
  const random = new SeededRandom(scenario.seed ^ 0x2545f491)
  const restMs = random.pick([400, 1_200, 3_000])
  const deeds: Deed[] = [...scenario.deeds]
  for (let atMs = random.between(300, 2_000); atMs < STORM_MS_MAX; atMs += random.between(50, restMs)) deeds.push({ atMs, name: random.pick(GUEST_DEEDS), draw: random.between(0, 2 ** 31) })
  return { ...scenario, deeds: deeds.sort((a, b) => a.atMs - b.atMs), damage: "none", projections: simulatedProjections.length }
}

const isCount = (value: unknown, least: number, most: number): boolean => Number.isInteger(value) && Number(value) >= least && Number(value) <= most

/** Reads what `JSON.stringify` wrote of a scenario. Throws `RangeError` when it is none. */
export const parseScenario = (text: string): Scenario => {
  const given = JSON.parse(text) as Partial<Record<keyof Scenario, unknown>>
  const { partitions, deeds, odds, damage, limits } = given
  const isSound = isCount(given.seed, 0, 2 ** 53) && isCount(given.records, 1, 1e6) && isCount(partitions, 1, 64) && isCount(given.lanes, 1, Number(partitions))
    && isCount(given.projectors, 1, 16) && isCount(given.ingests, 1, 16) && isCount(given.skewMsMax, 0, 3_600_000) && isCount(given.projections, 1, simulatedProjections.length)
    && Array.isArray(deeds) && deeds.every((deed: Partial<Deed>) => isCount(deed.atMs, 0, STORM_MS_MAX) && DEED_NAMES.some((name) => name === deed.name) && isCount(deed.draw, 0, 2 ** 31))
    && typeof odds === "object" && odds !== null && Object.keys(NO_FAULTS).every((name) => typeof (odds as Record<string, unknown>)[name] === "number")
    && typeof limits === "object" && limits !== null && Object.keys(MEMORY_LIMITS).every((name) => isCount((limits as Record<string, unknown>)[name], 1, 2 ** 30)) && isCount(given.dedupeBytesMax, 1, 2 ** 40)
    && ["none", ...DAMAGES].some((known) => known === damage)
  if (!isSound) throw new RangeError("this is no scenario of the simulation")
  return given as Scenario
}
