/**
 * What one of several ingest processes knows of duplicates: the events it has appended itself of late, in memory.
 *
 * Other processes append to the same log, so this finds some duplicates and not all; readers of the log drop the rest.
 * It never names an event a duplicate that readers would count. Rules: docs/semantics.md §4 (Duplicates).
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { StoredAt } from "@tidemark/domain/ports/EventLog"
import { DUPLICATE, NEW, openAppend } from "./confirmedEvents.ts"
import type { KnownEvents, NamedEvent, OpenAppend, Standing } from "./confirmedEvents.ts"

/** An hour less than readers remember: their clock is the log's, which may be behind this one. */
const HORIZON_MS = 23 * 3_600_000

interface Known {
  readonly append: OpenAppend
  readonly receivedAtMs: number
}

export class RecentEvents implements KnownEvents {
  private readonly known = new Map<string, Known>()
  private readonly eventsMax: number

  /** Remembers at most `eventsMax` events. */
  constructor(eventsMax = 200_000) {
    this.eventsMax = eventsMax
  }

  /** Nothing has to be loaded. */
  prepare(): Effect.Effect<void> {
    return Effect.void
  }

  /** Memory is bounded by the number of events: old ones go, readers drop what this no longer knows. */
  hasRoom(): boolean {
    return true
  }

  /** Never needed. */
  makeRoom(): Effect.Effect<void> {
    return Effect.void
  }

  standing({ event, identity }: NamedEvent): Standing {
    const known = this.known.get(identity)
    if (known === undefined) return NEW
    const { durable, answered } = known.append
    if (!durable) return { kind: "open", answered }
    const remembered = event.backfill !== undefined || event.receivedAtMs - known.receivedAtMs <= HORIZON_MS
    return remembered ? DUPLICATE : NEW
  }

  begin(batch: readonly NamedEvent[]): OpenAppend {
    const append = openAppend(batch)
    for (const { event, identity } of batch) {
      this.known.delete(identity)
      this.known.set(identity, { append, receivedAtMs: event.receivedAtMs })
    }
    return append
  }

  finish(append: OpenAppend, stored: readonly StoredAt[] | undefined): void {
    if (stored === undefined) for (const { identity } of append.batch) this.known.delete(identity)
    append.durable = stored !== undefined
    Deferred.doneUnsafe(append.answered, Effect.void)
    this.forgetOldest()
  }

  /** The oldest go first; one that is still open is waited for by somebody and stays. */
  private forgetOldest(): void {
    for (const [identity, { append }] of this.known) {
      if (this.known.size <= this.eventsMax || !append.durable) return
      this.known.delete(identity)
    }
  }
}
