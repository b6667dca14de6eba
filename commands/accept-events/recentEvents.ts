/**
 * What one of several ingest processes knows of duplicates: the events it has appended itself of late, in memory.
 *
 * Other processes append to the same log, so this finds some duplicates and not all; readers of the log drop the rest.
 * It never names an event a duplicate that readers would count. Rules: docs/semantics.md §4 (Duplicates).
 */
import { Deferred, Effect } from "effect"
import type { EventAttributes } from "@tidemark/domain/events/event"
import type { StoredAt } from "@tidemark/domain/ports/EventLog"
import { identityOf } from "./confirmedEvents.ts"
import type { KnownEvents, Standing } from "./confirmedEvents.ts"

/** An hour less than readers remember: their clock is the log's, which may be behind this one. */
const HORIZON_MS = 23 * 3_600_000

interface Known {
  readonly answered: Deferred.Deferred<void>
  readonly receivedAtMs: number
  durable: boolean
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

  standing(_partition: number, event: EventAttributes): Standing {
    const known = this.known.get(identityOf(event))
    if (known === undefined) return { kind: "new" }
    if (!known.durable) return { kind: "open", answered: known.answered }
    const remembered = event.backfill !== undefined || event.receivedAtMs - known.receivedAtMs <= HORIZON_MS
    return remembered ? { kind: "duplicate" } : { kind: "new" }
  }

  begin(_partition: number, event: EventAttributes): void {
    const identity = identityOf(event)
    this.known.delete(identity)
    this.known.set(identity, { answered: Deferred.makeUnsafe<void>(), receivedAtMs: event.receivedAtMs, durable: false })
  }

  finish(_partition: number, event: EventAttributes, stored: StoredAt | undefined): void {
    const identity = identityOf(event)
    const known = this.known.get(identity)
    if (known === undefined) return
    if (stored === undefined) this.known.delete(identity)
    else known.durable = true
    Deferred.doneUnsafe(known.answered, Effect.void)
    this.forgetOldest()
  }

  /** The oldest go first; one that is still open is waited for by somebody and stays. */
  private forgetOldest(): void {
    for (const [identity, { durable }] of this.known) {
      if (this.known.size <= this.eventsMax || !durable) return
      this.known.delete(identity)
    }
  }
}
