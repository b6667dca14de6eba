import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import { appendOrders, folded, makeMemory, orders, whileServed } from "@tidemark/replay/rebuildSpec"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { makeLagClock, readLivePosition } from "./liveLag.ts"

const offsets = (...next: readonly bigint[]) => new Map(next.map((offset, partition) => [partition, offset] as const))

describe("the lag of what is served", () => {
  it("is how long the log has held a record that is not folded, in any partition", () => {
    const lag = makeLagClock()
    expect(lag({ ends: offsets(10n, 10n), reached: offsets(10n, 10n) }, 0)).toBe(0)
    expect(lag({ ends: offsets(20n, 10n), reached: offsets(10n, 10n) }, 500)).toBe(0)
    expect(lag({ ends: offsets(30n, 10n), reached: offsets(15n, 10n) }, 1_000)).toBe(500)
    // Everything the log held at 500 is folded, not what it held at 1,000.
    expect(lag({ ends: offsets(40n, 11n), reached: offsets(20n, 10n) }, 2_000)).toBe(1_000)
    expect(lag({ ends: offsets(40n, 11n), reached: offsets(40n, 10n) }, 3_000)).toBe(1_000)
    expect(lag({ ends: offsets(40n, 11n), reached: offsets(40n, 11n) }, 4_000)).toBe(0)
    expect(lag({ ends: offsets(41n, 11n), reached: offsets(40n, 11n) }, 4_500)).toBe(0)
  })

  it("is read of the served generation, and not of one that stands still", async () => {
    await makeMemory().run(Effect.gen(function* () {
      yield* appendOrders(0, 200)
      yield* ensureGenerations([orders()])
      yield* whileServed(folded(1))
      yield* appendOrders(200, 10)
      const { ends, reached } = yield* readLivePosition()
      const sum = (of: ReadonlyMap<number, bigint>) => [...of.values()].reduce((total, offset) => total + offset, 0n)
      // Number 209 is sent twice.
      expect(sum(ends) - sum(reached)).toBe(11n)
      yield* (yield* ReadModelStore).recordHalt({ projection: "orders", generation: 1, lane: 0, code: "LOG_GAP", detail: "", atMs: 0 })
      expect((yield* readLivePosition()).reached.size).toBe(0)
    }))
  })
})
