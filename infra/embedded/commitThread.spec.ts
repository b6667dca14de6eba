import { describe, expect, it } from "vitest"
import { commitInThread } from "./commitThread.ts"
import { packBlock } from "./logBlock.ts"
import type { Committed } from "./logCommit.ts"

/** A thread that says how many groups it got before it dies of the second one. */
const dyingThread = new URL(`data:text/javascript,${encodeURIComponent(`
  import { parentPort } from "node:worker_threads"
  let groups = 0
  parentPort.on("message", (message) => {
    if (message === "close") return parentPort.close()
    if (++groups === 2) throw new Error("the disk is gone")
    parentPort.postMessage({ kind: "stored", firsts: [BigInt(groups)] })
  })
`)}`)

describe("a thread that writes the log", () => {
  it("leaves the outcome of its group unknown when it dies, and the next group starts another", async () => {
    const { commit, close } = commitInThread(dyingThread, "/nowhere")
    const commitOne = () => new Promise<Committed>((resolve) => commit([{ partition: 0, block: packBlock([new Uint8Array(3)]) }], resolve))
    const outcomes: Committed[] = []
    for (let i = 0; i < 3; i++) outcomes.push(await commitOne())
    expect(outcomes).toEqual([
      { kind: "stored", firsts: [1n] },
      { kind: "unknown", reason: "the thread that writes the log ended: Error: the disk is gone" },
      { kind: "stored", firsts: [1n] }
    ])
    await close()
  })
})
