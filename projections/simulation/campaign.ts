/** Many runs of the simulation, and what they add up to. */
import { plantedBugs } from "./plantedBugs.ts"
import type { PlantedBug } from "./plantedBugs.ts"
import { runScenario } from "./runWorld.ts"
import { scenarioOf } from "./scenario.ts"
import type { Scenario } from "./scenario.ts"
import { shrink, sizeOf } from "./shrink.ts"
import type { WorldResult } from "./worldResult.ts"

/** A kind of world: how its runs are made, and the flag of `npm run sim` that chooses it. */
export interface Simulation {
  readonly flag: string
  readonly scenarioOf: (seed: number) => Scenario
  readonly run: (scenario: Scenario, bug?: PlantedBug) => WorldResult
}

/** Runtime and ingest, nothing else. */
export const plainSimulation: Simulation = { flag: "", scenarioOf, run: runScenario }

export interface CampaignSummary {
  readonly passed: number
  readonly failed: number
  readonly commits: number
  readonly fenced: number
  readonly kills: number
  readonly zombies: number
  /** Appends of unknown outcome of which a part was stored. */
  readonly inPart: number
  /** Runs with at least one fenced commit and at least three commits between two kills. */
  readonly telling: number
}

export const findBug = (name: string): PlantedBug | undefined => plantedBugs.find((bug) => bug.name === name)

/** Runs that shrinking one failure may take. */
const SHRINK_RUNS_MAX = 150

/** The smallest run found that still breaks a rule. */
export const shrinkFailure = ({ scenario }: WorldResult, bug?: PlantedBug, { run } = plainSimulation): WorldResult =>
  run(shrink(scenario, (smaller) => run(smaller, bug).violations.length > 0, SHRINK_RUNS_MAX).scenario, bug)

const runLines = ({ scenario, traceHash, violations, tail }: WorldResult): readonly string[] => [
  `seed ${scenario.seed} trace-sha1 ${traceHash}`, ...violations.slice(0, 5).map((violation) => `  ${violation}`), ...tail.slice(-20).map((line) => `  | ${line}`)
]

/** What to print of a run that broke a rule: the run, the smallest one found that breaks a rule, and how to repeat both. */
export const failureLines = (result: WorldResult, bug?: PlantedBug, simulation = plainSimulation): readonly string[] => {
  const small = shrinkFailure(result, bug, simulation)
  const planted = `${simulation.flag}${bug === undefined ? "" : ` --bug ${bug.name}`}`
  return [
    ...runLines(result), `repeat: npm run sim -- --from ${result.scenario.seed} --seeds 1${planted}`, "", `shrunk to ${sizeOf(small.scenario)} of ${sizeOf(result.scenario)} parts:`, ...runLines(small),
    `repeat: npm run sim -- --scenario '${JSON.stringify(small.scenario)}'${planted}`
  ]
}

/** Without traces of calls, which cost more than a run: a failing one can be run again with them. */
const withoutStacks = <A>(run: () => A): A => {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return run()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** Runs the seeds from `from` on; `onFailure` hears of each run that broke a rule, `onRun` of every one. */
export const runCampaign = (from: number, seeds: number, onFailure: (result: WorldResult) => void, onRun: (done: number) => void = () => {}, { run, scenarioOf: scenario } = plainSimulation): CampaignSummary => {
  const summary = { passed: 0, failed: 0, commits: 0, fenced: 0, kills: 0, zombies: 0, inPart: 0, telling: 0 }
  for (let seed = from; seed < from + seeds; seed++) {
    const result = withoutStacks(() => run(scenario(seed)))
    const { commits, fenced, kills, pauses, inPart, calmestCommits } = result.stats
    summary.commits += commits
    summary.fenced += fenced
    summary.kills += kills
    summary.zombies += pauses
    summary.inPart += inPart
    if (fenced > 0 && calmestCommits >= 3) summary.telling += 1
    if (result.violations.length === 0) summary.passed += 1
    else {
      summary.failed += 1
      onFailure(run(scenario(seed)))
    }
    onRun(seed - from + 1)
  }
  return summary
}

/** The first run among the seeds that the bug breaks, or undefined when none does. */
export const catchBug = (bug: PlantedBug, from: number, seeds: number, { run, scenarioOf: scenario } = plainSimulation): WorldResult | undefined => {
  for (let seed = from; seed < from + seeds; seed++) {
    const result = withoutStacks(() => run(scenario(seed), bug))
    if (result.violations.length > 0) return result
  }
  return undefined
}
