/** Answers kept in the memory of this process: the last used ones, up to a number of bytes. */
import { RESULT_BYTES_MAX, ResultCache, resultKeyText } from "@tidemark/domain/ports/ResultCache"
import type { ResultCacheShape } from "@tidemark/domain/ports/ResultCache"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const CACHE_BYTES_MAX = 64 * 1024 * 1024
/** What an entry costs besides its key and value, about. */
const ENTRY_BYTES = 200

const makeCache = (bytesMax: number): ResultCacheShape => {
  /** In the order of last use. */
  const entries = new Map<string, Uint8Array>()
  let bytes = 0
  const costOf = (name: string, value: Uint8Array): number => name.length * 2 + value.length + ENTRY_BYTES
  const drop = (name: string): void => {
    const value = entries.get(name)
    if (value === undefined) return
    entries.delete(name)
    bytes -= costOf(name, value)
  }
  return {
    get: (key) => Effect.sync(() => {
      const name = resultKeyText(key)
      const value = entries.get(name)
      if (value === undefined) return undefined
      entries.delete(name)
      entries.set(name, value)
      return value.slice()
    }),
    put: (key, value) => Effect.sync(() => {
      if (value.length > RESULT_BYTES_MAX) return
      const name = resultKeyText(key)
      drop(name)
      entries.set(name, value.slice())
      bytes += costOf(name, value)
      for (const oldest of entries.keys()) {
        if (bytes <= bytesMax) return
        drop(oldest)
      }
    })
  }
}

/** A cache of at most `bytesMax` bytes, 64 MiB unless told. */
export const resultCacheInProcess = (bytesMax = CACHE_BYTES_MAX): Layer.Layer<ResultCache> => Layer.effect(ResultCache, Effect.sync(() => makeCache(bytesMax)))
