/**
 * What one of several ingest processes knows of duplicates: the events it has appended itself of late, in memory.
 *
 * Other processes append to the same log, so this finds some duplicates and not all; readers of the log drop the rest.
 * It never names an event a duplicate that readers would count. Rules: docs/semantics.md §4 (Duplicates).
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { StoredAt } from "@tidemark/domain/ports/EventLog"
import { DUPLICATE, NEW } from "./confirmedEvents.ts"
import type { KnownEvents, NamedEvent, Standing } from "./confirmedEvents.ts"

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
    if (!known.durable) return { kind: "open", answered: known.answered }
    const remembered = event.backfill !== undefined || event.receivedAtMs - known.receivedAtMs <= HORIZON_MS
    return remembered ? DUPLICATE : NEW
  }

  begin(batch: readonly NamedEvent[]): void {
    const answered = Deferred.makeUnsafe<void>()
    for (const { event, identity } of batch) {
      this.known.delete(identity)
      this.known.set(identity, { answered, receivedAtMs: event.receivedAtMs, durable: false })
    }
  }

  finish(batch: readonly NamedEvent[], stored: readonly StoredAt[] | undefined): void {
    const [first] = batch
    const answered = first === undefined ? undefined : this.known.get(first.identity)?.answered
    for (const { identity } of batch) {
      const known = this.known.get(identity)
      if (known === undefined) continue
      if (stored === undefined) this.known.delete(identity)
      else known.durable = true
    }
    if (answered !== undefined) Deferred.doneUnsafe(answered, Effect.void)
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
