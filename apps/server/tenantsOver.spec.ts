import { MessageChannel } from "node:worker_threads"
import * as Effect from "effect/Effect"
import { expect, it } from "vitest"
import type { FromCheck } from "./checkThread.ts"
import { tenantsOver } from "./tenantsOver.ts"

it("a checking thread is told the tenants of the time it asks, beside whatever else it is told", async () => {
  const { port1, port2 } = new MessageChannel()
  const known = ["a"]
  port2.on("message", ({ kind }: FromCheck) => {
    port2.postMessage({ number: 1, cause: "the answer to another question" })
    port2.postMessage("stop")
    if (kind === "tenants") port2.postMessage({ tenants: [...known] })
  })
  expect(await Effect.runPromise(tenantsOver(port1))).toEqual(["a"])
  known.push("imports only")
  expect(await Effect.runPromise(tenantsOver(port1))).toEqual(["a", "imports only"])
  expect(port1.listenerCount("message")).toBe(0)
  port1.close()
})
