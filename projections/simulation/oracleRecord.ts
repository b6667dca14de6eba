/** The oracle's own reading of one record of the log. Rules: docs/semantics.md §2. */

export interface OracleEvent {
  readonly kind: "event"
  readonly id: string
  readonly type: string
  readonly timeMs: number
  readonly receivedMs: number
  readonly tenant: string
  readonly partitionKey: string
  readonly schemaVersion: number
  readonly user: string | undefined
  readonly anonymous: string | undefined
  readonly backfill: string | undefined
  readonly data: unknown
}

export type OracleRecord =
  | OracleEvent
  | { readonly kind: "created" | "heartbeat"; readonly timeMs: number }
  | { readonly kind: "release"; readonly timeMs: number; readonly partition: number; readonly offset: bigint; readonly original: OracleEvent }
  | { readonly kind: "unreadable"; readonly pointer: string }

type Fields = Readonly<Record<string, unknown>>

const unreadable = (pointer: string): OracleRecord => ({ kind: "unreadable", pointer })

const timeOf = (value: unknown): number | undefined => {
  if (typeof value !== "string" || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value)) return undefined
  const ms = Date.parse(value)
  return Number.isNaN(ms) ? undefined : ms
}

const readEvent = (fields: Fields, type: string): OracleRecord => {
  const timeMs = timeOf(fields["time"])
  if (timeMs === undefined) return unreadable("/time")
  const receivedMs = timeOf(fields["receivedat"])
  if (receivedMs === undefined) return unreadable("/receivedat")
  if (timeMs > receivedMs) return unreadable("/time")
  for (const name of ["id", "source", "tenantid", "partitionkey"]) {
    const value = fields[name]
    if (typeof value !== "string" || value.length === 0) return unreadable(`/${name}`)
  }
  for (const name of ["userid", "anonymousid", "sessionid", "backfill"]) {
    const value = fields[name]
    if (value !== undefined && typeof value !== "string") return unreadable(`/${name}`)
  }
  const schemaVersion = fields["schemaversion"]
  if (typeof schemaVersion !== "number" || schemaVersion < 0 || schemaVersion % 1 !== 0) return unreadable("/schemaversion")
  return {
    kind: "event", type, timeMs, receivedMs, schemaVersion,
    id: String(fields["id"]), tenant: String(fields["tenantid"]), partitionKey: String(fields["partitionkey"]),
    user: fields["userid"] as string | undefined, anonymous: fields["anonymousid"] as string | undefined,
    backfill: fields["backfill"] as string | undefined, data: fields["data"]
  }
}

const readSystem = (fields: Fields, type: string): OracleRecord => {
  const timeMs = timeOf(fields["time"])
  if (timeMs === undefined) return unreadable("/data")
  if (type === "tidemark.heartbeat") return { kind: "heartbeat", timeMs }
  const data = fields["data"]
  if (typeof data !== "object" || data === null) return unreadable("/data")
  if (type === "tidemark.log.created") return { kind: "created", timeMs }
  const { partition, offset, original } = data as { partition?: unknown; offset?: unknown; original?: unknown }
  if (type !== "tidemark.late.applied" || typeof partition !== "number" || typeof offset !== "string") return unreadable("/data")
  const event = readFields(original)
  return event.kind === "event" ? { kind: "release", timeMs, partition, offset: BigInt(offset), original: event } : unreadable("/data/original")
}

const readFields = (value: unknown): OracleRecord => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return unreadable("")
  const fields = value as Fields
  if (fields["specversion"] !== "1.0") return unreadable("/specversion")
  const type = fields["type"]
  if (typeof type !== "string" || type.length === 0) return unreadable("/type")
  return type.startsWith("tidemark.") ? readSystem(fields, type) : readEvent(fields, type)
}

const decoder = new TextDecoder("utf-8", { fatal: true })

const read = (bytes: Uint8Array): OracleRecord => {
  try {
    return readFields(JSON.parse(decoder.decode(bytes)))
  } catch {
    return unreadable("")
  }
}

/** Read before: the oracles of all projections read the same records. */
const readBefore = new WeakMap<Uint8Array, OracleRecord>()

/** What the bytes say, which never change. Never throws. */
export const readOracleRecord = (bytes: Uint8Array): OracleRecord => {
  let record = readBefore.get(bytes)
  if (record === undefined) {
    record = read(bytes)
    readBefore.set(bytes, record)
  }
  return record
}
