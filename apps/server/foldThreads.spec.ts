import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import { buildGeneration, createShadow, joinServed } from "@tidemark/replay/buildGeneration"
import { foldHere } from "@tidemark/replay/foldHere"
import { isEqual, parity } from "@tidemark/replay/parity"
import { appendOrders, folded, makeMemory, orders, whileServed } from "@tidemark/replay/rebuildSpec"
import type { Ports } from "@tidemark/replay/rebuildSpec"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import type { CheckEvents, StartCheck } from "./checkThread.ts"
import { foldInThreads } from "./foldThreads.ts"

const SHADOW = { projection: "orders", generation: 2 }

/** "Threads" on the engines of the test; `started` lists their lanes, `stopped` those that were asked to end. */
const threadsOn = Effect.fn("threadsOn")(function* () {
  const services = yield* Effect.context<Ports>()
  const found = { started: [] as (readonly number[])[], stopped: [] as (readonly number[])[], events: undefined as CheckEvents | undefined }
  const startCheck: StartCheck = (task, events) => {
    if (task.kind !== "fold") throw new RangeError(task.kind)
    const { id, lanes, pace } = task
    found.started.push(lanes)
    found.events = events
    let stop = () => {}
    const stopped = new Promise<void>((resolve) => (stop = resolve))
    const fold = foldHere({ id, lanes, pace, stop: Effect.promise(() => stopped), halted: ({ code, detail }) => events.message({ kind: "halted", code, detail }, () => {}) })
    const ended = Effect.runPromiseWith(services)(fold).then(() => events.exit(undefined), (cause: unknown) => events.exit(String(cause)))
    return async () => {
      found.stopped.push(lanes)
      stop()
      await ended
    }
  }
  return { found, startCheck }
})

/** Generation 1 served, and a shadow of it. */
const served = <A, E, R>(body: Effect.Effect<A, E, R>) => Effect.gen(function* () {
  yield* appendOrders(0, 2_000)
  yield* ensureGenerations([orders()])
  return yield* whileServed(Effect.gen(function* () {
    yield* folded(1)
    yield* createShadow(orders(), 2)
    return yield* body
  }))
})

describe("the lanes of a rebuild, shared out among threads", () => {
  it("are folded by the calling thread and one more, and the result is the live one's", async () => {
    await makeMemory().run(served(Effect.gen(function* () {
      const { found, startCheck } = yield* threadsOn()
      // There are two lanes: a third thread has nothing to do.
      expect(yield* buildGeneration({ id: SHADOW, lanes: [0, 1], stop: Effect.never, lagMax: 20n, fold: foldInThreads(startCheck, 3) })).toBe("caught up")
      expect(found).toMatchObject({ started: [[1]], stopped: [[1]] })
      yield* joinServed(SHADOW)
      expect(isEqual(yield* parity({ projection: "orders", oldGeneration: 1, newGeneration: 2, tenants: [], differencesMax: 10 }))).toBe(true)
    })))
  })

  it("are all folded by the calling thread where there is one", async () => {
    await makeMemory().run(served(Effect.gen(function* () {
      const { found, startCheck } = yield* threadsOn()
      expect(yield* buildGeneration({ id: SHADOW, lanes: [0, 1], stop: Effect.never, lagMax: 20n, fold: foldInThreads(startCheck, 1) })).toBe("caught up")
      expect(found.started).toEqual([])
    })))
  })

  it("end the build when one of them ends unasked, and halt it when one of them halts", async () => {
    await makeMemory().run(served(Effect.gen(function* () {
      const { found, startCheck } = yield* threadsOn()
      const after = (happens: (events: CheckEvents) => void) => buildGeneration({
        id: SHADOW, lanes: [0, 1], stop: Effect.never, lagMax: -1n, fold: foldInThreads(startCheck, 2), progress: () => { if (found.events !== undefined) happens(found.events) }
      })
      expect(yield* Effect.flip(after(({ exit }) => exit("out of memory")))).toMatchObject({ _tag: "FoldingEndedError", detail: "the thread of lanes 1 ended: out of memory" })
      expect(yield* Effect.flip(after(({ message }) => message({ kind: "halted", code: "LOG_GAP", detail: "gone" }, () => {})))).toMatchObject({ _tag: "BuildHaltedError", code: "LOG_GAP", detail: "gone" })
      expect(found.stopped).toEqual([[1]])
    })))
  })
})
