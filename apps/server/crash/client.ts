/**
 * The client of the campaign: sends batches, again when it does not know what became of them, and keeps its own history.
 * Several tenants with the same users and ids, retries, repeated events, late, imported and future ones, poison, and
 * invalid ones among the others of a batch.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { CURRENCIES, FUTURE, PAGES, addExpected, bodyOf } from "./history.ts"
import type { Kind, SentEvent, Windows } from "./history.ts"
import type { SeededRandom } from "./random.ts"
import { keysOf } from "./serverProcess.ts"

const BATCH = 50
const MINUTE_MS = 60_000
const REQUEST_MS_MAX = 5_000
const AGAIN_MS = 40
/** Of the batches whose outcome is unknown, those left alone until the end. */
const LEFT = 0.3
const REMEMBERED = 2_000
/** So far that no campaign lasts as long. */
const FUTURE_MINUTES_LEAST = 120
export const FUTURE_MINUTES_MAX = 720

interface Batch {
  readonly tenant: string
  readonly events: readonly SentEvent[]
  /** Name of the import, for imported events. */
  readonly importName: string | undefined
}

export interface ClientTotals {
  made: number
  acknowledged: number
  /** Requests that ended without an answer or with 503. */
  unknown: number
  answeredDuplicate: number
  /** Events left unknown until the end; how many of them had been stored. */
  left: number
  leftStored: number
  poison: number
  late: number
  imported: number
  /** Dated hours after now. */
  future: number
  invalid: number
  /** Invalid events that were answered `rejected`. */
  rejected: number
}

interface Answer {
  readonly results: readonly { readonly status: string; readonly code?: string }[]
}

export class Client {
  readonly expected: Windows = new Map()
  readonly totals: ClientTotals = { made: 0, acknowledged: 0, unknown: 0, answeredDuplicate: 0, left: 0, leftStored: 0, poison: 0, late: 0, imported: 0, future: 0, invalid: 0, rejected: 0 }
  /** Answers that no sent event may get. */
  readonly wrong: string[] = []
  /** Ids by tenant. */
  readonly acknowledged: ReadonlyMap<string, Set<string>>
  private readonly rejected: ReadonlyMap<string, Set<string>>
  private readonly recent = new Map<string, SentEvent[]>()
  private readonly madeOf = new Map<string, number>()
  private readonly tenants: readonly string[]
  private readonly left: Batch[] = []
  private readonly random: SeededRandom
  private readonly url: () => string | undefined

  /** `url`: where the server listens now, undefined while it is down. */
  constructor(random: SeededRandom, url: () => string | undefined, tenants: readonly string[] = ["default"]) {
    this.tenants = tenants
    this.acknowledged = new Map(tenants.map((tenant) => [tenant, new Set<string>()]))
    this.rejected = new Map(tenants.map((tenant) => [tenant, new Set<string>()]))
    this.random = random
    this.url = url
  }

  /** Makes and sends batches one after another until `isEnough`; `mayMake`: may another batch be made now? */
  async run(isEnough: () => boolean, mayMake: () => boolean): Promise<void> {
    while (!isEnough()) {
      if (mayMake()) await this.deliver(this.makeBatch(), false)
      else await sleep(AGAIN_MS)
    }
  }

  /** Sends what was left unknown once more, so that everything must be there exactly once. */
  async settle(): Promise<void> {
    for (const batch of this.left.splice(0)) await this.deliver(batch, true)
  }

