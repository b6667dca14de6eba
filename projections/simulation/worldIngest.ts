/**
 * Clients that send and remember what they were told. An answer of unknown outcome, or none because ingest was killed,
 * is sent again; a refused record is sent again or given up. Rules: docs/semantics.md §7 and invariant 4.
 */
import { EventLog } from "@tidemark/domain/ports/EventLog"
import * as Effect from "effect/Effect"
import type { SeededRandom } from "./random.ts"
import { isRequested } from "./worldRequests.ts"
import type { ProducedRecord, StoredRecords, Workload } from "./workload.ts"

const ATTEMPTS_MAX = 3

interface Sent {
  sent: number
  acknowledged: boolean
  /** Refused as often as it was sent: it may not be in the log. */
  refused: number
}

export class IngestClients {
  private readonly random: SeededRandom
  private readonly workload: Workload
  private readonly stored: StoredRecords
  private readonly history = new Map<string, Sent>()
  /** Batches in flight, by client: what a restarted ingest is asked again. */
  private readonly inFlight = new Map<string, readonly ProducedRecord[]>()
  private left: number

  /** `records`: how many to send in all. */
  constructor(random: SeededRandom, workload: Workload, stored: StoredRecords, records: number) {
    this.random = random
    this.workload = workload
    this.stored = stored
    this.left = records
  }

  get isDone(): boolean {
    return this.left <= 0 && this.inFlight.size === 0
  }

  /** Lets the clients send so many more records. */
  more(records: number): void {
    this.left += records
  }

  /** Sends as `client` until all is sent, to a node whose clock is ahead by `skewMs`. */
  send(client: string, skewMs: number): Effect.Effect<void, never, EventLog> {
    const turn = Effect.suspend(() => {
      const batch = this.inFlight.get(client) ?? this.produce(skewMs)
      this.inFlight.set(client, batch)
      return this.sendBatch(client, batch)
    })
    return Effect.gen({ self: this }, function* () {
      while (this.left > 0 || this.inFlight.has(client)) {
        yield* Effect.sleep(this.random.between(20, 1_500))
        yield* turn
      }
    })
  }

  /** What the log and the clients' memories contradict each other in. */
  contradictions(): readonly string[] {
    const found: string[] = []
    const stored = new Set<string>()
    for (let partition = 0, records = this.stored(0); records.length > 0; records = this.stored(++partition)) {
      for (const [offset, value] of records.entries()) {
        const text = nameOf(partition, value)
        if (offset > 0 && !isRequested(text.slice(text.indexOf(" ") + 1)) && !this.history.has(text)) found.push(`nobody sent the record at offset ${offset} of partition ${partition}`)
        stored.add(text)
      }
    }
    for (const [text, { sent, acknowledged, refused }] of this.history) {
      if (acknowledged && !stored.has(text)) found.push(`acknowledged and not in the log: ${text}`)
      if (sent === refused && stored.has(text)) found.push(`refused and in the log: ${text}`)
    }
    return found
  }

  private produce(skewMs: number): readonly ProducedRecord[] {
    const batch: ProducedRecord[] = []
    const length = this.random.between(1, 8)
    while (batch.length < length) batch.push(...this.workload.next(this.stored, skewMs))
    this.left -= batch.length
    return batch
  }

  private remember(batch: readonly ProducedRecord[], change: (sent: Sent) => void): void {
    for (const { partition, value } of batch) {
      const text = nameOf(partition, value)
      const sent = this.history.get(text) ?? { sent: 0, acknowledged: false, refused: 0 }
      this.history.set(text, sent)
      change(sent)
    }
  }

  private sendBatch(client: string, batch: readonly ProducedRecord[]): Effect.Effect<void, never, EventLog> {
    return Effect.gen({ self: this }, function* () {
      const log = yield* EventLog
      for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
        this.remember(batch, (sent) => { sent.sent += 1 })
        const outcome = yield* log.append(batch.map(({ partition, value }) => ({ partition, key: "k", value }))).pipe(
          Effect.as("stored" as const),
          Effect.catchTags({ AppendRejectedError: () => Effect.succeed("refused" as const), AppendUnknownError: () => Effect.succeed("unknown" as const) })
        )
        this.remember(batch, (sent) => {
          if (outcome === "stored") sent.acknowledged = true
          if (outcome === "refused") sent.refused += 1
        })
        if (outcome === "stored" || this.random.chance(0.2)) break
        yield* Effect.sleep(this.random.between(1, 100))
      }
      this.inFlight.delete(client)
    })
  }
}

const nameOf = (partition: number, value: Uint8Array): string => `${partition} ${new TextDecoder().decode(value)}`
