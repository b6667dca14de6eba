import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { planRebuild } from "./planRebuild.ts"
import { storedSize } from "./storedSize.ts"
import { PARTITIONS, appendOrders, folded, makeMemory, orders, whileServed } from "./rebuildSpec.ts"

describe("the plan of a rebuild", () => {
  it("says what would be read, close to the truth, and writes nothing", async () => {
    const { run, modelDisk } = makeMemory()
    await run(Effect.gen(function* () {
      yield* appendOrders(0, 1_000)
      yield* ensureGenerations([orders()])
      yield* whileServed(folded(1))
    }))
    const before = modelDisk.state
    const plan = await run(planRebuild(orders(), { recordsPerSecond: 10_000, tenants: [] }))
    const records = 1_000 + Math.ceil(1_000 / 11) + PARTITIONS
    expect(plan).toMatchObject({ projection: "orders", generation: 2, fromGeneration: 1, events: BigInt(records), seconds: records / 10_000, rateFrom: "last-rebuild" })
    expect(plan?.rows).toBe(BigInt(modelDisk.state.rows.size))
    expect(Number(plan?.rowBytes) / Number(plan?.rows)).toBeGreaterThan(160)
    expect(Number(plan?.rowBytes) / Number(plan?.rows)).toBeLessThan(1_000)
    expect(Number(plan?.bytes) / records).toBeGreaterThan(200)
    expect(Number(plan?.bytes) / records).toBeLessThan(600)
    expect(modelDisk.state).toBe(before)
    expect([...before.generations.keys()]).toEqual(["orders/1"])
  })

  it("is none for a projection that is not served", async () => {
    const { run } = makeMemory()
    expect(await run(planRebuild(orders(), { recordsPerSecond: 1, tenants: [] }))).toBeUndefined()
  })

  it("takes the rate of a sample that it folds where none is known", async () => {
    const { run, modelDisk } = makeMemory()
    await run(Effect.andThen(appendOrders(0, 2_000), ensureGenerations([orders()])))
    const before = modelDisk.state
    const plan = await run(planRebuild(orders(), { recordsPerSecond: undefined, tenants: [] }))
    expect(plan).toMatchObject({ rateFrom: "sample", rows: 0n })
    expect(plan?.seconds).toBeGreaterThan(0)
    expect(plan?.seconds).toBeLessThan(30)
    expect(modelDisk.state).toBe(before)
  })

  it("tells the rows of all tenants from some of their windows", async () => {
    const { run, modelDisk } = makeMemory()
    await run(Effect.gen(function* () {
      yield* appendOrders(0, 6_000)
      yield* ensureGenerations([orders()])
      yield* whileServed(folded(1))
    }))
    const size = (windowsMax: number) => run(Effect.scoped(Effect.gen(function* () {
      const snapshot = yield* (yield* ReadModelStore).snapshot
      const record = yield* snapshot.generation("orders", 1)
      if (record === undefined) throw new RangeError("no generation 1")
      return yield* storedSize(snapshot, record, yield* snapshot.checkpoints("orders", 1), [], windowsMax)
    })))
    const rows = modelDisk.state.rows.size
    expect(rows).toBeGreaterThan(1_200)
    const [whole, some] = [await size(20_000), await size(500)]
    expect(whole.rows).toBe(BigInt(rows))
    expect(Number(some.rows) / rows).toBeGreaterThan(0.7)
    expect(Number(some.rows) / rows).toBeLessThan(1.3)
    expect(Number(some.bytes) / Number(whole.bytes)).toBeGreaterThan(0.7)
    expect(Number(some.bytes) / Number(whole.bytes)).toBeLessThan(1.3)
  })
})

describe("a changed definition that is shipped", () => {
  it("leaves the served generation the one it was, and is planned beside it", async () => {
    const { run, modelDisk } = makeMemory()
    await run(ensureGenerations([orders()]))
    const changed = orders({ version: 2, filter: "!event.data.test" })
    await run(ensureGenerations([changed]))
    expect(modelDisk.state.pointers.get("orders")).toEqual({ projection: "orders", generation: 1, pointerVersion: 1 })
    expect(await run(planRebuild(changed, { recordsPerSecond: 1, tenants: [] }))).toMatchObject({ generation: 2, fromGeneration: 1 })
  })
})
