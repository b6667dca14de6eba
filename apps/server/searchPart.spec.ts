import { describe, expect, it } from "vitest"
import { searchPart } from "./projectors.ts"

const NOW_MS = 1_000_000
const status = { halt: undefined, refused: new Map<string, number>(), documents: 7, retry: { cause: "no room", atMs: NOW_MS - 5_000 } }

describe("search documents in /readyz", () => {
  it("are not ready once they wait for more than a minute and are still tried in vain, with the cause", () => {
    expect(searchPart(status, 60_000, NOW_MS)).toEqual({ name: "search documents", ready: true, detail: "7 put" })
    expect(searchPart(status, 61_000, NOW_MS)).toEqual({ name: "search documents", ready: false, detail: "7 put, the oldest commit has waited for 61 s: no room" })
  })

  it("are ready during a long copy that goes on, and where some were refused, and say so", () => {
    expect(searchPart({ ...status, retry: undefined }, 900_000, NOW_MS).ready).toBe(true)
    expect(searchPart({ ...status, retry: { cause: "busy", atMs: NOW_MS - 31_000 } }, 900_000, NOW_MS).ready).toBe(true)
    expect(searchPart({ ...status, refused: new Map([["p/1", 3]]) }, 0, NOW_MS)).toMatchObject({ ready: true, detail: "7 put, 3 documents of p/1 were refused" })
  })

  it("are not ready while publishing is halted", () => {
    expect(searchPart({ ...status, halt: { code: "REV_CONFLICT", detail: "two contents" } }, 0, NOW_MS)).toMatchObject({ ready: false, detail: "HALTED REV_CONFLICT: two contents" })
  })
})
