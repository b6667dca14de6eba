/**
 * The client of the campaign: sends batches, again when it does not know what became of them, and keeps its own history.
 * Retries, repeated events, late and imported ones, poison.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { addExpected, bodyOf } from "./history.ts"
import type { Kind, SentEvent, Windows } from "./history.ts"
import type { SeededRandom } from "./random.ts"
import { KEYS } from "./serverProcess.ts"

const BATCH = 50
const MINUTE_MS = 60_000
const REQUEST_MS_MAX = 5_000
const AGAIN_MS = 40
/** Of the batches whose outcome is unknown, those left alone until the end. */
const LEFT = 0.3
const REMEMBERED = 2_000

interface Batch {
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
}

interface Answer {
  readonly results: readonly { readonly status: string; readonly code?: string }[]
}

export class Client {
  readonly expected: Windows = new Map()
  readonly totals: ClientTotals = { made: 0, acknowledged: 0, unknown: 0, answeredDuplicate: 0, left: 0, leftStored: 0, poison: 0, late: 0, imported: 0 }
  /** Answers that no sent event may get. */
  readonly wrong: string[] = []
  private readonly acknowledged = new Set<string>()
  private readonly left: Batch[] = []
  private recent: SentEvent[] = []
  private readonly random: SeededRandom
  private readonly url: () => string | undefined

  /** `url`: where the server listens now, undefined while it is down. */
  constructor(random: SeededRandom, url: () => string | undefined) {
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

  private makeEvent(isImported: boolean): SentEvent {
    const { random, totals } = this
    const nowMs = Date.now()
    const draw = random.next()
    const kind: Kind = draw < 0.005 ? "poison" : draw < 0.4 ? "order.paid" : "page.viewed"
    const isLate = !isImported && random.chance(0.03)
    const backMs = isImported ? random.between(1, 3_000) * MINUTE_MS : isLate ? random.between(2, 20) * MINUTE_MS : random.between(0, 3_000)
    totals.made += 1
    if (kind === "poison") totals.poison += 1
    if (isLate) totals.late += 1
    if (isImported) totals.imported += 1
    return { id: `e${totals.made}`, kind, timeMs: nowMs - backMs, w: random.bits48(), userId: `u${random.between(1, 200)}` }
  }

  private makeBatch(): Batch {
    const { random } = this
    const isImported = random.chance(0.02)
    const events = Array.from({ length: BATCH }, () => this.makeEvent(isImported))
    if (isImported) return { events, importName: "campaign" }
    this.recent = [...this.recent, ...events].slice(-REMEMBERED)
    const repeated = Array.from({ length: random.between(0, 5) }, () => random.pick(this.recent))
    return { events: [...events, ...repeated], importName: undefined }
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
  private async send(url: string, { events, importName }: Batch): Promise<Answer | undefined> {
    const key = importName === undefined ? KEYS.write : KEYS.admin
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
      if (status !== "accepted" && status !== "duplicate") this.wrong.push(`event ${event.id}: ${status} ${code}`)
      if (status === "duplicate") totals.answeredDuplicate += 1
      if (status === "duplicate" && isLast) totals.leftStored += 1
      if (this.acknowledged.has(event.id)) continue
      this.acknowledged.add(event.id)
      totals.acknowledged += 1
      addExpected(this.expected, event)
    }
  }
}
