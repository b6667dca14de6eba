import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describe, expect, it } from "vitest"
import { indexingInThread } from "./indexingThread.ts"

const threadOf = (code: string): URL => new URL(`data:text/javascript,${encodeURIComponent(`import { parentPort, workerData } from "node:worker_threads"\n${code}`)}`)

describe("event indexing in a thread", () => {
  it("hands on what the thread tells, and ends it when it is interrupted", async () => {
    const ended = new Int32Array(new SharedArrayBuffer(4))
    const entry = threadOf(`
      const { settings: { ended, name }, options } = workerData
      parentPort.postMessage({ kind: "status", status: { halt: undefined, indexed: new Map(options.partitions.map((partition) => [partition, 7n])), refused: 2 } })
      parentPort.postMessage({ kind: "retrying", cause: name })
      parentPort.postMessage({ kind: "halted", code: "LOG_GAP", detail: "gone" })
      setInterval(() => Atomics.add(ended, 0, 1), 1)`)
    const told: string[] = []
    const indexer = indexingInThread(entry, { ended, name: "slow" }).indexer({
      partitions: [1, 3], retrying: (cause) => told.push(cause), halted: ({ _tag, code, detail }) => told.push(`${_tag} ${code} ${detail}`)
    })
    expect(indexer.status()).toEqual({ halt: undefined, indexed: new Map(), refused: 0 })
    const fiber = Effect.runFork(indexer.run)
    await expect.poll(() => told, { timeout: 20_000 }).toEqual(["slow", "EventIndexHaltedError LOG_GAP gone"])
    expect(indexer.status()).toEqual({ halt: undefined, indexed: new Map([[1, 7n], [3, 7n]]), refused: 2 })
    await expect.poll(() => ended[0], { timeout: 20_000 }).toBeGreaterThan(0)
    await Effect.runPromise(Fiber.interrupt(fiber))
    const turns = ended[0]
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(ended[0]).toBe(turns)
  })

  it("starts a thread that died again, and says why it died", async () => {
    const told: string[] = []
    const indexer = indexingInThread(threadOf('throw new Error("the engine is away")'), {}).indexer({ retrying: (cause) => told.push(cause) })
    const fiber = Effect.runFork(indexer.run)
    await expect.poll(() => told.length, { timeout: 20_000 }).toBe(2)
    await Effect.runPromise(Fiber.interrupt(fiber))
    for (const cause of told) expect(cause).toBe("the thread of the event index ended: the engine is away")
  })
})
