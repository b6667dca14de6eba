import { describe, expect, it } from "vitest"
import { isElsewhere, lookAgainMs } from "./rebuildJournal.ts"

const NOW_MS = 1_000_000
const claimed = (executor: string, leftMs: number) => ({ claim: { executor, untilMs: NOW_MS + leftMs } })

describe("an executor among others", () => {
  it("leaves alone what another one has claimed, until that one's time runs out", () => {
    expect([claimed("other", 1), claimed("other", 0), claimed("own", 1), { claim: null }].map((one) => isElsewhere(one, "own", NOW_MS))).toEqual([true, false, false, false])
  })

  it("looks again every 20 s without news", () => {
    expect(lookAgainMs([], "own", NOW_MS)).toBe(20_000)
    expect(lookAgainMs([{ claim: null }, claimed("other", 29_000), claimed("own", 1), claimed("other", 0), claimed("other", -5)], "own", NOW_MS)).toBe(20_000)
  })

  it("looks again when the first of the others' claims runs out", () => {
    expect(lookAgainMs([claimed("other", 9_000), claimed("third", 4_000), claimed("other", 12_000)], "own", NOW_MS)).toBe(4_000)
  })
})
