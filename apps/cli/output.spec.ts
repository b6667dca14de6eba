import { describe, expect, it } from "vitest"
import { plain, table } from "./output.ts"

describe("what the command line prints", () => {
  it("escapes control and direction characters of events, and aligns columns", () => {
    expect(plain("a\u001b[31mb\u202ec\td")).toBe("a\\u001b[31mb\\u202ec\td")
    expect(table(["A", "BB"], [["long", "x"], ["", "y"]])).toBe("A     BB\nlong  x\n      y")
  })
})
