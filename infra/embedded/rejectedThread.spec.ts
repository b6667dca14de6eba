import { setEnvironmentData } from "node:worker_threads"
import { describe, expect, it } from "vitest"
import { REJECTED_LIMITS } from "@tidemark/domain/ports/rejectedLimits"
import type { RejectedEvent } from "@tidemark/domain/ports/RejectedLog"
import { putInThread } from "./rejectedThread.ts"

const GATE = "tidemark:specification-gate"

/** A thread that stands still inside its first commit until it is let go, says how many puts each commit had, and dies of a third one. */
const slowThread = new URL(`data:text/javascript,${encodeURIComponent(`
  import { getEnvironmentData, parentPort } from "node:worker_threads"
  const gate = new Int32Array(getEnvironmentData("${GATE}"))
  let commits = 0
  parentPort.on("message", (message) => {
    if (message === "close") return parentPort.close()
    Atomics.wait(gate, 0, 0)
    if (++commits === 3) throw new Error("the disk is gone")
    parentPort.postMessage({ outcomes: message.map(() => ({ kind: "failed", reason: "one of " + message.length })) })
  })
`)}`)

/** A thread whose disk does not sync. */
const unsyncedThread = new URL(`data:text/javascript,${encodeURIComponent(`
  import { parentPort } from "node:worker_threads"
  parentPort.on("message", (message) => (message === "close" ? parentPort.close() : parentPort.postMessage({ unsynced: "EIO" })))
`)}`)

const entry: RejectedEvent = { tenantId: "acme", entryId: "a", receivedAtMs: 1, eventId: null, eventType: null, code: "C", pointer: "", detail: "", origin: null, body: "" }

describe("a thread that writes rejected events", () => {
  it("leaves the caller free during a commit, and takes what waited meanwhile for the next one", async () => {
    const gate = new Int32Array(new SharedArrayBuffer(4))
    setEnvironmentData(GATE, gate.buffer)
    const { put, close } = putInThread(slowThread, { directory: "/nowhere", limits: REJECTED_LIMITS })
    const puts = [1, 2, 3, 4].map(() => put([entry]))
    // Reached while the first commit stands still: were it made in this thread, nobody could let it go.
    Atomics.store(gate, 0, 1)
    Atomics.notify(gate, 0)
    expect((await Promise.all(puts)).map((outcome) => outcome.kind === "failed" && outcome.reason)).toEqual(["one of 1", "one of 3", "one of 3", "one of 3"])
    expect(await put([entry])).toEqual({ kind: "failed", reason: "the thread that writes rejected events ended: Error: the disk is gone" })
    expect(await put([entry])).toEqual({ kind: "failed", reason: "one of 1" })
    await close()
  })

  it("tells of a disk that did not sync before anyone hears of the put", async () => {
    const told: string[] = []
    const { put, close } = putInThread(unsyncedThread, { directory: "/nowhere", limits: REJECTED_LIMITS, onUnsynced: (reason) => told.push(reason) })
    expect(await put([entry]).then((outcome) => [outcome, ...told])).toEqual([{ kind: "failed", reason: "EIO" }, "EIO"])
    await close()
  })
})
