import { readdirSync, readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { decodeRecord, encodeEvent } from "../envelope.ts"
import { partitionKeyOf } from "../partitioning.ts"
import { upcast } from "../upcasters.ts"
import { eventTypes } from "./catalogue.ts"
import type { JsonSchema } from "./eventType.ts"

const typeOf = (value: unknown): string[] => {
  if (value === null) return ["null"]
  if (Array.isArray(value)) return ["array"]
  return Number.isInteger(value) ? ["integer", "number"] : [typeof value]
}

/** Faults of `value`, for the keywords the shipped schemas use; another keyword is a fault. */
const faults = (schema: JsonSchema, value: unknown, at = ""): string[] =>
  Object.entries(schema).flatMap(([keyword, rule]) => {
    switch (keyword) {
      case "type":
        return typeOf(value).some((type) => [rule].flat().includes(type)) ? [] : [`${at} type`]
      case "required":
        return (rule as string[]).filter((name) => !Object.hasOwn(value as object, name)).map((name) => `${at}/${name} required`)
      case "properties":
        return Object.entries(rule as Record<string, JsonSchema>).flatMap(([name, field]) =>
          Object.hasOwn(value as object, name) ? faults(field, (value as Record<string, unknown>)[name], `${at}/${name}`) : [])
      case "minimum":
        return typeof value !== "number" || value >= (rule as number) ? [] : [`${at} minimum`]
      case "maximum":
        return typeof value !== "number" || value <= (rule as number) ? [] : [`${at} maximum`]
      case "minLength":
        return typeof value !== "string" || value.length >= (rule as number) ? [] : [`${at} minLength`]
      case "pattern":
        return typeof value !== "string" || new RegExp(rule as string, "u").test(value) ? [] : [`${at} pattern`]
      default:
        return [`${at} unknown keyword ${keyword}`]
    }
  })

const schemaOf = (type: string, version: number): JsonSchema => {
  const found = eventTypes.find((entry) => entry.type === type && entry.version === version)
  if (found === undefined) throw new RangeError(`${type} ${version}`)
  return found.schema
}

describe("event types", () => {
  it("are nine, with versions from 1 without gaps, each given once", () => {
    const versions = new Map<string, number[]>()
    for (const { type, version } of eventTypes) versions.set(type, [...(versions.get(type) ?? []), version])
    expect(versions.size).toBe(9)
    for (const given of versions.values()) expect(given).toEqual(given.map((_, at) => at + 1))
  })

  it.each(eventTypes.map((entry) => [`${entry.type} v${entry.version}`, entry] as const))("%s accepts its recorded payloads", (_, { schema, fixtures }) => {
    expect(fixtures.length).toBeGreaterThan(0)
    for (const fixture of fixtures) expect(faults(schema, fixture)).toEqual([])
  })

  it.each([
    ["page.viewed", 1, { durationSeconds: 1 }, "/page required"],
    ["page.viewed", 1, { page: "/", durationSeconds: -1 }, "/durationSeconds minimum"],
    ["page.viewed", 2, { page: "/", durationMs: 1.5 }, "/durationMs type"],
    ["page.viewed", 2, { page: "/", durationMs: null }, "/durationMs type"],
    ["http.request", 1, { ip: null, status: 200 }, "/ip type"],
    ["http.request", 1, { ip: "203.0.113.9", status: null }, "/status type"],
    ["http.request", 2, { ip: "203.0.113.9", status: 200, vhost: 80 }, "/vhost type"],
    ["order.paid", 1, { orderId: "1", amount: "1e3", currency: "EUR" }, "/amount pattern"],
    ["order.refunded", 1, { orderId: "1", amount: -1, currency: "EUR" }, "/amount minimum"],
    ["order.paid", 1, { orderId: "1", amount: 1, currency: "euro" }, "/currency pattern"]
  ])("%s v%i refuses %j", (type, version, data, fault) => {
    expect(faults(schemaOf(type, version), data)).toEqual([fault])
  })
})

/** Records of one schema version as logs hold them, and what each payload reads as in the newest version. Never edited, only added to. */
interface RecordedEvent {
  readonly record: Readonly<Record<string, unknown>>
  readonly newest: unknown
}

const folder = new URL("./fixtures/", import.meta.url)
const recordedOf = (file: string): readonly RecordedEvent[] => JSON.parse(readFileSync(new URL(file, folder), "utf8")) as readonly RecordedEvent[]
const newestOf = (type: string): number => Math.max(...eventTypes.filter((entry) => entry.type === type).map(({ version }) => version))

describe("recorded events", () => {
  it("are one file for each schema version", () => {
    expect(readdirSync(folder).sort()).toEqual(eventTypes.map(({ type, version }) => `${type}.${version}.json`).sort())
  })

  it.each(eventTypes.map(({ type, version }) => [type, version] as const))("%s v%i still decode, match their schema and read as before in the newest version", (type, version) => {
    const recorded = recordedOf(`${type}.${version}.json`)
    expect(recorded.length).toBeGreaterThan(1)
    for (const { record, newest } of recorded) {
      const bytes = new TextEncoder().encode(JSON.stringify(record))
      const decoded = decodeRecord(bytes)
      if (decoded.kind !== "event") throw new RangeError(`${String(record["id"])} is ${decoded.kind}`)
      const { event } = decoded
      expect([event.type, event.schemaVersion]).toEqual([type, version])
      expect(encodeEvent(event, JSON.stringify(event.data))).toEqual(bytes)
      expect(partitionKeyOf(event.tenantId, event)).toBe(event.partitionKey)
      expect(faults(schemaOf(type, version), event.data)).toEqual([])
      expect(upcast(type, event.data, version, newestOf(type))).toEqual(newest)
      expect(faults(schemaOf(type, newestOf(type)), newest)).toEqual([])
    }
  })
})
