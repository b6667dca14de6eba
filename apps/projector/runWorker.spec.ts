import { MessageChannel } from "node:worker_threads"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { createMemoryLogDisk, memoryEventLog } from "@tidemark/projections/simulation/memoryEventLog"
import { createMemoryIndexDisk, memoryPartitionIndex } from "@tidemark/projections/simulation/memoryPartitionIndex"
import { createMemoryModelDisk, memoryReadModelStore } from "@tidemark/projections/simulation/memoryReadModelStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { describe, expect, it } from "vitest"
import type { FromWorker } from "./messages.ts"
import { runWorker } from "./runWorker.ts"

class EngineUnreachableError extends Error {
  override readonly name = "EngineUnreachableError"
}

const memory = () =>
  Layer.mergeAll(
    memoryEventLog(createMemoryLogDisk(), { logId: "l", partitions: 1, lanes: 1, createdAtMs: 0 }),
    memoryReadModelStore(createMemoryModelDisk()),
    memoryPartitionIndex(createMemoryIndexDisk())
  )

/** Runs a worker whose engines cannot be opened the first `failures` times; stops it once it has opened them. */
const run = async (failures: number, error: Error): Promise<{ readonly told: readonly FromWorker[]; readonly outcome: string }> => {
  const { port1, port2 } = new MessageChannel()
  const told: FromWorker[] = []
  port2.on("message", (message: FromWorker) => told.push(message))
  let opened = 0
  const away = Layer.effect(EventLog, Effect.suspend(() => {
    opened += 1
    if (opened <= failures) return Effect.fail(error)
    port2.postMessage({ kind: "stop" })
    return Effect.gen(function* () { return yield* EventLog })
  }))
  const engines = () => away.pipe(Layer.provideMerge(memory()))
  const outcome = await runWorker(port1, [0], engines).then(() => "ended", (reason: unknown) => String(reason))
  port1.close()
  return { told, outcome }
}

describe("a projector thread", () => {
  it("waits for an engine that is away when it starts, says so each time, and goes on", async () => {
    const { told, outcome } = await run(2, new EngineUnreachableError("no broker"))
    expect(outcome).toBe("ended")
    expect(told.filter(({ kind }) => kind === "retrying")).toEqual([
      { kind: "retrying", failure: { lane: 0, cause: "no broker", retryInMs: 200 } },
      { kind: "retrying", failure: { lane: 0, cause: "no broker", retryInMs: 400 } }
    ])
  })

  it("dies of everything else", async () => {
    const { outcome } = await run(1, new Error("the disk is full"))
    expect(outcome).toMatch(/the disk is full/)
  })
})
