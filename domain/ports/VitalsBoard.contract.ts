/** What every board of vitals must do. Runs unchanged on each adapter. */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, it } from "vitest"
import { VitalsBoard } from "./VitalsBoard.ts"
import type { ProcessVitals, VitalsBoardShape } from "./VitalsBoard.ts"

export interface VitalsBoardHarness {
  /** Another process' way to the same board each time. */
  readonly open: (keptMs: number) => Layer.Layer<VitalsBoard, unknown>
  readonly dispose: () => Promise<void>
}

const vitalsOf = (process: string, over: Partial<ProcessVitals> = {}): ProcessVitals => ({
  process, isRebuilding: false, latencies: [{ name: "queries", recentMs: 12.25, usualMs: null }], ...over
})
const LONG_MS = 60_000
const SHORT_MS = 250

/** Declares the suite for one adapter. */
export const vitalsBoardContract = (name: string, makeHarness: () => VitalsBoardHarness): void => {
  const session = (keptMs: number, use: (a: VitalsBoardShape, b: VitalsBoardShape) => Effect.Effect<void>) => async () => {
    const harness = makeHarness()
    const opened = Effect.gen(function* () { return yield* VitalsBoard })
    try {
      await Effect.runPromise(Effect.flatMap(opened, (a) => Effect.flatMap(opened, (b) => use(a, b)).pipe(Effect.provide(harness.open(keptMs)))).pipe(Effect.provide(harness.open(keptMs))))
    } finally {
      await harness.dispose()
    }
  }

  describe(`VitalsBoard on ${name}`, () => {
    it("answers what the other processes have told last, and never what one has told itself", session(LONG_MS, (a, b) => Effect.gen(function* () {
      expect(yield* a.exchange(vitalsOf("a"))).toEqual([])
      expect(yield* b.exchange(vitalsOf("b"))).toEqual([vitalsOf("a")])
      const rebuilding = vitalsOf("a", { isRebuilding: true, latencies: [{ name: "ingest", recentMs: null, usualMs: 0.5 }, { name: "queries", recentMs: 3, usualMs: 2 }] })
      expect(yield* a.exchange(rebuilding)).toEqual([vitalsOf("b")])
      expect(yield* b.exchange(vitalsOf("b"))).toEqual([rebuilding])
      expect((yield* a.exchange(vitalsOf("c \"é"))).map(({ process }) => process).toSorted()).toEqual(["a", "b"])
      expect((yield* b.exchange(vitalsOf("b"))).map(({ process }) => process).toSorted()).toEqual(["a", "c \"é"])
    })))

    it("forgets a process that tells nothing any more", session(SHORT_MS, (a, b) => Effect.gen(function* () {
      yield* a.exchange(vitalsOf("a"))
      while ((yield* b.exchange(vitalsOf("b"))).length > 0) yield* Effect.sleep(20)
      expect(yield* a.exchange(vitalsOf("a"))).toEqual([vitalsOf("b")])
    })))
  })
}
