/** Generations of the read-model store in memory: which are served, followed and dropped. */
import { GenerationInUseError, GenerationMissingError, PointerConflictError, TargetBehindError } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationSize } from "@tidemark/domain/ports/generationSize"
import type { GenerationId, LaneId, Pointer } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import type { ModelState } from "./memoryModelState.ts"

const idText = ({ projection, generation }: GenerationId): string => `${projection}/${generation}`

const isOf = (id: GenerationId) => (lane: LaneId): boolean => lane.projection === id.projection && lane.generation === id.generation

/** Next offsets of a generation, by partition. */
const positionOf = (state: ModelState, id: GenerationId): ReadonlyMap<number, bigint> =>
  new Map([...state.checkpoints.values()].filter(({ lane }) => isOf(id)(lane)).flatMap(({ partitions }) => partitions.map(({ partition, nextOffset }) => [partition, nextOffset] as const)))

/** Answers the pointer to store, or the refusal; changes nothing. */
const nextPointer = (state: ModelState, target: GenerationId, expectedVersion: number): Pointer | PointerConflictError | TargetBehindError => {
  const { projection, generation } = target
  const active = state.pointers.get(projection)
  const pointerVersion = active?.pointerVersion ?? 0
  const record = state.generations.get(idText(target))
  if (pointerVersion !== expectedVersion || record === undefined || record.isDropped === true) return new PointerConflictError({ projection, pointerVersion })
  if (active === undefined) return { projection, generation, pointerVersion: 1 }
  const reached = positionOf(state, target)
  const handOver: { readonly partition: number; readonly nextOffset: bigint }[] = []
  for (const [partition, activeOffset] of positionOf(state, active)) {
    const nextOffset = reached.get(partition) ?? 0n
    if (nextOffset < activeOffset) return new TargetBehindError({ projection, generation, partition, nextOffset, activeOffset })
    handOver.push({ partition, nextOffset: activeOffset })
  }
  return { projection, generation, pointerVersion: pointerVersion + 1, handOver: handOver.sort((a, b) => a.partition - b.partition) }
}

/** `writable`: the state to change, taken only once it is changed. */
export const flip = (state: ModelState, writable: () => ModelState, target: GenerationId, expectedVersion: number): Effect.Effect<Pointer, PointerConflictError | TargetBehindError> => {
  const pointer = nextPointer(state, target, expectedVersion)
  if (pointer instanceof Error) return Effect.fail(pointer)
  const active = state.pointers.get(target.projection)
  const { pointers, following } = writable()
  pointers.set(target.projection, pointer)
  if (active === undefined) return Effect.succeed(pointer)
  for (const { projection, generation } of [active, target]) following.set(idText({ projection, generation }), { projection, generation })
  return Effect.succeed(pointer)
}

export const follow = (state: ModelState, writable: () => ModelState, id: GenerationId, isFollowed: boolean): Effect.Effect<void, GenerationMissingError> => {
  const record = state.generations.get(idText(id))
  if (record === undefined || record.isDropped === true) return Effect.fail(new GenerationMissingError({ projection: id.projection, generation: id.generation }))
  const { following } = writable()
  if (isFollowed) following.set(idText(id), { projection: id.projection, generation: id.generation })
  else following.delete(idText(id))
  return Effect.void
}

const removeOf = <T extends { readonly lane: LaneId }>(entries: Map<string, T>, isIt: (lane: LaneId) => boolean): void => {
  for (const [key, { lane }] of entries) if (isIt(lane)) entries.delete(key)
}

export const dropGeneration = (state: ModelState, writable: () => ModelState, id: GenerationId): Effect.Effect<void, GenerationInUseError> => {
  const record = state.generations.get(idText(id))
  if (state.pointers.get(id.projection)?.generation === id.generation || state.following.has(idText(id))) {
    return Effect.fail(new GenerationInUseError({ projection: id.projection, generation: id.generation }))
  }
  if (record === undefined) return Effect.void
  const { generations, checkpoints, rows, late, duplicates, deadLetters, keyCounts, halts } = writable()
  generations.set(idText(id), { ...record, isDropped: true })
  for (const entries of [checkpoints, rows, late, duplicates, deadLetters]) removeOf<{ readonly lane: LaneId }>(entries, isOf(id))
  for (const key of keyCounts.keys()) if (key.startsWith(`${idText(id)}/`)) keyCounts.delete(key)
  for (const [key, halt] of halts) if (isOf(id)(halt)) halts.delete(key)
  return Effect.void
}

/** Beside its measures a row has its key, counts and offset ranges. */
const ROW_BYTES = 160

export const generationSize = (state: ModelState, id: GenerationId): GenerationSize | undefined => {
  const record = state.generations.get(idText(id))
  if (record === undefined || record.isDropped === true) return undefined
  let [rows, bytes] = [0n, 0]
  for (const { lane, row } of state.rows.values()) {
    if (!isOf(id)(lane)) continue
    rows += 1n
    bytes += row.measures.reduce((sum, { length }) => sum + length, ROW_BYTES)
  }
  return { rows, bytes: BigInt(bytes) }
}
