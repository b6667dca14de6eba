/** What an append may end as: docs/semantics.md §7 and the port's own words on what an unknown outcome may leave behind. */
import type { LogRecord } from "@tidemark/domain/ports/EventLog"
import type { MemoryLogDisk } from "./memoryEventLog.ts"
import type { SeededRandom } from "./random.ts"

/** Of each partition's records the first ones: none, some or all. */
const storedPart = (random: SeededRandom, batch: readonly LogRecord[]): readonly LogRecord[] => {
  const left = new Map<number, number>()
  for (const { partition } of batch) left.set(partition, (left.get(partition) ?? 0) + 1)
  for (const [partition, records] of left) left.set(partition, random.between(0, records))
  return batch.filter(({ partition }) => {
    const kept = left.get(partition) ?? 0
    left.set(partition, kept - 1)
    return kept > 0
  })
}

/** Faults as the weather has them; `inPart` hears of each that leaves a part of its batch behind. */
export const appendFaults = (random: SeededRandom, weather: { readonly appendFault: number }, inPart: () => void): MemoryLogDisk["appendFault"] => (batch) => {
  if (!random.chance(weather.appendFault)) return undefined
  const kind = random.pick(["rejected", "unknown, stored", "unknown, not stored", "unknown, in part"] as const)
  if (kind !== "unknown, in part") return kind
  const stored = storedPart(random, batch)
  if (stored.length > 0 && stored.length < batch.length) inPart()
  return { stored }
}