  private makeEvent(tenant: string, isImported: boolean): SentEvent {
    const { random, totals } = this
    const draw = random.next()
    const kind: Kind = draw < 0.005 ? "poison" : draw < 0.4 ? "order.paid" : draw < 0.42 ? "invalid" : "page.viewed"
    const isOrder = kind === "poison" || kind === "order.paid"
    const isCounted = kind === "page.viewed" || kind === "order.paid"
    const isFuture = !isImported && isCounted && random.chance(0.01)
    const isLate = !isImported && !isFuture && random.chance(0.03)
    const backMs = isFuture ? -random.between(FUTURE_MINUTES_LEAST, FUTURE_MINUTES_MAX) * MINUTE_MS
      : isImported ? random.between(1, 3_000) * MINUTE_MS : isLate ? random.between(2, 20) * MINUTE_MS : random.between(0, 3_000)
    const number = (this.madeOf.get(tenant) ?? 0) + 1
    this.madeOf.set(tenant, number)
    totals.made += 1
    if (kind === "poison") totals.poison += 1
    if (kind === "invalid") totals.invalid += 1
    if (isFuture) totals.future += 1
    if (isLate) totals.late += 1
    if (isImported) totals.imported += 1
    const key = isOrder ? (isFuture ? FUTURE.currency : random.pick(CURRENCIES)) : isFuture ? FUTURE.page : random.pick(PAGES)
    return { tenant, id: `e${number}`, kind, key, timeMs: Date.now() - backMs, w: random.bits48(), userId: `u${random.between(1, 200)}` }
  }

  private makeBatch(): Batch {
    const { random } = this
    const tenant = random.pick(this.tenants)
    const isImported = random.chance(0.02)
    const events = Array.from({ length: BATCH }, () => this.makeEvent(tenant, isImported))
    if (isImported) return { tenant, events, importName: "campaign" }
    const recent = [...(this.recent.get(tenant) ?? []), ...events].slice(-REMEMBERED)
    this.recent.set(tenant, recent)
    const repeated = Array.from({ length: random.between(0, 5) }, () => random.pick(recent))
    return { tenant, events: [...events, ...repeated], importName: undefined }
  }

  /** Until it is acknowledged, or left. */
  private async deliver(batch: Batch, isLast: boolean): Promise<void> {
    for (;;) {
      const url = await this.listening()
      const answer = await this.send(url, batch)
      if (answer !== undefined) return this.take(batch, answer, isLast)
      if (!isLast && this.random.chance(LEFT)) {
        this.left.push(batch)
        this.totals.left += batch.events.length
        return
      }
      await sleep(AGAIN_MS)
    }
  }

  /** Waits while the server is known to be down. */
  private async listening(): Promise<string> {
    for (;;) {
      const url = this.url()
      if (url !== undefined) return url
      await sleep(AGAIN_MS)
    }
  }

  /** Undefined when it is not known what became of the batch. */
  private async send(url: string, { tenant, events, importName }: Batch): Promise<Answer | undefined> {
    const { write, admin } = keysOf(tenant)
    const key = importName === undefined ? write : admin
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json", ...(importName === undefined ? {} : { "tidemark-backfill": importName }) }
    try {
      const response = await fetch(`${url}/v1/events`, { method: "POST", headers, body: JSON.stringify({ events: events.map(bodyOf) }), signal: AbortSignal.timeout(REQUEST_MS_MAX) })
      if (response.status === 200) return (await response.json()) as Answer
      if (response.status !== 503 && response.status !== 429) this.wrong.push(`status ${response.status}: ${(await response.text()).slice(0, 200)}`)
    } catch {
      // The connection broke or nobody listens: the outcome is unknown, which is what is being tested.
    }
    this.totals.unknown += 1
    return undefined
  }

  private take({ events }: Batch, { results }: Answer, isLast: boolean): void {
    const { totals } = this
    for (const [at, event] of events.entries()) {
      const { status = "absent", code = "" } = results[at] ?? {}
      const isRight = event.kind === "invalid" ? status === "rejected" : status === "accepted" || status === "duplicate"
      if (!isRight) this.wrong.push(`event ${event.id} of ${event.tenant}, ${event.kind}: ${status} ${code}`)
      if (status === "duplicate") totals.answeredDuplicate += 1
      if (status === "duplicate" && isLast) totals.leftStored += 1
      const [told, total] = event.kind === "invalid" ? [this.rejected, "rejected" as const] : [this.acknowledged, "acknowledged" as const]
      const ids = told.get(event.tenant)
      if (!isRight || ids === undefined || ids.has(event.id)) continue
      ids.add(event.id)
      totals[total] += 1
      addExpected(this.expected, event)
    }
  }
}
