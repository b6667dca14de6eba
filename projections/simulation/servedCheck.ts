/**
 * What every reader may rely on of the served generations, whatever rebuild goes on: each projection has one that is
 * there and whole, the pointer counts its moves one by one, and no move takes the reader back in any partition.
 * Rules: docs/semantics.md §8.
 */
import type { GenerationId, Pointer } from "@tidemark/domain/ports/ReadModelStore"
import type { ModelState } from "./memoryModelState.ts"

interface Served {
  readonly pointer: Pointer
  /** Next offsets, by partition. */
  readonly position: ReadonlyMap<number, bigint>
  /** First offset covered, by partition. */
  readonly starts: ReadonlyMap<number, bigint>
}

const offsetsOf = (places: readonly { readonly partition: number; readonly nextOffset: bigint }[]): ReadonlyMap<number, bigint> =>
  new Map(places.map(({ partition, nextOffset }) => [partition, nextOffset]))

const isOf = ({ projection, generation }: GenerationId, other: GenerationId): boolean => projection === other.projection && generation === other.generation

/** A move of a projection's pointer, numbers of generations. */
export interface PointerMove {
  readonly projection: string
  readonly from: number
  readonly to: number
}

export class ServedCheck {
  private readonly last = new Map<string, Served>()
  private readonly partitions: number

  /** `partitions`: of the log. */
  constructor(partitions: number) {
    this.partitions = partitions
  }

  /** Moves of pointers seen so far. */
  readonly moves: PointerMove[] = []

  /** What is wrong now; to be called after every change of the store. */
  look(state: ModelState): readonly string[] {
    const found: string[] = []
    for (const projection of this.last.keys()) if (!state.pointers.has(projection)) found.push(`${projection} is served no more`)
    for (const pointer of state.pointers.values()) found.push(...this.lookAt(state, pointer))
    return found
  }

  private lookAt(state: ModelState, pointer: Pointer): readonly string[] {
    const { projection, generation, pointerVersion } = pointer
    const what = `generation ${generation} of ${projection}`
    const record = state.generations.get(`${projection}/${generation}`)
    if (record === undefined || record.isDropped === true) return [`${what} is served and not there`]
    const lanes = [...state.checkpoints.values()].filter(({ lane }) => isOf(lane, pointer))
    const now: Served = { pointer, position: offsetsOf(lanes.flatMap(({ partitions }) => partitions)), starts: offsetsOf(record.coverage) }
    const before = this.last.get(projection)
    this.last.set(projection, now)
    if (now.position.size !== this.partitions) return [`${what} is served with ${now.position.size} of ${this.partitions} partitions`]
    if (before === undefined) return []
    if (pointerVersion !== before.pointer.pointerVersion) this.moves.push({ projection, from: before.pointer.generation, to: generation })
    return [...this.moved(before, now), ...this.wentBack(before, now), ...this.handedOver(before, now)]
  }

  private moved(before: Served, { pointer: { projection, generation, pointerVersion } }: Served): readonly string[] {
    const isMoved = generation !== before.pointer.generation
    return pointerVersion === before.pointer.pointerVersion + (isMoved ? 1 : 0) ? [] : [`${projection} moved from generation ${before.pointer.generation} at version ${before.pointer.pointerVersion} to ${generation} at ${pointerVersion}`]
  }

  /** Stored by the move itself: nothing was committed since the last look. */
  private handedOver(before: Served, { pointer: { projection, generation, handOver } }: Served): readonly string[] {
    if (generation === before.pointer.generation) return []
    const at = offsetsOf(handOver ?? [])
    return [...before.position].filter(([partition, nextOffset]) => at.get(partition) !== nextOffset).map(([partition, nextOffset]) =>
      `${projection} moved to generation ${generation}, which takes over at ${at.get(partition) ?? "nothing"} of partition ${partition}, where the other stood at ${nextOffset}`)
  }

  private wentBack(before: Served, { pointer, position, starts }: Served): readonly string[] {
    const found: string[] = []
    const move = `${pointer.projection} moved from generation ${before.pointer.generation} to ${pointer.generation}`
    for (const [partition, nextOffset] of position) {
      const earlier = before.position.get(partition) ?? 0n
      if (nextOffset < earlier) found.push(`${move} and back from ${earlier} to ${nextOffset} in partition ${partition}`)
      if ((starts.get(partition) ?? 0n) > (before.starts.get(partition) ?? 0n)) found.push(`${move}, which covers less of partition ${partition}`)
    }
    return found
  }
}
