import { describe, expect, it } from "vitest"
import { commitFault } from "./commitFault.ts"

const MIB = 1_048_576
const failure = (code: number | undefined, message: string) => Object.assign(new Error(message), code === undefined ? {} : { code })
/** As LMDB words it. */
const place = ": Attempting to write page at position 81920, size 12288, blocks 1, buffer sizes 12288 4096 755097473"
const judge = (error: Error, roomBytes: number, written = true) => commitFault(error, { written, bytes: 4 * MIB, roomBytes: () => roomBytes })
const ample = 100 * MIB

describe("the failure of a commit", () => {
  it.each([["No space left on device", 28], ["File too large", 27], ["Disk quota exceeded", 122]] as const)("%s at a write stores nothing, and goes on once there is room", (message, code) => {
    expect(judge(failure(code, message + place), ample)).toEqual({ kind: "rejected", reason: message + place, full: true })
  })

  it("is the disk's at a sync, whatever the code", () => {
    expect(judge(failure(5, "Input/output error"), ample)).toEqual({ kind: "unsynced", reason: "Input/output error" })
    expect(judge(failure(28, "No space left on device"), ample)).toEqual({ kind: "unsynced", reason: "No space left on device" })
  })

  it("is the disk's at a write that the device refuses, with room or without", () => {
    expect(judge(failure(5, "Input/output error" + place), ample).kind).toBe("unsynced")
    expect(judge(failure(5, "Input/output error" + place), 0).kind).toBe("unsynced")
  })

  it("is want of room where a write was cut short: no place is named and there is less room than the group needs", () => {
    expect(judge(failure(5, "Input/output error"), 4 * MIB)).toEqual({ kind: "rejected", reason: "No space left on device: a write was cut short", full: true })
    expect(judge(failure(28, "No space left on device"), 0)).toMatchObject({ kind: "rejected", full: true })
  })

  it("stores nothing when it comes before the commit, and is the disk's when nobody knows it", () => {
    expect(judge(failure(undefined, "the last block of partition 1, at offset 7, is damaged"), ample, false)).toMatchObject({ kind: "rejected", full: false })
    expect(judge(failure(-30_792, "MDB_MAP_FULL"), ample)).toMatchObject({ kind: "rejected", full: false })
    expect(judge(failure(-30_795, "MDB_PANIC"), ample).kind).toBe("unsynced")
    expect(judge(failure(5, "Input/output error"), ample, false).kind).toBe("unsynced")
  })
})
