/**
 * A stream of records as clients, importers and the ingest role produce them, and as nobody should: late, repeated within
 * and beyond the horizon, imported, released, poisoned, unreadable. Time of the data runs apart from the world's clock.
 */
import { encodeEvent } from "@tidemark/domain/events/envelope"
import type { EventAttributes } from "@tidemark/domain/events/event"
import { encodeHeartbeat, encodeLateApplied } from "@tidemark/domain/events/systemRecords"
import type { SeededRandom } from "./random.ts"

const SECOND = 1_000
const MINUTE = 60_000
const HOUR = 3_600_000
const DAY = 86_400_000

/** One record to append. `id` is the event's, undefined for everything else. */
export interface ProducedRecord {
  readonly partition: number
  readonly value: Uint8Array
  readonly id: string | undefined
}

/** Records of a partition that are already in the log, from offset 0. */
export type StoredRecords = (partition: number) => readonly Uint8Array[]

const TENANTS = ["acme", "birch", "c"]
const USERS = ["u1", "u2", "u3", undefined]
const PAGES: readonly unknown[] = ["/", "/a", "/b", "/c", "/d", "/e", "(none)", "__other__", "\\__other__", null, 7, 0.5, true, "/long/ä€😀".repeat(9), undefined]
const DURATIONS: readonly unknown[] = [0, 1, 250, 1_000.5, -12.25, 0.000_000_5, 0.000_001_5, "12.3456785", 86_400_000, 7e15, "1e-9", null, undefined, -0]
const AMOUNTS: readonly unknown[] = ["40.00", 19.99, "0.000001", 0.1, 0.2, 0.3, "123456789012345.678901", "-9007199254740993.25", 5, "1e3"]
const POISON: readonly (readonly [type: string, data: string])[] = [
  ["order.paid", `{"live":true,"currency":"EUR","amount":"1.1234567"}`],
  ["order.paid", `{"live":true,"currency":"EUR"}`],
  ["order.paid", `{"live":true,"currency":"EUR","amount":9007199254740993}`],
  ["order.refunded", `{"live":true,"currency":{"code":"EUR"},"amount":1}`],
  ["order.paid", `{"live":"yes","currency":"EUR","amount":1}`],
  ["order.paid", `{"live":true,"currency":"EUR","amount":"much"}`],
  ["order.paid", `{"live":true,"currency":"EUR","amount":1e999}`],
  ["page.viewed", `{"page":["/"],"durationMs":1}`],
  ["page.viewed", `{"page":"/","durationMs":"soon"}`],
  ["page.viewed", `{"page":9007199254740993}`],
  ["page.viewed", `[1,2]`]
]
const UNREADABLE = [
  "{not json", "[]", `"text"`, `{"specversion":"0.3"}`, `{"specversion":"1.0","type":""}`, `{"specversion":"1.0","type":"x","time":"yesterday"}`,
  `{"specversion":"1.0","type":"x","time":"2023-11-14T22:13:20.000Z"}`,
  `{"specversion":"1.0","type":"x","time":"2023-11-14T22:13:21.000Z","receivedat":"2023-11-14T22:13:20.000Z"}`,
  `{"specversion":"1.0","type":"x","time":"2023-11-14T22:13:20.000Z","receivedat":"2023-11-14T22:13:20.000Z","id":"i","source":"s","partitionkey":"k","schemaversion":0}`,
  `{"specversion":"1.0","type":"x","time":"2023-11-14T22:13:20.000Z","receivedat":"2023-11-14T22:13:20.000Z","id":"i","source":"s","tenantid":"acme","partitionkey":"k","schemaversion":-1}`,
  `{"specversion":"1.0","type":"tidemark.unknown","time":"2023-11-14T22:13:20.000Z","data":{}}`,
  `{"specversion":"1.0","type":"tidemark.late.applied","time":"2023-11-14T22:13:20.000Z","data":{"partition":0,"offset":"1","original":{}}}`
]

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

export class Workload {
  /** Receive time of the data, Unix ms. */
  nowMs: number
  private readonly random: SeededRandom
  private readonly partitions: number
  private readonly sent: { readonly event: EventAttributes; readonly data: string | undefined }[] = []
  private ids = 0
  private skewMs: number | undefined

  constructor(random: SeededRandom, partitions: number, startMs: number) {
    this.random = random
    this.partitions = partitions
    this.nowMs = startMs
  }

  /**
   * The next records; usually one. Some kinds need earlier records of the log. `skewMs`: how far the clock of the node that
   * receives them is ahead of the data's; by chance 0 or 0.9 s behind when nobody says.
   */
  next(stored: StoredRecords, skewMs?: number): readonly ProducedRecord[] {
    const { random } = this
    this.skewMs = skewMs
    this.nowMs += random.between(0, 8) * 500
    if (random.chance(0.006)) this.nowMs += random.pick([HOUR, 20 * HOUR, 25 * HOUR, DAY])
    const draw = random.next()
    if (draw < 0.05) return this.heartbeats()
    if (draw < 0.09) return this.release(stored)
    if (draw < 0.12) return [{ partition: random.between(0, this.partitions - 1), value: this.unreadable(), id: undefined }]
    if (draw < 0.2 && this.sent.length > 0) return [this.again()]
    return [this.fresh(draw < 0.26, draw < 0.35)]
  }

