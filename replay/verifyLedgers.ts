/** Stored ledgers of one partition against the recomputed entries: by offset range, and once more by tenant. */
import { hashHex } from "@tidemark/domain/measures/hash"
import type { DeadLetter, DuplicateEntry, LateEntry, LedgerRange, ReadSnapshot } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { compare } from "./verifyReport.ts"
import type { Comparison, ModelCheck } from "./verifyReport.ts"

const lateText = (entry: LateEntry): string =>
  JSON.stringify([
    entry.tenantId, entry.eventId, entry.eventType, entry.eventTimeMs, entry.windowStartMs, entry.key, entry.lateByMs, entry.outcome,
    Object.entries(entry.contribution).sort(([a], [b]) => (a < b ? -1 : 1))
  ])
const duplicateText = ({ tenantId }: DuplicateEntry): string => tenantId
const deadText = ({ tenantId, code, pointer }: DeadLetter): string => JSON.stringify([tenantId, code, pointer])

interface AtOffset {
  readonly offset: bigint
}

const compareEntries = <E extends AtOffset>(model: ModelCheck, comparison: Comparison, where: string, stored: readonly E[], expected: readonly E[], textOf: (entry: E) => string): void => {
  const wanted = new Map(expected.map((entry) => [entry.offset, textOf(entry)]))
  for (const entry of stored) {
    compare(model, comparison, `${where}, offset ${entry.offset}`, textOf(entry), wanted.get(entry.offset))
    wanted.delete(entry.offset)
  }
  for (const [offset, text] of wanted) compare(model, comparison, `${where}, offset ${offset}`, undefined, text)
}

/** What the fold entered for one range of offsets. */
export interface ExpectedEntries {
  readonly applied: readonly LateEntry[]
  readonly duplicates: readonly DuplicateEntry[]
  readonly deadLetters: readonly DeadLetter[]
}

/** Sum mod 2^128 of entry hashes and their number, by ledger and tenant. */
export type TenantSums = Map<string, { count: number; sum: bigint }>

const addTo = (sums: TenantSums, ledger: "late" | "dead letters", tenantId: string, text: string): void => {
  const name = `${ledger} of ${tenantId}`
  const known = sums.get(name) ?? { count: 0, sum: 0n }
  sums.set(name, { count: known.count + 1, sum: BigInt.asUintN(128, known.sum + BigInt(`0x${hashHex(text, 0)}`)) })
}

const placed = ({ partition, offset }: { readonly partition: number; readonly offset: bigint }, text: string): string => `${partition} ${offset} ${text}`

/**
 * Compares one range. Entries of held events are left to `compareHeld`. Entries found are added to `sums`, to be
 * compared with the tenants' own listing of the same ledgers.
 */
export const compareLedgers = Effect.fn("compareLedgers")(function* (
  snapshot: ReadSnapshot, range: LedgerRange, expected: ExpectedEntries, held: ReadonlyMap<number, LateEntry>, model: ModelCheck, sums: TenantSums
) {
  const where = `partition ${range.partition}`
  const late = yield* snapshot.lateIn(range)
  const duplicates = yield* snapshot.duplicatesIn(range)
  const dead = yield* snapshot.deadLettersIn(range)
  compareEntries(model, model.late, `late event, ${where}`, late.filter(({ offset }) => !held.has(Number(offset))), expected.applied, lateText)
  compareEntries(model, model.duplicates, `duplicate, ${where}`, duplicates, expected.duplicates, duplicateText)
  compareEntries(model, model.deadLetters, `dead letter, ${where}`, dead, expected.deadLetters, deadText)
  for (const entry of late) addTo(sums, "late", entry.tenantId, placed(entry, lateText(entry)))
  for (const entry of dead) addTo(sums, "dead letters", entry.tenantId, placed(entry, deadText(entry)))
})

/** Compares the entries of held events, once it is known which of them were released. */
export const compareHeld = Effect.fn("compareHeld")(function* (snapshot: ReadSnapshot, range: Omit<LedgerRange, "min" | "max">, held: ReadonlyMap<number, LateEntry>, model: ModelCheck) {
  for (const entry of held.values()) {
    const stored = yield* snapshot.lateIn({ ...range, min: entry.offset, max: entry.offset })
    compareEntries(model, model.late, `late event, partition ${range.partition}`, stored, [entry], lateText)
  }
})

const PAGE = 10_000

/** The ledgers as tenants list them must hold what was found by offset. */
export const compareTenantLedgers = Effect.fn("compareTenantLedgers")(function* (
  snapshot: ReadSnapshot, generation: { readonly projection: string; readonly generation: number }, tenants: Iterable<string>, sums: TenantSums, model: ModelCheck
) {
  for (const tenantId of tenants) {
    const found: TenantSums = new Map()
    let after: { readonly partition: number; readonly offset: bigint } | undefined
    const page = () => ({ ...generation, tenantId, limit: PAGE, ...(after === undefined ? {} : { after }) })
    do {
      const entries: readonly LateEntry[] = yield* snapshot.late(page())
      for (const entry of entries) addTo(found, "late", tenantId, placed(entry, lateText(entry)))
      after = entries.at(-1)
    } while (after !== undefined)
    do {
      const entries: readonly DeadLetter[] = yield* snapshot.deadLetters(page())
      for (const entry of entries) addTo(found, "dead letters", tenantId, placed(entry, deadText(entry)))
      after = entries.at(-1)
    } while (after !== undefined)
    for (const [ledger, comparison] of [["late", model.late], ["dead letters", model.deadLetters]] as const) {
      const name = `${ledger} of ${tenantId}`
      const textOf = (entry: { readonly count: number; readonly sum: bigint } | undefined) => (entry === undefined ? undefined : `${entry.count} entries, sum ${entry.sum.toString(16)}`)
      if (found.has(name) || sums.has(name)) compare(model, comparison, `list of ${name}`, textOf(found.get(name)), textOf(sums.get(name)))
    }
  }
})
