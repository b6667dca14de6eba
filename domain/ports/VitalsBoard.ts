/**
 * Where the processes of an installation tell each other how their answers fare, and whether they rebuild: what carries a
 * rebuild out in one of them gives way to what suffers in another. Kept for a moment; losing it costs that courtesy only.
 */
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type * as Effect from "effect/Effect"

/** How one process fares. p95 of its answers, ms; null: too few to say. */
export const ProcessVitals = Schema.Struct({
  /** Name of the process, another one after every start. */
  process: Schema.String,
  /** It carries a rebuild out. */
  isRebuilding: Schema.Boolean,
  latencies: Schema.Array(Schema.Struct({ name: Schema.String, recentMs: Schema.NullOr(Schema.Number), usualMs: Schema.NullOr(Schema.Number) }))
})
export type ProcessVitals = typeof ProcessVitals.Type

/** What a process has told is forgotten after so long, ms: it has ended, or cannot reach the board. */
export const VITALS_KEPT_MS = 5_000

export interface VitalsBoardShape {
  /** Tells the others, and answers what they have told last, by process. Never fails, never waits long: nothing while the board is away. */
  readonly exchange: (own: ProcessVitals) => Effect.Effect<readonly ProcessVitals[]>
}

export class VitalsBoard extends Context.Service<VitalsBoard, VitalsBoardShape>()("tidemark/VitalsBoard") {}