  /** What the receiving node's clock shows. */
  private get clockMs(): number {
    return this.nowMs + (this.skewMs ?? 0)
  }

  private unreadable(): Uint8Array {
    return this.random.chance(0.1) ? Uint8Array.of(0x7b, 0x22, 0xff, 0xfe) : bytesOf(this.random.pick(UNREADABLE))
  }

  private heartbeats(): readonly ProducedRecord[] {
    const value = encodeHeartbeat(this.clockMs)
    const partition = this.random.between(0, this.partitions - 1)
    if (this.random.chance(0.3)) return [{ partition, value, id: undefined }]
    return Array.from({ length: this.partitions }, (_, each) => ({ partition: each, value, id: undefined }))
  }

  /** Releases some earlier record, be it held or not; now and then one of another partition. */
  private release(stored: StoredRecords): readonly ProducedRecord[] {
    const { random } = this
    const partition = random.between(0, this.partitions - 1)
    const records = stored(partition)
    const offset = random.between(Math.max(0, records.length - 40), records.length)
    const original = records[offset]
    if (original === undefined || !new TextDecoder().decode(original).startsWith(`{"specversion":"1.0","id"`)) return this.heartbeats()
    const named = random.chance(0.05) ? (partition + 1) % this.partitions : partition
    const value = encodeLateApplied(this.clockMs, named, BigInt(offset), original)
    return random.chance(0.2) ? [{ partition, value, id: undefined }, { partition, value, id: undefined }] : [{ partition, value, id: undefined }]
  }

  private partitionOf(key: string): number {
    let sum = 0
    for (const letter of key) sum = sum * 31 + letter.charCodeAt(0)
    return sum % this.partitions
  }

  private produced(event: EventAttributes, data: string | undefined): ProducedRecord {
    return { partition: this.partitionOf(event.partitionKey), value: encodeEvent(event, data), id: event.id }
  }

  /** An earlier event once more: a retry, or the same id long after. */
  private again(): ProducedRecord {
    const { event, data } = this.random.pick(this.random.chance(0.7) ? this.sent.slice(-20) : this.sent)
    return this.produced({ ...event, receivedAtMs: Math.max(this.clockMs, event.timeMs) }, data)
  }

  private timeMs(receivedMs: number, imported: boolean): number {
    const { random } = this
    if (imported) return receivedMs - random.between(0, 20) * 6 * HOUR - random.between(0, MINUTE)
    const draw = random.next()
    if (draw < 0.06) return receivedMs - (receivedMs % MINUTE) - random.pick([0, 1, 30 * SECOND, MINUTE])
    if (draw < 0.65) return receivedMs - random.between(0, 5 * SECOND)
    if (draw < 0.85) return receivedMs - random.between(0, 90 * SECOND)
    if (draw < 0.96) return receivedMs - random.between(0, 10 * MINUTE)
    return receivedMs - random.between(0, 3 * DAY)
  }

  private fresh(poisoned: boolean, imported: boolean): ProducedRecord {
    const { random } = this
    const tenantId = random.pick(TENANTS)
    const userId = random.pick(USERS)
    const anonymousId = random.chance(0.5) ? `a${random.between(0, 3)}` : undefined
    const receivedAtMs = this.skewMs === undefined ? this.nowMs - random.pick([0, 0, 0, 900]) : this.clockMs
    const [type, data] = poisoned ? random.pick(POISON) : this.payload()
    const event: EventAttributes = {
      id: imported ? `row-${random.between(0, 40)}` : `e${++this.ids}`, source: "urn:sim", type, timeMs: this.timeMs(receivedAtMs, imported), receivedAtMs, tenantId,
      partitionKey: `${tenantId}:${userId ?? anonymousId ?? "none"}`, schemaVersion: type === "page.viewed" ? random.pick([0, 1, 2]) : random.pick([0, 1]),
      userId, anonymousId, backfill: imported ? random.pick(["spring", "autumn"]) : undefined
    }
    this.sent.push({ event, data })
    return this.produced(event, data)
  }

  private payload(): readonly [type: string, data: string | undefined] {
    const { random } = this
    const draw = random.next()
    if (draw < 0.5) return ["page.viewed", JSON.stringify({ page: random.pick(PAGES), durationMs: random.pick(DURATIONS), durationSeconds: random.pick([undefined, 1.5, null]) })]
    if (draw < 0.85) {
      const live = random.pick([true, true, true, false, null, undefined])
      return [random.pick(["order.paid", "order.paid", "order.refunded"]), JSON.stringify({ live, currency: random.pick(["EUR", "USD", "JPY"]), amount: random.pick(AMOUNTS) })]
    }
    return [random.pick(["signed.up", "searched", "shared", "liked", "left"]), random.chance(0.3) ? undefined : "{}"]
  }
}
