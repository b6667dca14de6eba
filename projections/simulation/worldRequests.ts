/**
 * Clients that send requests to the product's own ingest, over every process that runs it: what has no answer, or a
 * failed one, is sent again, to whichever process comes first. Rules: docs/semantics.md §4, §7 and invariant 4.
 */
import type { EventLog } from "@tidemark/domain/ports/EventLog"
import type { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import { formatRfc3339 } from "@tidemark/domain/time/rfc3339"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { readOracleRecord } from "./oracleRecord.ts"
import type { SeededRandom } from "./random.ts"
import type { StoredRecords } from "./workload.ts"

export interface IngestRequest {
  readonly tenantId: string
  /** JSON text of the body. */
  readonly body: string
  readonly sentAtMs?: number
  readonly backfill?: string
}

export interface IngestAnswer {
  readonly received: number
  readonly accepted: number
  readonly duplicate: number
  readonly rejected: number
  readonly failed: number
  /** In the order of the body. */
  readonly results: readonly { readonly status: string; readonly id: string | null; readonly code?: string; readonly partition?: number; readonly offset?: string | undefined }[]
}

export type Ingest = (request: IngestRequest) => Effect.Effect<IngestAnswer, unknown>

/** The ingest of one process. */
export interface IngestProcess {
  readonly accept: Ingest
  /** It knows every duplicate of what was in the log when it started, not only of what it has accepted itself. */
  readonly knowsLog: boolean
}

/** Makes it over the engines that the process sees. */
export type MakeIngest = Effect.Effect<IngestProcess, never, EventLog | PartitionIndex>

/** Is the record an event that was sent as a request? */
export const isRequested = (text: string): boolean => /^\{"specversion":"1\.0","id":"[^"]*","source":"urn:request"/.test(text)

interface Request extends IngestRequest {
  readonly ids: readonly string[]
  attempts: number
}

const ATTEMPTS_MAX = 6
const EVENTS_MAX = 5
/** How often a request is sent at once. */
const TOGETHER = [1, 1, 2, 3]
/** Codes of failures after which nothing of the event is stored. */
const NOT_STORED: ReadonlySet<string | undefined> = new Set(["log-not-writable", "storage-full"])
const TENANTS = ["acme", "birch"]
const USERS = ["u1", "u2", "u3"]
const MINUTE_MS = 60_000
const HORIZON_MS = 86_400_000

/** Of the requests, those that are imports, and their names. */
const IMPORTED = 0.35
const IMPORTS = ["spring", "spring", "autumn"]
const DAY_MS = 86_400_000

/** Name of what was stored: tenant, id and import. Ids of refused events are told by their first letters. */
const nameOf = (tenantId: string, id: string, backfill: string | undefined): string => `${tenantId} ${id}${backfill === undefined ? "" : ` of ${backfill}`}`
const isRefusedId = (id: string): boolean => id.startsWith("bad")

export class RequestClients {
  private readonly random: SeededRandom
  private readonly stored: StoredRecords
  private readonly open: Request[] = []
  private readonly sent = new Set<string>()
  /** What was accepted, by whom, by its place. */
  private readonly places = new Map<string, { readonly name: string; readonly process: number }>()
  /** Known to be stored, by what was answered. */
  private readonly acknowledged = new Set<string>()
  /** How often an event was sent, and how often it was answered that it is not stored: as often means it may not be. */
  private readonly tries = new Map<string, { sent: number; refused: number }>()
  private readonly found: string[] = []
  private made = 0
  private left: number
  /** What each process knew when it started: the ends of the partitions, if it knew them; by its number, from 1. */
  private readonly ends: (readonly number[] | undefined)[] = []
  /** Events of imports answered as accepted and as duplicates. */
  readonly imports = { accepted: 0, duplicate: 0 }

  /** `events`: how many to make in all, repeated ones aside. */
  constructor(random: SeededRandom, stored: StoredRecords, events: number) {
    this.random = random
    this.stored = stored
    this.left = events
  }

  get isDone(): boolean {
    return this.left <= 0 && this.open.length === 0
  }

  /** Sends to this process until everything is answered; impatient ones send the same request several times at once. */
  send({ accept, knowsLog }: IngestProcess): Effect.Effect<void> {
    const process = this.ends.push(knowsLog ? this.lengths() : undefined)
    return Effect.gen({ self: this }, function* () {
      while (!this.isDone) {
        yield* Effect.sleep(this.random.between(20, 700))
        const request = this.next(yield* Clock.currentTimeMillis)
        if (request === undefined) continue
        request.attempts += 1
        const attempt = Effect.orElseSucceed(accept(request), () => undefined)
        const together = this.random.pick(TOGETHER)
        for (const id of request.ids) this.triesOf(nameOf(request.tenantId, id, request.backfill)).sent += together
        const answers = yield* Effect.all(Array.from({ length: together }, () => attempt), { concurrency: "unbounded" })
        const isAnswered = answers.map((answer) => this.take(request, answer, process)).includes(true)
        if (isAnswered || request.attempts >= ATTEMPTS_MAX || this.random.chance(0.1)) this.close(request)
      }
    })
  }

  /** What the log, and what the clients were told, contradict each other in. */
  contradictions(): readonly string[] {
    const found = [...this.found]
    const stored = new Set<string>()
    for (let partition = 0, records = this.stored(0); records.length > 0; records = this.stored(++partition)) {
      for (const [offset, value] of records.entries()) {
        const text = new TextDecoder().decode(value)
        if (!isRequested(text)) continue
        const { id, tenantid, time, receivedat, backfill } = JSON.parse(text) as { readonly id: string; readonly tenantid: string; readonly time: string; readonly receivedat: string; readonly backfill?: string }
        const name = nameOf(tenantid, id, backfill)
        stored.add(name)
        stored.add(`${name} at ${partition}:${offset}`)
        if (isRefusedId(id)) found.push(`refused and in the log: ${name}`)
        if (!this.sent.has(name)) found.push(`nobody sent ${name}, at offset ${offset} of partition ${partition}`)
        if (time > receivedat) found.push(`${name} happened after it was received`)
      }
    }
    found.push(...this.acceptedTwice(), ...this.forgotten())
    for (const name of this.acknowledged) if (!stored.has(name)) found.push(`acknowledged and not in the log: ${name}`)
    for (const [name, { sent, refused }] of this.tries) if (sent === refused && stored.has(name)) found.push(`refused and in the log: ${name}`)
    for (const [place, { name }] of this.places) if (!stored.has(`${name} at ${place}`)) found.push(`${name} was said to be at ${place}, where something else is`)
    return found
  }

  private lengths(): readonly number[] {
    const lengths: number[] = []
    for (let records = this.stored(0); records.length > 0; records = this.stored(lengths.length)) lengths.push(records.length)
    return lengths
  }

  /** A process knows what it has accepted itself for as long as readers know duplicates: imports for good. */
  private acceptedTwice(): readonly string[] {
    const found: string[] = []
    for (let partition = 0, records = this.stored(0); records.length > 0; records = this.stored(++partition)) {
      const before = new Map<string, number>()
      let receivedMs = -Infinity
      for (const [offset, value] of records.entries()) {
        const record = readOracleRecord(value)
        if (record.kind !== "unreadable") receivedMs = Math.max(receivedMs, record.kind === "event" ? record.receivedMs : record.timeMs)
        const accepted = this.places.get(`${partition}:${offset}`)
        if (accepted === undefined) continue
        const key = `${accepted.process} ${accepted.name}`
        const horizonMs = record.kind === "event" && record.backfill !== undefined ? Infinity : HORIZON_MS
        const earlierMs = before.get(key)
        if (earlierMs !== undefined && receivedMs - earlierMs <= horizonMs) found.push(`${accepted.name} was accepted twice by one process, the second time at ${partition}:${offset}`)
        before.set(key, receivedMs)
      }
    }
    return found
  }

  /** A process that knows the log knows every import that stood there when it started. */
  private forgotten(): readonly string[] {
    const found: string[] = []
    for (let partition = 0, records = this.stored(0); records.length > 0; records = this.stored(++partition)) {
      const firsts = new Map<string, number>()
      for (const [offset, value] of records.entries()) {
        const record = readOracleRecord(value)
        if (record.kind !== "event" || record.backfill === undefined || !isRequested(new TextDecoder().decode(value))) continue
        const name = nameOf(record.tenant, record.id, record.backfill)
        const first = firsts.get(name)
        if (first === undefined) firsts.set(name, offset)
        const by = this.places.get(`${partition}:${offset}`)?.process
        const end = by === undefined ? undefined : this.ends[by - 1]?.[partition]
        if (first !== undefined && end !== undefined && first < end) found.push(`${name} was accepted at ${partition}:${offset} by a process that found it at ${partition}:${first}`)
      }
    }
    return found
  }

  private triesOf(name: string): { sent: number; refused: number } {
    const known = this.tries.get(name) ?? { sent: 0, refused: 0 }
    this.tries.set(name, known)
    return known
  }

  private close(request: Request): void {
    const at = this.open.indexOf(request)
    if (at >= 0) this.open.splice(at, 1)
  }

  /** One that waits for its answer, or a new one. */
  private next(nowMs: number): Request | undefined {
    if (this.open.length > 0 && (this.left <= 0 || this.random.chance(0.4))) return this.random.pick(this.open)
    if (this.left <= 0) return undefined
    const request = this.make(nowMs)
    this.open.push(request)
    return request
  }

  private make(nowMs: number): Request {
    const { random } = this
    const tenantId = random.pick(TENANTS)
    const backfill = random.chance(IMPORTED) ? random.pick(IMPORTS) : undefined
    const ids: string[] = []
    const events: object[] = []
    while (events.length < random.between(1, EVENTS_MAX)) {
      const isRepeated = this.made > 0 && random.chance(backfill === undefined ? 0.2 : 0.5)
      const number = isRepeated ? random.between(1, this.made) : ++this.made
      const isBad = number % 7 === 0
      const id = isBad ? `bad${number}` : `r${number}`
      ids.push(id)
      this.sent.add(nameOf(tenantId, id, backfill))
      const agoMs = backfill === undefined ? random.pick([0, 500, -2_000, MINUTE_MS, 15 * MINUTE_MS]) : random.between(0, 60) * DAY_MS
      events.push({
        id, source: "urn:request", ...(isBad ? {} : { type: number % 2 === 0 ? "signed.up" : "page.viewed" }), userId: USERS[number % USERS.length],
        time: formatRfc3339(nowMs - agoMs), data: { page: `/${number % 4}`, durationMs: number }
      })
    }
    this.left -= events.length
    const sentAtMs = random.chance(0.3) ? { sentAtMs: nowMs + random.between(-3_000, 3_000) } : {}
    return { tenantId, body: JSON.stringify({ events }), ids, attempts: 0, ...sentAtMs, ...(backfill === undefined ? {} : { backfill }) }
  }

  /** True when nothing of the request is open any more. */
  private take({ tenantId, ids, backfill }: Request, answer: IngestAnswer | undefined, process: number): boolean {
    if (answer === undefined) {
      for (const id of ids) this.triesOf(nameOf(tenantId, id, backfill)).refused += 1
      return false
    }
    const { received, accepted, duplicate, rejected, failed, results } = answer
    if (received !== ids.length || results.length !== ids.length || received !== accepted + duplicate + rejected + failed) this.found.push(`ingest lost count: ${received} of ${ids.length} received`)
    for (const [at, { status, id, code, partition, offset }] of results.entries()) {
      const sentId = ids[at] ?? ""
      const name = nameOf(tenantId, sentId, backfill)
      if (id !== sentId) this.found.push(`${name} was answered as ${id}`)
      if ((status === "rejected") !== isRefusedId(sentId)) this.found.push(`${name} was ${status}`)
      if (status === "rejected" || NOT_STORED.has(code)) this.triesOf(name).refused += 1
      if (status === "accepted") this.places.set(`${partition}:${offset}`, { name, process })
      if (status !== "accepted" && status !== "duplicate") continue
      this.acknowledged.add(name)
      if (backfill !== undefined) this.imports[status] += 1
    }
    return failed === 0
  }
}
