/** Every record of a partition ends in exactly one place, and the counters say so. Rules: docs/semantics.md §4. */
import type { PartitionCounters } from "@tidemark/domain/ports/ReadModelStore"

/** What was counted since the last flush. `held` may be negative: a release moves one event from held to folded. */
export type Tally = { -readonly [Name in keyof PartitionCounters]: number }

export const emptyTally = (): Tally => ({ records: 0, system: 0, events: 0, folded: 0, held: 0, duplicate: 0, deadLettered: 0, filtered: 0, late: 0, applied: 0 })

export const addTally = (counters: PartitionCounters, tally: Tally): PartitionCounters => ({
  records: counters.records + BigInt(tally.records),
  system: counters.system + BigInt(tally.system),
  events: counters.events + BigInt(tally.events),
  folded: counters.folded + BigInt(tally.folded),
  held: counters.held + BigInt(tally.held),
  duplicate: counters.duplicate + BigInt(tally.duplicate),
  deadLettered: counters.deadLettered + BigInt(tally.deadLettered),
  filtered: counters.filtered + BigInt(tally.filtered),
  late: counters.late + BigInt(tally.late),
  applied: counters.applied + BigInt(tally.applied)
})

/** What is wrong with the counters, or undefined. `passed`: offsets between the first one folded and the checkpoint. */
export const conservationFault = (counters: PartitionCounters, passed: bigint): string | undefined => {
  const { records, system, events, folded, held, duplicate, deadLettered, filtered, late, applied } = counters
  if (records !== passed) return `${records} records counted, ${passed} offsets passed`
  if (records !== system + events) return `records ${records} ≠ system ${system} + events ${events}`
  if (events !== folded + held + duplicate + deadLettered + filtered) {
    return `events ${events} ≠ folded ${folded} + held ${held} + duplicate ${duplicate} + dead-lettered ${deadLettered} + filtered ${filtered}`
  }
  if (late !== applied + held || applied > folded) return `late ${late} ≠ applied ${applied} + held ${held}, of ${folded} folded`
  return undefined
}
