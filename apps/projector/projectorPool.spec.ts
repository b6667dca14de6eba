import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { describe, expect, it } from "vitest"
import { laneShares } from "./laneShares.ts"
import type { ToWorker } from "./messages.ts"
import { makeProjectorPool, threadsOf } from "./projectorPool.ts"
import type { PoolOptions, ThreadEvents } from "./projectorPool.ts"

interface FakeThread {
  readonly lanes: readonly number[]
  readonly posted: ToWorker[]
  readonly events: ThreadEvents
}

const open = async (overrides: Partial<PoolOptions> = {}, owned: readonly number[] = [0, 1]) => {
  const threads: FakeThread[] = []
  const told: string[] = []
  const clock = { nowMs: 0 }
  const scope = await Effect.runPromise(Scope.make())
  const pool = await Effect.runPromise(
    Scope.provide(
      makeProjectorPool({
        processors: 3,
        startThread: (lanes, events) => {
          const thread: FakeThread = { lanes, posted: [], events }
          threads.push(thread)
          return {
            post: (message) => {
              thread.posted.push(message)
              if (message.kind === "stop") queueMicrotask(() => events.exit("exit code 0"))
            },
            terminate: async () => undefined
          }
        },
        nowMs: () => clock.nowMs,
        onCommitted: (reports) => void told.push(`committed ${reports.length}`),
        onHalted: ({ code }) => void told.push(`halted ${code}`),
        onReread: (reports) => void told.push(...reports.map(({ projection, records }) => `reread ${records} of ${projection}`)),
        onRetrying: ({ lane }) => void told.push(`retrying ${lane}`),
        onRestarted: (lanes, cause) => void told.push(`restarted ${lanes.join(",")}: ${cause}`),
        onFenced: (lanes, detail) => void told.push(`fenced ${lanes.join(",")}: ${detail}`),
        onGivenUp: (sentence) => void told.push(sentence),
        ...overrides
      }),
      scope
    )
  )
  await Effect.runPromise(pool.own(owned))
  return { pool, threads, told, clock, close: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

describe("lanes", () => {
  it("are shared among at most as many threads as leave one processor free, each lane once", () => {
    expect(laneShares([0, 1, 2, 3], 2)).toEqual([[0, 1, 2, 3]])
    expect(laneShares([0, 1, 2, 3], 3)).toEqual([[0, 2], [1, 3]])
    expect(laneShares([0, 1], 16)).toEqual([[0], [1]])
    expect(laneShares([0, 1, 2], 1)).toEqual([[0, 1, 2]])
    expect(laneShares([1, 3], 3)).toEqual([[1], [3]])
    expect(laneShares([], 3)).toEqual([])
  })
})

describe("a projector pool", () => {
  it("passes on what its threads report", async () => {
    const { threads, told, close } = await open()
    const lane = { projection: "p", generation: 1, lane: 0 }
    threads[0]?.events.message({ kind: "committed", reports: [{ lane, durationMs: 1, records: 1, rows: 1, lateEvents: 0, deadLetters: 0 }] })
    threads[1]?.events.message({ kind: "halted", halt: { ...lane, code: "LOG_GAP", detail: "", atMs: 0 } })
    threads[1]?.events.message({ kind: "retrying", failure: { lane: 1, cause: "", retryInMs: 1 } })
    threads[0]?.events.message({ kind: "reread", reports: [{ projection: "p", records: 7 }] })
    expect(told).toEqual(["committed 1", "halted LOG_GAP", "retrying 1", "reread 7 of p"])
    await close()
  })

  it("wakes every thread at once, then at most once per 5 ms, and never loses the last call", async () => {
    const { pool, threads, close } = await open()
    for (let i = 0; i < 1_000; i++) pool.appended()
    expect(threads.map(({ posted }) => posted.length)).toEqual([1, 1])
    await expect.poll(() => threads.map(({ posted }) => posted.length)).toEqual([2, 2])
    await close()
  })

  it("starts a dead thread again with the same lanes, and gives up at the third death within a minute", async () => {
    const { threads, told, clock, close } = await open()
    threads[0]?.events.exit("first")
    clock.nowMs = 30_000
    threads[1]?.events.exit("second")
    clock.nowMs = 60_000
    threads[2]?.events.exit("a minute after the first")
    expect(threads.map(({ lanes }) => lanes)).toEqual([[0], [1], [0], [1], [0]])
    expect(told).toEqual(["restarted 0: first", "restarted 1: second", "restarted 0: a minute after the first"])
    clock.nowMs = 89_999
    threads[4]?.events.exit("once more")
    expect(told.at(-1)).toBe("Projector threads died 3 times within a minute, last the one of lanes 0: once more")
    expect(threads).toHaveLength(5)
    await close()
  })

  it("sees a real thread die with its reason, each time it is started again", async () => {
    const entry = new URL(`data:text/javascript,${encodeURIComponent('throw new Error("the disk is full")')}`)
    const { told, close } = await open({ startThread: threadsOf(entry, {}) }, [0])
    await expect.poll(() => told.length, { timeout: 20_000 }).toBe(3)
    for (const [i, beginning] of ["restarted 0: ", "restarted 0: ", "Projector threads died 3 times within a minute"].entries()) {
      expect(told[i]).toMatch(new RegExp(`^${beginning}`))
      expect(told[i]).toMatch(/the disk is full/)
    }
    await close()
  })

  it("stops the threads whose lanes change and starts the new shares; a thread with the same lanes goes on", async () => {
    const { pool, threads, told, close } = await open()
    await Effect.runPromise(pool.own([1, 2]))
    expect(threads.map(({ lanes }) => lanes)).toEqual([[0], [1], [2]])
    expect(threads.map(({ posted }) => posted.map(({ kind }) => kind))).toEqual([["stop"], [], []])
    await Effect.runPromise(pool.own([]))
    expect(threads.slice(1).map(({ posted }) => posted.map(({ kind }) => kind))).toEqual([["stop"], ["stop"]])
    expect(told).toEqual([])
    await close()
  })

  it("rests a thread that was fenced, counts no death for it, and lets go of it when its lanes are gone meanwhile", async () => {
    const { pool, threads, told, close } = await open()
    for (const thread of threads) {
      thread.events.message({ kind: "fenced", detail: "newer owner" })
      thread.events.exit("exit code 0")
    }
    expect(told).toEqual(["fenced 0: newer owner", "fenced 1: newer owner"])
    await Effect.runPromise(pool.own([1]))
    expect(threads.map(({ lanes }) => lanes)).toEqual([[0], [1], [1]])
    threads[2]?.events.message({ kind: "fenced", detail: "again" })
    threads[2]?.events.exit("exit code 0")
    await expect.poll(() => threads.length, { timeout: 5_000 }).toBe(4)
    expect(threads[3]?.lanes).toEqual([1])
    expect(told).toHaveLength(3)
    await close()
  })

  it("tells every thread to stop, waits for its end and starts none again", async () => {
    const { pool, threads, told, close } = await open()
    await Effect.runPromise(pool.stop)
    expect(threads.map(({ posted }) => posted)).toEqual([[{ kind: "stop" }], [{ kind: "stop" }]])
    expect(told).toEqual([])
    await close()
  })
})
