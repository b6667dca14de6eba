/** What a lane held in memory, seen at its commit: no more than its limits allow, and one read beyond them. */
import type { LaneCommit } from "@tidemark/domain/ports/ReadModelStore"
import type { MemoryLimits } from "../runtime/memoryLimits.ts"

/** No record of an event is shorter, bytes. */
const EVENT_BYTES_LEAST = 100

/** Bytes of the log that the commit covers, and those of the longest record among them in every partition. */
const covered = ({ expected, next }: LaneCommit, log: readonly (readonly Uint8Array[])[]): { readonly held: number; readonly edge: number } => {
  let [held, edge] = [0, 0]
  for (const { partition, nextOffset } of next) {
    const from = expected.find((one) => one.partition === partition)?.nextOffset ?? 0n
    const records = log[partition]?.slice(Number(from), Number(nextOffset)) ?? []
    for (const { length } of records) held += length
    edge += Math.max(0, ...records.map(({ length }) => length))
  }
  return { held, edge }
}

/** Faults of one transaction's commits, all of one lane. `log`: every record ever stored, by partition. */
export const heldTooMuch = (commits: readonly LaneCommit[], log: readonly (readonly Uint8Array[])[], limits: MemoryLimits): readonly string[] => {
  const found: string[] = []
  let rows = 0
  for (const commit of commits) {
    const { held, edge } = covered(commit, log)
    const most = limits.flushBytesMax + limits.readBytesMax + edge
    const { projection, generation, lane } = commit.lane
    if (held >= most) found.push(`${projection}/${generation}/${lane}: ${held} bytes of the log were held, at most ${most} may be`)
    rows += commit.rows.filter(({ resolution }) => resolution === 0).length
  }
  const partitions = commits[0]?.next.length ?? 0
  const rowsMost = limits.flushRowsMax + commits.length * (Math.ceil(limits.readBytesMax / EVENT_BYTES_LEAST) + partitions)
  if (rows >= rowsMost) found.push(`lane ${commits[0]?.lane.lane}: ${rows} base rows were held, at most ${rowsMost} may be`)
  return found
}
