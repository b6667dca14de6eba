/** A projection that cannot go on without guessing stops and says where. Codes: docs/semantics.md §2, §6; faults I3. */
import * as Schema from "effect/Schema"

export const HaltCode = Schema.Literals([
  /** Records are missing between two offsets, or were removed below the checkpoint. */
  "LOG_GAP",
  /** The read model was built from another log, or the partitions are others. */
  "LOG_IDENTITY",
  /** The record before the checkpoint is another one than was folded. */
  "LOG_DIVERGED",
  /** A stored block of the log fails its checksum. */
  "LOG_CORRUPT",
  /** This program lacks a helper or upcaster the definition relies on. */
  "DEFINITION_MISSING",
  /** The stored definition is not the one the generation was made with. */
  "DEFINITION_CHANGED",
  /** Counters, ledgers and rows do not add up. */
  "CONSERVATION",
  /** Folding or merging failed: a defect of the program, never of an event. */
  "FOLD_FAILED",
  "FLUSH_FAILED"
])
export type HaltCode = typeof HaltCode.Type

/** `detail` says what was found and where, for an operator. */
export class HaltError extends Schema.TaggedError<HaltError>()("HaltError", { code: HaltCode, detail: Schema.String }) {}
