import { DuplicateTable } from "@tidemark/domain/events/duplicateTable"
import { PartitionState } from "@tidemark/domain/events/partitionState"
import { DecimalSum } from "@tidemark/domain/measures/decimal-sum"
import { describe, expect, it } from "vitest"
import { DeltaTable } from "../runtime/deltas.ts"
import { catchBug, findBug } from "./campaign.ts"
import { plantedBugs } from "./plantedBugs.ts"
import type { PlantedBug } from "./plantedBugs.ts"
import { runScenario, runWorld } from "./runWorld.ts"
import { NO_FAULTS, scenarioOf } from "./scenario.ts"
import type { WorldResult } from "./worldResult.ts"

/** Within so many seeds every bug has to be caught. */
const SEEDS_MAX = 200
const TIMEOUT_MS = 400_000

/** `stored` and `expected` of a finding that compares the two. */
const sidesOf = (finding: string): readonly [stored: string, expected: string] => {
  const [, stored = "", expected = ""] = /\n {4}stored {3}(.*)\n {4}expected (.*)$/.exec(finding) ?? []
  return [stored, expected]
}

/** M by tenant, as the text of a checkpoint has it; what is no number is NaN. */
const clocksOf = (checkpoint: string): ReadonlyMap<string, number> => {
  const [text = "[]"] = /\[(\[.*?\](,|(?=\])))*\]/.exec(checkpoint) ?? []
  return new Map((JSON.parse(text) as readonly (readonly [string, unknown])[]).map(([tenant, ms]) => [tenant, typeof ms === "number" ? ms : Number.NaN]))
}

const counterOf = (checkpoint: string, name: string): number => Number(new RegExp(`\\b${name}=(\\d+)`).exec(checkpoint)?.[1])

/** Parts of a row's text that are not equal, by place. */
const changedParts = (finding: string): readonly number[] => {
  const [stored = [], expected = []] = sidesOf(finding).map((text) => text.split(" "))
  return stored.flatMap((part, at) => (part === expected[at] ? [] : [at]))
}

const isOfPartition = /^sim-\w+\/1\/\d, checkpoint of partition \d+\n/

/** Some tenant's M is later than it may be, none is earlier, and each is an instant. */
const hasLaterClock = (finding: string): boolean => {
  const [stored, expected] = sidesOf(finding).map(clocksOf)
  if (stored === undefined || expected === undefined || !isOfPartition.test(finding)) return false
  const ahead = [...stored].map(([tenant, ms]) => ms - (expected.get(tenant) ?? 0))
  return ahead.length > 0 && ahead.every((ms) => ms >= 0) && ahead.some((ms) => ms > 0)
}

const RECEIVED_AT = 2

/** R is earlier than it may be. */
const hasEarlierReceiveTime = (finding: string): boolean => {
  const [stored = 0, expected = 0] = sidesOf(finding).map((text) => Number(text.split(" ")[RECEIVED_AT]))
  return isOfPartition.test(finding) && stored < expected
}

const LAST_RECORD_AT = 1

/** The checkpoint names another last record than the log holds there. */
const hasOtherLastRecord = (finding: string): boolean => {
  const [stored, expected] = sidesOf(finding).map((text) => text.split(" ")[LAST_RECORD_AT])
  return isOfPartition.test(finding) && stored !== expected
}

/** Parts of a row's text that hold its events, its fingerprint, and all its measures. */
const [EVENTS_AT, FINGERPRINT_AT, MEASURES_AT] = [5, 8, 10]
/** The sum is the first measure of the simulated orders: they are sorted by name. */
const SUM_AT = 0

/** Nothing but the sum differs. */
const hasRoundedSum = (finding: string): boolean => {
  if (!/^sim-money\/1\/\d, row /.test(finding) || changedParts(finding).join() !== String(MEASURES_AT)) return false
  const [stored = [], expected = []] = sidesOf(finding).map((text) => text.split(" ")[MEASURES_AT]?.split(","))
  return stored[SUM_AT] !== expected[SUM_AT] && stored.every((measure, at) => at === SUM_AT || measure === expected[at])
}

const hasDoubledHour = (finding: string): boolean => {
  if (!/^sim-\w+\/1\/\d, row 1:/.test(finding) || changedParts(finding).join() !== `${EVENTS_AT},${FINGERPRINT_AT}`) return false
  const [stored = 0, expected = 0] = sidesOf(finding).map((text) => Number(text.split(" ")[EVENTS_AT]))
  return stored > expected && stored <= 2 * expected
}

const writesTwice = /^sim-\w+\/1\/\d: (row \S+ was written and nothing of it has changed|the (late|duplicate|dead letter) ledger was given \d+:\d+, where nothing has changed)$/
/** In the name of an owner that took the lane over in the store and has not been told so yet. */
const isAnothers = /^sim-\w+\/1\/\d: committed at epoch \d+, owned at \d+$/
const movesBack = /^sim-\w+\/1\/\d: partition \d+ went back from \d+ to \d+$/

/** A duplicate counts as an event: its ledger or counter is one short, or a row has what it may not have. */
const missesDuplicate = (finding: string): boolean => {
  const [stored, expected] = sidesOf(finding)
  if (isOfPartition.test(finding)) return counterOf(stored, "duplicate") < counterOf(expected, "duplicate") && counterOf(stored, "events") === counterOf(expected, "events")
  return /^sim-\w+\/1\/\d: row \S+ was written and nothing of it has changed$/.test(finding)
}

