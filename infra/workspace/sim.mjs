/**
 * `npm run sim -- --seeds N [--from S] [--bug NAME]`: runs of the simulation, after preparing the workspace.
 * `npm run sim -- --scenario JSON [--bug NAME]`: one run, as a failure printed it.
 * `--world rebuilds`: with rebuilds, cut-overs and rollbacks going on; `--world search`: with a window index;
 * `--world ingest`: with the command that accepts events in every ingest process.
 *
 * With a planted bug it ends well when the bug was caught. Closing line `N passed, N failed`.
 */
import { nodeTooOld, prepare } from "./prepare.mjs"

const USAGE = "usage: npm run sim -- --seeds N [--from S] [--world rebuilds|search|ingest] [--bug NAME | --bug list]\n       npm run sim -- --scenario JSON [--world rebuilds|search|ingest] [--bug NAME]"
const WORLDS = ["plain", "rebuilds", "search", "ingest"]

const fail = (text, code) => {
  process.stderr.write(text + "\n")
  process.exit(code)
}

const readOptions = (words) => {
  const options = { seeds: 100, from: 1, bug: undefined, scenario: undefined, world: undefined }
  for (let at = 0; at < words.length; at += 2) {
    const [flag, value] = [words[at], words[at + 1]]
    if (value === undefined) fail(`${flag} needs a value\n${USAGE}`, 2)
    if (flag === "--bug") options.bug = value
    else if (flag === "--scenario") options.scenario = value
    else if (flag === "--world") {
      if (!WORLDS.includes(value)) fail(`--world: there are ${WORLDS.join(", ")}\n${USAGE}`, 2)
      options.world = value
    }
    else if (flag === "--seeds" || flag === "--from") {
      if (!/^\d{1,9}$/.test(value) || (flag === "--seeds" && value === "0")) fail(`${flag}: ${value} is no number of seeds\n${USAGE}`, 2)
      options[flag.slice(2)] = Number(value)
    } else fail(`unknown option ${flag}\n${USAGE}`, 2)
  }
  return options
}

const { seeds, from, bug, scenario, world } = readOptions(process.argv.slice(2))
const old = nodeTooOld()
if (old !== undefined) fail(old, 1)
await prepare((text) => process.stderr.write(`== ${text}\n`)).catch((error) => fail(error.message, 1))
const { catchBug, failureLines, plainSimulation, runCampaign } = await import("@tidemark/projections/simulation/campaign")
const { parseScenario } = await import("@tidemark/projections/simulation/scenario")

const { plantedBugs } = await import("@tidemark/projections/simulation/plantedBugs")
const { searchBugs } = await import("@tidemark/projections/simulation/searchBugs")
const { searchSimulation } = await import("@tidemark/projections/simulation/searchWorld")
const { ingestBugs } = await import("@tidemark/server/simulation/ingestBugs")
const { ingestSimulation } = await import("@tidemark/server/simulation/ingestWorld")
const { rebuildBugs } = await import("@tidemark/server/simulation/rebuildBugs")
const { rebuildSimulation } = await import("@tidemark/server/simulation/rebuildWorld")

/** Each world with the bugs that show themselves in it. */
const worlds = {
  plain: { simulation: plainSimulation, bugs: plantedBugs },
  rebuilds: { simulation: rebuildSimulation, bugs: rebuildBugs },
  search: { simulation: searchSimulation, bugs: searchBugs },
  ingest: { simulation: ingestSimulation, bugs: ingestBugs }
}
const planted = Object.values(worlds).flatMap(({ bugs }) => bugs).find(({ name }) => name === bug)
const home = Object.keys(worlds).find((name) => worlds[name].bugs.includes(planted))
const { simulation } = worlds[world ?? home ?? "plain"]

const say = (lines) => process.stdout.write(lines.join("\n") + "\n")

const runOne = (text) => {
  let given
  try {
    given = parseScenario(text)
  } catch (error) {
    fail(`--scenario: ${error.message}`, 2)
  }
  const { violations, traceHash, tail } = simulation.run(given, planted)
  say([`trace-sha1 ${traceHash}`, ...violations.map((violation) => `  ${violation}`), ...tail.map((line) => `  | ${line}`), violations.length === 0 ? "1 passed, 0 failed" : "0 passed, 1 failed"])
  process.exitCode = violations.length === 0 ? 0 : 1
}

if (bug !== undefined && bug !== "list" && planted === undefined) fail(`no bug is named ${bug}; --bug list names them`, 2)
if (scenario !== undefined) {
  runOne(scenario)
} else if (bug === "list") {
  say(Object.entries(worlds).flatMap(([name, { bugs }]) => bugs.map((one) => (name === "plain" ? one.name : `${one.name} (--world ${name})`))))
} else if (planted !== undefined) {
  const result = catchBug(planted, from, seeds, simulation)
  if (result === undefined) say([`${bug} was not caught by the seeds ${from} to ${from + seeds - 1}`, "0 passed, 1 failed"])
  else say([`${bug} was caught:`, ...failureLines(result, planted, simulation), "1 passed, 0 failed"])
  process.exitCode = result === undefined ? 1 : 0
} else {
  const onRun = (done) => {
    if (done % 500 === 0) process.stderr.write(`== ${done} of ${seeds} seeds\n`)
  }
  const summary = runCampaign(from, seeds, (result) => say(failureLines(result, undefined, simulation)), onRun, simulation)
  const { passed, failed, commits, fenced, kills, zombies, telling } = summary
  say([`${commits} commits checked, ${fenced} fenced, ${kills} kills, ${zombies} zombies; ${telling} of ${seeds} seeds had a fenced commit and three commits between kills`, `${passed} passed, ${failed} failed`])
  process.exitCode = failed === 0 ? 0 : 1
}
