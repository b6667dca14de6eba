import { describe, expect, it } from "vitest"
import { AFTER_KEY, checkpointTopic, checkpointVersion, hintKey, modelTopic, pointerTopic, readHintKey } from "./hintTopic.ts"

describe("hint topics", () => {
  it("keep a tenant and projection apart from every other pair with the same text", () => {
    expect(modelTopic("a:b", "c")).not.toBe(modelTopic("a", "b:c"))
  })

  it("keep checkpoints and pointers apart from the hints of any tenant and from each other", () => {
    expect(new Set([checkpointTopic("1:a:b"), pointerTopic("1:a:b"), modelTopic("a", "b")]).size).toBe(3)
  })

  it("read back the window a hint's key names, also before 1970", () => {
    expect(readHintKey(hintKey({ resolution: 2, windowStartMs: -86_400_000, keyId: "00ff" }))).toEqual({ resolution: 2, windowStartMs: -86_400_000 })
  })

  it("take no other text for a hint's key", () => {
    for (const key of ["", "3:0:aa", "0:x:aa", "page-views", AFTER_KEY]) expect(readHintKey(key)).toBeUndefined()
  })

  it("give a checkpoint a version that is the sum of its next offsets, beyond 2^53 too", () => {
    expect(checkpointVersion([{ nextOffset: 9_007_199_254_740_993n }, { nextOffset: 2n }])).toBe("9007199254740995")
  })
})
