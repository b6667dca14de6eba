/** Bulk requests, judged item by item: a request that succeeds says nothing of its items. */
import type { Elasticsearch } from "./elasticsearchClient.ts"

export interface BulkItem {
  /** HTTP status of the item alone. */
  readonly status: number
  /** `type: reason` of an item that failed. */
  readonly error: string | undefined
}

interface RawItem {
  readonly status?: number
  readonly error?: { readonly type?: string; readonly reason?: string; readonly caused_by?: { readonly reason?: string } }
}

/** Only what is looked at comes back. */
const PATH = "/_bulk?filter_path=items.*.status,items.*.error"

const readItem = (raw: RawItem | undefined): BulkItem => {
  const { status = 0, error } = raw ?? {}
  return { status, error: error === undefined ? undefined : [error.type, error.reason, error.caused_by?.reason].filter((part) => part !== undefined).join(": ") }
}

/**
 * Sends pairs of action and source lines; answers an item for each pair, in order. Fails when there is no answer or one
 * that does not fit the request: then nothing is known of any item.
 */
export const sendBulk = async (engine: Elasticsearch, lines: readonly string[]): Promise<readonly BulkItem[]> => {
  const body = (await engine.need("POST", PATH, lines.join("\n") + "\n")) as { readonly items?: readonly Readonly<Record<string, RawItem>>[] }
  const items = body.items ?? []
  if (items.length * 2 !== lines.length) throw new Error(`a bulk request of ${lines.length / 2} items was answered with ${items.length}`)
  return items.map((item) => readItem(Object.values(item)[0]))
}

/** True for an item that may pass when it is sent again: the engine is busy, away, or lost its index. */
export const isAgain = ({ status }: BulkItem): boolean => status === 429 || status === 403 || status === 404 || status >= 500 || status === 0
