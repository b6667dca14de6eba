/**
 * Makes a scenario that breaks a rule smaller: leaves out deeds, faults, records, processes, partitions, as long as a rule
 * is still broken. Delta debugging over the scenario as data; what a smaller one breaks may be another rule.
 */
import { MEMORY_LIMITS } from "../runtime/memoryLimits.ts"
import { NO_FAULTS } from "./scenario.ts"
import type { Deed, Odds, Scenario } from "./scenario.ts"

export interface Shrunk {
  readonly scenario: Scenario
  /** Runs it took. */
  readonly runs: number
}

/** Smaller versions of one number, the smallest first. */
const smaller = (value: number, least: number): readonly number[] =>
  [...new Set([least, least + Math.floor((value - least) / 4), least + Math.floor((value - least) / 2), value - 1])].filter((one) => one >= least && one < value)

const withoutChunk = (deeds: readonly Deed[], from: number, size: number): readonly Deed[] => [...deeds.slice(0, from), ...deeds.slice(from + size)]

class Shrinker {
  scenario: Scenario
  runs = 0
  private readonly isBroken: (scenario: Scenario) => boolean
  private readonly runsMax: number

  constructor(scenario: Scenario, isBroken: (scenario: Scenario) => boolean, runsMax: number) {
    this.scenario = scenario
    this.isBroken = isBroken
    this.runsMax = runsMax
  }

  get isSpent(): boolean {
    return this.runs >= this.runsMax
  }

  /** Takes the change if a rule is still broken with it. */
  attempt(change: Partial<Scenario>): boolean {
    if (this.isSpent) return false
    this.runs += 1
    const next = { ...this.scenario, ...change }
    if (!this.isBroken(next)) return false
    this.scenario = next
    return true
  }

  deeds(): void {
    if (this.scenario.deeds.length > 0 && this.attempt({ deeds: [] })) return
    for (let size = Math.ceil(this.scenario.deeds.length / 2); size >= 1 && !this.isSpent; size = Math.floor(size / 2)) {
      for (let from = this.scenario.deeds.length - 1; from >= 0 && !this.isSpent; from -= size) {
        if (from < this.scenario.deeds.length) this.attempt({ deeds: withoutChunk(this.scenario.deeds, from, size) })
      }
    }
  }

  odds(): void {
    if (JSON.stringify(this.scenario.odds) === JSON.stringify(NO_FAULTS) || this.attempt({ odds: NO_FAULTS })) return
    for (const name of Object.keys(NO_FAULTS) as (keyof Odds)[]) {
      if (this.scenario.odds[name] !== 0) this.attempt({ odds: { ...this.scenario.odds, [name]: 0 } })
    }
  }

  numbers(): void {
    if (this.scenario.damage !== "none") this.attempt({ damage: "none" })
    if (this.scenario.skewMsMax !== 0) this.attempt({ skewMsMax: 0 })
    if (hasTightMemory(this.scenario)) this.attempt({ limits: MEMORY_LIMITS })
    for (const name of ["records", "projectors", "ingests", "projections", "lanes"] as const) {
      smaller(this.scenario[name], 1).some((value) => this.attempt({ [name]: value }))
    }
    smaller(this.scenario.partitions, this.scenario.lanes).some((partitions) => this.attempt({ partitions }))
  }
}

const hasTightMemory = ({ limits }: Scenario): boolean => JSON.stringify(limits) !== JSON.stringify(MEMORY_LIMITS)

/** How much a scenario holds: what shrinking lessens. */
export const sizeOf = (scenario: Scenario): number => {
  const { records, partitions, lanes, projectors, ingests, projections, odds, deeds, damage, skewMsMax } = scenario
  const parts = [damage !== "none", skewMsMax !== 0, hasTightMemory(scenario)].filter(Boolean).length
  return records + partitions + lanes + projectors + ingests + projections + Object.values(odds).filter((value) => value !== 0).length + deeds.length + parts
}

/**
 * The smallest scenario found in at most `runsMax` runs. `isBroken` is true of `scenario`, which is answered as it is when
 * nothing can be left out.
 */
export const shrink = (scenario: Scenario, isBroken: (scenario: Scenario) => boolean, runsMax: number): Shrunk => {
  const shrinker = new Shrinker(scenario, isBroken, runsMax)
  for (let before = Infinity; sizeOf(shrinker.scenario) < before && !shrinker.isSpent;) {
    before = sizeOf(shrinker.scenario)
    shrinker.deeds()
    // Before the odds: without a fault that is not needed every later draw is another one, and the run that breaks may be longer.
    shrinker.numbers()
    shrinker.odds()
  }
  return { scenario: shrinker.scenario, runs: shrinker.runs }
}
