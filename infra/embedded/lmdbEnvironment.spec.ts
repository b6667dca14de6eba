import { tmpdir } from "node:os"
import { describe, expect, it } from "vitest"
import { tellingUnsynced } from "./lmdbEnvironment.ts"
import type { Transact } from "./lmdbEnvironment.ts"

/** Fails like LMDB does, or runs the action. */
const transact = (error: Error | undefined): { readonly told: string[]; readonly run: Transact } => {
  const told: string[] = []
  const transactionSync: Transact = (action) => {
    const done = action()
    if (error !== undefined) throw error
    return done
  }
  return { told, run: tellingUnsynced(transactionSync, { directory: tmpdir(), onUnsynced: (reason) => void told.push(reason) }) }
}

describe("a transaction of a small store", () => {
  it("tells of a disk that did not sync it before its caller hears of it", () => {
    const { told, run } = transact(Object.assign(new Error("Input/output error"), { code: 5 }))
    expect(() => run(() => 1)).toThrow("Input/output error")
    expect(told).toEqual(["Input/output error"])
  })

  it("tells of nothing when the action itself fails, there is no room, or all went well", () => {
    const failing = transact(undefined)
    expect(() => failing.run(() => { throw new Error("wrong revision") })).toThrow("wrong revision")
    const full = transact(Object.assign(new Error("No space left on device: Attempting to write page at position 4096"), { code: 28 }))
    expect(() => full.run(() => 1)).toThrow("No space")
    expect(transact(undefined).run(() => 7)).toBe(7)
    expect([failing.told, full.told]).toEqual([[], []])
  })
})
