/** A board of vitals in memory, which outlives the layers that open it. */
import { VITALS_KEPT_MS, VitalsBoard } from "@tidemark/domain/ports/VitalsBoard"
import type { ProcessVitals } from "@tidemark/domain/ports/VitalsBoard"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** What was told, and when, by process. */
export type MemoryVitals = Map<string, { readonly atMs: number; readonly vitals: ProcessVitals }>

/** The board on `told`. */
export const memoryVitalsBoard = (told: MemoryVitals, keptMs = VITALS_KEPT_MS): Layer.Layer<VitalsBoard> =>
  Layer.succeed(VitalsBoard, {
    exchange: (own) => Effect.map(Clock.currentTimeMillis, (nowMs) => {
      told.set(own.process, { atMs: nowMs, vitals: own })
      return [...told.values()].filter(({ atMs, vitals }) => vitals.process !== own.process && nowMs - atMs <= keptMs).map(({ vitals }) => vitals)
    })
  })
