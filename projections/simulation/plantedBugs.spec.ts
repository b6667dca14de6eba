import { DuplicateTable } from "@tidemark/domain/events/duplicateTable"
import { PartitionState } from "@tidemark/domain/events/partitionState"
import { DecimalSum } from "@tidemark/domain/measures/decimal-sum"
import { describe, expect, it } from "vitest"
import { DeltaTable } from "../runtime/deltas.ts"
import { bugLines, catchBug } from "./campaign.ts"
import { plantedBugs } from "./plantedBugs.ts"
import { runWorld } from "./runWorld.ts"

/** Within so many seeds every bug has to be caught. */
const SEEDS_MAX = 200

/** How each bug shows itself first, so that none is caught by accident. */
const SYMPTOMS: Readonly<Record<string, RegExp>> = {
  "no-epoch-fence": /went back|was written and nothing of it has changed|owned at|has revision/,
  "deltas-reapplied": /was written and nothing of it has changed/,
  "checkpoint-outside": /was written and nothing of it has changed/,
  "dedupe-off": /duplicate=|was written and nothing of it has changed/,
  "early-ack": /acknowledged and not in the log/,
  "reset-to-latest": /halted with LOG_DIVERGED|did not halt|checkpoint of partition|stands at/,
  "wall-clock-lateness": /late=|the late ledger was given/,
  "float-sums": /sim-money.* row/,
  "deltas-dropped": /CONSERVATION/,
  "cache-kept": /has revision|row/,
  "double-roll-up": /row 1:/,
  "backfill-moves-m": /checkpoint of partition|late/
}

describe("a planted bug", () => {
  for (const bug of plantedBugs) {
    it(`${bug.name} is caught within ${SEEDS_MAX} seeds`, () => {
      const result = catchBug(bug, 1, SEEDS_MAX)
      expect(result?.violations[0]).toMatch(SYMPTOMS[bug.name] ?? /^$/)
    })
  }

  it("leaves nothing behind", () => {
    const methods = () => [
      Reflect.get(DuplicateTable.prototype, "has"), Reflect.get(PartitionState.prototype, "observe"),
      Reflect.get(DecimalSum.prototype, "addScaled"), Reflect.get(DeltaTable.prototype, "windows")
    ]
    const before = methods()
    for (const bug of plantedBugs) runWorld(1, bug)
    expect(methods()).toEqual(before)
    expect(runWorld(1).violations).toEqual([])
  })

  it("is listed by name, with those that have to wait", () => {
    expect(bugLines()).toHaveLength(15)
    expect(bugLines().filter((line) => line.includes("not yet"))).toHaveLength(3)
  })
})
