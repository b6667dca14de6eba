/**
 * Rejected events of requests that failed as a whole: the client sends such a request again, and what was rejected in it
 * must not be kept twice. Known to this process only; after a restart a repetition is kept a second time.
 */
import { createHash } from "node:crypto"
import type { RejectedEvent } from "@tidemark/domain/ports/RejectedLog"

const ENTRIES_MAX = 10_000

const keyOf = ({ tenantId, code, body }: RejectedEvent): string => createHash("sha256").update(JSON.stringify([tenantId, code, body])).digest("base64")

export class UnsettledRejections {
  /** Entry ids by what was rejected, the oldest first. */
  private readonly ids = new Map<string, string[]>()

  /** The entries, each under the id that an equal one of a failed request was kept under, if there is one. */
  settle(entries: readonly RejectedEvent[]): readonly RejectedEvent[] {
    if (this.ids.size === 0) return entries
    return entries.map((entry) => {
      const key = keyOf(entry)
      const kept = this.ids.get(key)
      const entryId = kept?.shift()
      if (kept?.length === 0) this.ids.delete(key)
      return entryId === undefined ? entry : { ...entry, entryId }
    })
  }

  /** Remembers what a failed request kept. */
  failed(entries: readonly RejectedEvent[]): void {
    for (const entry of entries) {
      const key = keyOf(entry)
      const kept = this.ids.get(key)
      if (kept === undefined) this.ids.set(key, [entry.entryId])
      else kept.push(entry.entryId)
      const [oldest] = this.ids.keys()
      if (this.ids.size > ENTRIES_MAX && oldest !== undefined) this.ids.delete(oldest)
    }
  }
}
