import { compileDefinition, createExtraction } from "@tidemark/domain/definitions/compile"
import { describe, expect, it } from "vitest"
import { revenue } from "./projection.ts"

const order = (type: string, data: unknown) => ({ id: "1", source: "s", type, timeMs: 0, receivedAtMs: 0, tenantId: "t", partitionKey: "p", schemaVersion: 1, data })

describe("revenue", () => {
  it("subtracts refunds, and a dead letter leaves the accumulators untouched", () => {
    const compiled = compileDefinition(revenue, 1)
    const out = createExtraction()
    const accumulators = compiled.createAccumulators()
    const fold = (type: string, data: unknown): string => {
      const result = compiled.extract(order(type, data), out)
      if (result === "ok") compiled.apply(out, accumulators)
      return result
    }
    expect(fold("order.paid", { amount: "10.50", currency: "EUR" })).toBe("ok")
    expect(out.key).toEqual(["EUR"])
    expect(fold("order.refunded", { amount: 0.25, currency: "EUR" })).toBe("ok")
    const before = accumulators.map((accumulator) => accumulator.encode())
    expect(fold("order.paid", { currency: "EUR" })).toBe("dead")
    expect(out).toMatchObject({ code: "MEASURE_MISSING", pointer: "/measures/amount" })
    expect(fold("order.paid", { amount: "0.0000001", currency: "EUR" })).toBe("dead")
    expect(out.code).toBe("DECIMAL_SCALE")
    expect(accumulators.map((accumulator) => accumulator.encode())).toEqual(before)
    expect(compiled.measureNames).toEqual(["amount", "orders", "refunds"])
    expect(accumulators.map((accumulator) => (accumulator as { value(): bigint }).value())).toEqual([10_250_000n, 1n, 250_000n])
  })
})
