import { describe, expect, it } from "vitest"
import { checksOf } from "./checkThread.ts"
import type { FromCheck } from "./checkThread.ts"

/** Says that it was asked to stop before it ends, as a thread ended from outside cannot. */
const entry = new URL(`data:text/javascript,${encodeURIComponent(`
  import { parentPort } from "node:worker_threads"
  parentPort.once("message", (message) => {
    parentPort.postMessage({ kind: "progress", line: message })
    parentPort.close()
  })
`)}`)

describe("a checking thread", () => {
  it("is asked to end and has ended by itself when that is answered", async () => {
    const told: (FromCheck | string | undefined)[] = []
    const end = checksOf(entry, {})({ kind: "audit", seed: 1 }, { message: (message) => void told.push(message), exit: (cause) => void told.push(cause) })
    await end()
    expect(told).toEqual([{ kind: "progress", line: "stop" }, undefined])
  })
})