/** Part of a late entry's text that says by how much it is late. */
const LATE_BY_AT = 6

/** An event in time stands in the late ledger, or a late one is said to be later than it is. */
const hasFalseLate = (finding: string): boolean => {
  if (/^sim-\w+\/1\/\d: the late ledger was given \d+:\d+, where nothing has changed$/.test(finding)) return true
  const [stored = 0, expected = 0] = sidesOf(finding).map((text) => Number(text.split(" ")[LATE_BY_AT]))
  return /^sim-\w+\/1\/\d, late /.test(finding) && changedParts(finding).join() === String(LATE_BY_AT) && stored > expected
}

/** How each bug shows itself first, so that none is caught by accident. */
const SYMPTOMS: Readonly<Record<string, (finding: string) => boolean>> = {
  "no-epoch-fence": (finding) => writesTwice.test(finding) || movesBack.test(finding) || isAnothers.test(finding),
  "deltas-reapplied": (finding) => writesTwice.test(finding),
  "checkpoint-outside": (finding) => writesTwice.test(finding),
  "dedupe-off": missesDuplicate,
  "early-ack": (finding) => /^acknowledged and not in the log: \d+ \{"specversion":"1\.0","id":"/.test(finding),
  "reset-to-latest": (finding) => /^sim-\w+\/\d( halted with LOG_DIVERGED: partition \d+: the record at \d+ has hash none, folded was [0-9a-f]{32}| did not halt although the log is damaged)$/.test(finding),
  "wall-clock-lateness": hasFalseLate,
  "float-sums": hasRoundedSum,
  "deltas-dropped": (finding) => /^sim-\w+\/\d halted with CONSERVATION: \d+ events folded, \d+ in the rows of this flush$/.test(finding),
  "cache-kept": (finding) => /^sim-\w+\/1\/\d: row \S+ has revision \d+ after \d+$/.test(finding),
  "double-roll-up": hasDoubledHour,
  "backfill-moves-m": hasLaterClock,
  "clock-of-last-record": hasEarlierReceiveTime,
  "cut-record": (finding) => hasOtherLastRecord(finding) || /^sim-\w+\/1\/\d: the dead letter ledger was given \d+:\d+, where nothing has changed$/.test(finding),
  "rows-not-counted": (finding) => /^lane \d: \d+ base rows were held, at most \d+ may be$/.test(finding),
  "identity-trusted": (finding) => /^sim-\w+\/\d( halted with LOG_DIVERGED: partition \d+: (checkpoint at \d+, the log ends at \d+|the record at \d+ has hash .*)| did not halt although the log is damaged)$/.test(finding)
}

/** Bugs that name the lane or partition in which they made a difference: the finding must be there. */
const PLACED = new Set(["no-epoch-fence", "deltas-reapplied", "checkpoint-outside", "reset-to-latest", "cache-kept", "double-roll-up", "backfill-moves-m", "clock-of-last-record"])

const expectCaught = (bug: PlantedBug, { violations: [finding = ""], effects }: WorldResult): void => {
  expect(finding).toSatisfy(SYMPTOMS[bug.name] ?? (() => false))
  expect(effects.length, "differences the plant made").toBeGreaterThan(0)
  if (PLACED.has(bug.name) && !finding.includes("did not halt")) expect(effects).toSatisfy((places: readonly string[]) => places.some((place) => finding.includes(place)), finding)
}

describe("a planted bug", () => {
  for (const bug of plantedBugs) {
    it(`${bug.name} is caught within ${SEEDS_MAX} seeds`, () => {
      const result = catchBug(bug, 1, SEEDS_MAX)
      if (result === undefined) expect.fail("no seed catches it")
      expectCaught(bug, result)
    })
  }

  it("breaks nothing in a run in which it makes no difference", () => {
    const silent = plantedBugs.flatMap((bug) => [1, 2, 3].map((seed) => ({ name: bug.name, ...runWorld(seed, bug) }))).filter(({ effects }) => effects.length === 0)
    expect(silent.length).toBeGreaterThan(0)
    for (const { name, scenario, violations } of silent) expect(violations, `${name}, seed ${scenario.seed}`).toEqual([])
  }, TIMEOUT_MS)

  it("clock-of-last-record breaks a run without faults where the clocks of ingest are apart, and none where they agree", () => {
    const bug = findBug("clock-of-last-record")
    let caught = 0
    for (let seed = 1; seed <= 16; seed++) {
      const calm = { ...scenarioOf(seed), odds: NO_FAULTS, deeds: [], damage: "none" as const, ingests: 3 }
      expect(runScenario({ ...calm, skewMsMax: 0 }, bug), `seed ${seed}`).toMatchObject({ effects: [], violations: [] })
      if (runScenario({ ...calm, skewMsMax: 5_000 }, bug).violations.some(hasEarlierReceiveTime)) caught += 1
    }
    expect(caught).toBeGreaterThanOrEqual(8)
  })

  it("leaves nothing behind", () => {
    const methods = () => [
      Reflect.get(DuplicateTable.prototype, "has"), Reflect.get(PartitionState.prototype, "observe"),
      Reflect.get(DecimalSum.prototype, "addScaled"), Reflect.get(DeltaTable.prototype, "windows")
    ]
    const before = methods()
    for (const bug of plantedBugs) runWorld(1, bug)
    expect(methods()).toEqual(before)
    expect(runWorld(1)).toMatchObject({ violations: [], effects: [] })
  })
})
