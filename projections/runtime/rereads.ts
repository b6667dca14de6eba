/**
 * Records that a lane reads again once it is taken over: those below the checkpoint that the index does not know, from
 * which M and duplicates are told, and those it had folded already when their commit failed. What another process or a
 * thread that died had folded beyond its checkpoint is not known, and not counted.
 */
import type { GenerationLane } from "./generationLane.ts"
import type { RereadReport } from "./observer.ts"
import type { OpenLane } from "./openLane.ts"

const nameOf = ({ id }: GenerationLane, partition: number): string => `${id.projection}/${id.generation}/${partition}`

/** Of one lane in one process, over all its sessions. */
export class Rereads {
  /** Next offset that was folded when a session failed. */
  private readonly folded = new Map<string, number>()

  /** A session has failed: what these generations hold is dropped. */
  lost(generations: readonly GenerationLane[]): void {
    for (const generation of generations) for (const { partition, next } of generation.folds.values()) this.folded.set(nameOf(generation, partition), next)
  }

  /** What is read again by the session that has just been opened; generations that read nothing again are left out. */
  taken({ generations, readFrom }: OpenLane): readonly RereadReport[] {
    const reports: RereadReport[] = []
    for (const generation of generations) {
      let records = 0
      for (const { partition, nextOffset } of generation.checkpoints.values()) {
        const checkpoint = Number(nextOffset)
        const from = Math.max(Number(readFrom.get(partition) ?? nextOffset), Number(generation.coverage.get(partition) ?? 0n))
        records += Math.max(0, checkpoint - from) + Math.max(0, (this.folded.get(nameOf(generation, partition)) ?? 0) - checkpoint)
      }
      if (records > 0) reports.push({ projection: generation.id.projection, records })
    }
    this.folded.clear()
    return reports
  }
}
