import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { planRebuild } from "./planRebuild.ts"
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
    const plan = await run(planRebuild(orders(), 10_000))
    const records = 1_000 + Math.ceil(1_000 / 11) + PARTITIONS
    expect(plan).toMatchObject({ projection: "orders", generation: 2, fromGeneration: 1, events: BigInt(records), seconds: records / 10_000 })
    expect(Number(plan?.bytes) / records).toBeGreaterThan(200)
    expect(Number(plan?.bytes) / records).toBeLessThan(600)
    expect(modelDisk.state).toBe(before)
    expect([...before.generations.keys()]).toEqual(["orders/1"])
  })

  it("is none for a projection that is not served, and knows no time without a rate", async () => {
    const { run } = makeMemory()
    expect(await run(planRebuild(orders(), 1))).toBeUndefined()
    await run(ensureGenerations([orders()]))
    expect(await run(planRebuild(orders(), undefined))).toMatchObject({ seconds: null })
  })
})

describe("a changed definition that is shipped", () => {
  it("leaves the served generation the one it was, and is planned beside it", async () => {
    const { run, modelDisk } = makeMemory()
    await run(ensureGenerations([orders()]))
    const changed = orders({ version: 2, filter: "!event.data.test" })
    await run(ensureGenerations([changed]))
    expect(modelDisk.state.pointers.get("orders")).toEqual({ projection: "orders", generation: 1, pointerVersion: 1 })
    expect(await run(planRebuild(changed, undefined))).toMatchObject({ generation: 2, fromGeneration: 1 })
  })
})
