/**
 * Finds an event by its id, walking the log from its newest record.
 *
 * Of several events with the id (other users, other imports, more than 24 hours apart) it is the newest one that counts;
 * what only repeats it is never told as the event itself. The walk ends at the first record that a ledger says counts.
 * Where none says so, the log is read to its end and the rule of docs/semantics.md §4 decides.
 */
import { HORIZON_MS } from "@tidemark/domain/events/partitionState"
import type { EventEnvelope } from "@tidemark/domain/events/event"
import type { PartitionPosition } from "@tidemark/domain/ports/EventLog"
import type { StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import { SearchIndex } from "@tidemark/domain/ports/SearchIndex"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { SearchBoundError } from "./errors.ts"
import { ledgerOutcome } from "./ledgerOutcome.ts"
import { loggedEvent } from "./loggedEvent.ts"
import type { LoggedEvent } from "./loggedEvent.ts"
import type { OpenModel } from "./openModel.ts"

/** Repetitions that are listed. */
export const REPETITIONS_MAX = 100
/** Records between two looks at the clock. */
const STEP_RECORDS = 20_000
const SCAN_RECORDS_MAX = 1_000_000
/** Below the time after which a question is given up. */
const SCAN_MS_MAX = 8_000

export interface FoundEvent {
  readonly first: LoggedEvent
  /** What repeats it, oldest first: the first `REPETITIONS_MAX` of them. */
  readonly repetitions: readonly LoggedEvent[]
  readonly repetitionsTruncated: boolean
}

interface Candidate {
  readonly logged: LoggedEvent
  /** What the ledgers say; undefined where no generation has come to it. */
  readonly isRepetition: boolean | undefined
}

/** Only events with the same name can be repetitions of each other, by docs/semantics.md §4. */
const nameOf = ({ partitionKey, backfill }: EventEnvelope): string => JSON.stringify([partitionKey, backfill ?? null])

const isWithinHorizon = (first: EventEnvelope, event: EventEnvelope): boolean => event.backfill !== undefined || event.receivedAtMs - first.receivedAtMs <= HORIZON_MS

/** What a partition counts twice does not depend on the definition, so any generation that has come to the record can say it. */
const isRepetition = Effect.fn("isRepetition")(function* (models: readonly OpenModel[], { partition, offset }: LoggedEvent): Effect.fn.Return<boolean | undefined, StoreUnavailableError> {
  for (const model of models) {
    const { outcome } = yield* ledgerOutcome(model, partition, offset)
    if (outcome !== "PENDING" && outcome !== "UNCOVERED") return outcome === "DUPLICATE"
  }
  return undefined
})

/** The newest event among records of one name, newest first, and what repeats it. */
const resolve = (candidates: readonly Candidate[], isCut: boolean): FoundEvent | null => {
  const oldest = candidates.at(-1)
  if (oldest === undefined) return null
  let first = oldest.logged
  let repetitions: LoggedEvent[] = []
  for (const { logged, isRepetition: told } of candidates.slice(0, -1).reverse()) {
    if (told ?? isWithinHorizon(first.event, logged.event)) repetitions.push(logged)
    else [first, repetitions] = [logged, []]
  }
  return { first, repetitions: repetitions.slice(0, REPETITIONS_MAX), repetitionsTruncated: isCut || repetitions.length > REPETITIONS_MAX }
}

/** The records with the id that the walk has come to. */
class Walked {
  private name: string | undefined
  private candidates: readonly Candidate[] = []
  private isCut = false

  /** False for an event of another name than the newest one. */
  concerns({ event }: LoggedEvent): boolean {
    this.name ??= nameOf(event)
    return nameOf(event) === this.name
  }

  add(candidate: Candidate): void {
    // The oldest are kept: they are what is listed.
    this.isCut ||= this.candidates.length > REPETITIONS_MAX
    this.candidates = [...this.candidates, candidate].slice(-REPETITIONS_MAX - 1)
  }

  get count(): number {
    return this.candidates.length
  }

  resolved(): FoundEvent | null {
    return resolve(this.candidates, this.isCut)
  }
}

/** Null when the tenant's log has no such event. Fails when that, or which record is the first, is not known within the bounds. */
export const findEvent = Effect.fn("findEvent")(function* (id: string, tenantId: string, models: readonly OpenModel[]) {
  const index = yield* SearchIndex
  const startedMs = yield* Clock.currentTimeMillis
  const walked = new Walked()
  let before: readonly PartitionPosition[] | undefined
  let records = 0
  for (let limit = 1; ; ) {
    const page = yield* index.searchEvents({ tenantId, eventId: id }, { limit, ...(before === undefined ? {} : { before }), scanMaxRecords: Math.min(STEP_RECORDS, SCAN_RECORDS_MAX - records) })
    for (const { partition, offset, value } of page.hits) {
      const logged = loggedEvent(partition, offset, value)
      if (logged === undefined || logged.event.tenantId !== tenantId || logged.event.id !== id || !walked.concerns(logged)) continue
      const told = yield* isRepetition(models, logged)
      walked.add({ logged, isRepetition: told })
      if (told === false) return walked.resolved()
    }
    records += page.scannedRecords
    if (page.next === undefined) return walked.resolved()
    if (records >= SCAN_RECORDS_MAX || (yield* Clock.currentTimeMillis) - startedMs >= SCAN_MS_MAX) return yield* new SearchBoundError({ records, repetitions: walked.count })
    before = page.next
    // Every page begins with reading all partitions: whoever is repeated often is read in few pages.
    if (page.hits.length > 0) limit = Math.min(limit * 2, REPETITIONS_MAX)
    yield* Effect.yieldNow
  }
})
