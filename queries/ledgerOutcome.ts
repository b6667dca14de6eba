/** What became of one record in one generation, by its ledgers. */
import type { StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import type { OpenModel } from "./openModel.ts"

/**
 * FOLDED on time, APPLIED late, HELD late, or not counted for the reason named. PENDING is not reached yet, UNCOVERED lies
 * before the first record that this generation reads.
 */
export type EventOutcome = "FOLDED" | "APPLIED" | "HELD" | "DUPLICATE" | "DEAD_LETTER" | "FILTERED" | "PENDING" | "UNCOVERED"

type Ledgers = { readonly outcome: EventOutcome; readonly lateByMs: number | null; readonly code: string | null; readonly pointer: string | null }

const NO_ENTRY = { lateByMs: null, code: null, pointer: null } as const

/** What the ledgers of a generation say about one record. */
export const ledgerOutcome = Effect.fn("ledgerOutcome")(function* (model: OpenModel, partition: number, offset: bigint): Effect.fn.Return<Ledgers, StoreUnavailableError> {
  const { projection, generation, snapshot } = model
  const nextOffset = model.position.find((part) => part.partition === partition)?.nextOffset ?? 0n
  if (offset >= nextOffset) return { ...NO_ENTRY, outcome: "PENDING" }
  const coverage = (yield* snapshot.generation(projection, generation))?.coverage ?? []
  if (coverage.some((start) => start.partition === partition && offset < start.nextOffset)) return { ...NO_ENTRY, outcome: "UNCOVERED" }
  const range = { projection, generation, partition, min: offset, max: offset }
  if ((yield* snapshot.duplicatesIn(range)).length > 0) return { ...NO_ENTRY, outcome: "DUPLICATE" }
  const [dead] = yield* snapshot.deadLettersIn(range)
  if (dead !== undefined) return { ...NO_ENTRY, outcome: "DEAD_LETTER", code: dead.code, pointer: dead.pointer }
  const [late] = yield* snapshot.lateIn(range)
  return late === undefined ? { ...NO_ENTRY, outcome: "FOLDED" } : { ...NO_ENTRY, outcome: late.outcome === "held" ? "HELD" : "APPLIED", lateByMs: late.lateByMs }
})
