import { defineProjection } from "@tidemark/domain/definitions/definition"
import { encodeEvent } from "@tidemark/domain/events/envelope"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { TestClock } from "effect/testing"
import { describe, expect, it } from "vitest"
import { createMemoryLogDisk, memoryEventLog } from "../simulation/memoryEventLog.ts"
import { createMemoryIndexDisk, memoryPartitionIndex } from "../simulation/memoryPartitionIndex.ts"
import { createMemoryModelDisk, memoryReadModelStore } from "../simulation/memoryReadModelStore.ts"
import { ensureGenerations } from "./ensureGenerations.ts"
import { runLanes } from "./runLanes.ts"

const T0 = 1_700_000_040_000
const clicks = defineProjection({ name: "clicks", version: 1, handles: [{ type: "click" }], key: { page: "event.data.page" }, measures: { clicks: { kind: "count" } } })

const click = (n: number): Uint8Array =>
  encodeEvent({ id: `e-${n}`, source: "s", type: "click", timeMs: T0 + n, receivedAtMs: T0 + n, tenantId: "t", partitionKey: "t:u", schemaVersion: 0 }, JSON.stringify({ page: "/" }))

describe("a lane that keeps up", () => {
  it("reads what trickles in twice a flush and not once an append", async () => {
    let [reads, commits] = [0, 0]
    const log = memoryEventLog(createMemoryLogDisk(), { logId: "log-1", partitions: 1, lanes: 1, createdAtMs: T0 })
    const counting = Layer.effect(EventLog, Effect.map(EventLog, (inner): EventLogShape => ({ ...inner, read: (from, wanted) => Effect.suspend(() => {
      reads += 1
      return inner.read(from, wanted)
    }) })))
    const program = Effect.gen(function* () {
      const { append } = yield* EventLog
      yield* ensureGenerations([clicks])
      const stop = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(runLanes({ lanes: [0], stop: Deferred.await(stop), observer: { committed: () => void (commits += 1), halted: () => {}, retrying: () => {} } }), { startImmediately: true })
      for (let n = 0; n < 500; n++) {
        yield* append([{ partition: 0, key: "k", value: click(n) }])
        yield* TestClock.adjust(2)
      }
      yield* TestClock.adjust(1_000)
      yield* Deferred.succeed(stop, undefined)
      yield* Fiber.join(fiber)
      const checkpoints = yield* Effect.scoped(Effect.flatMap((yield* ReadModelStore).snapshot, (snapshot) => snapshot.checkpoints("clicks", 1)))
      return checkpoints[0]?.partitions[0]?.counters
    })
    const engines = Layer.mergeAll(counting.pipe(Layer.provide(log)), memoryReadModelStore(createMemoryModelDisk()), memoryPartitionIndex(createMemoryIndexDisk()))
    expect(await Effect.runPromise(program.pipe(Effect.provide(engines), Effect.provide(TestClock.layer())))).toMatchObject({ folded: 500n })
    expect(commits).toBeGreaterThan(15)
    expect(reads).toBeLessThanOrEqual(2 * commits + 5)
  })
})
