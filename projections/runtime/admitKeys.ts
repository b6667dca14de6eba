/**
 * Which keys of a base window count under their own name in a partition. The first `keyMax` keys by offset do, the rest
 * share the row `__other__`. Decided at the flush, from first offsets, which is the same as deciding event by event:
 * once the cap is reached no further key is ever admitted. Rules: docs/semantics.md §4 key explosion.
 */
import type { CompiledProjection } from "@tidemark/domain/definitions/compile"
import { OTHER } from "@tidemark/domain/definitions/dimensionText"
import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import { createDelta, mergeDelta } from "./deltas.ts"
import type { Delta, WindowDeltas } from "./deltas.ts"

export interface Admitted {
  /** Deltas under the keys they are stored with. */
  readonly deltas: readonly Delta[]
  /** Keys of the window and partition that are new. */
  readonly newKeys: number
}

/**
 * `hasRange`: does this key's committed row have an offset range in the partition? `admitted`: keys admitted before.
 */
export const admitKeys = (window: WindowDeltas, compiled: CompiledProjection, admitted: number, hasRange: (keyId: string) => boolean): Admitted => {
  const all = [...window.keys.values()]
  const fresh = all.filter(({ keyId }) => !hasRange(keyId))
  const room = Math.max(0, compiled.definition.keyMax - admitted)
  if (fresh.length <= room) return { deltas: all, newKeys: fresh.length }
  const inOrder = fresh.sort((a, b) => a.minOffset - b.minOffset)
  const key = compiled.dimensionNames.map(() => OTHER)
  const other = createDelta({ keyId: keyIdOf(window.tenantId, key), key }, compiled.createAccumulators())
  for (const delta of inOrder.slice(room)) mergeDelta(other, delta)
  const refused = new Set(inOrder.slice(room))
  return { deltas: [...all.filter((delta) => !refused.has(delta)), other], newKeys: room }
}
