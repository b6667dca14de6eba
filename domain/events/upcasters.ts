/** Pure upcasters: the payload of an old schema version as a newer one. */
import { sha256 } from "@noble/hashes/sha2.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"
import { canonicalJson } from "../definitions/canonicalJson.ts"
import { eventTypes } from "./types/catalogue.ts"
import type { EventTypeVersion } from "./types/eventType.ts"

type Payload = Readonly<Record<string, unknown>>

/** The step from version `from` of a type to the next. */
export interface Upcaster {
  readonly type: string
  readonly from: number
  /** Rises with any change of `step`, also one that no fixture shows. */
  readonly revision: number
  /** Pure. Throws when the payload is none of its version. */
  readonly step: (data: Payload) => Payload
}

/** An event type as a definition takes it. */
export interface UpcastRequest {
  readonly type: string
  readonly upcastTo?: number
}

const pageViewed1to2 = ({ durationSeconds, ...rest }: Payload): Payload => {
  if (durationSeconds === undefined || durationSeconds === null) return rest
  if (typeof durationSeconds !== "number") throw new TypeError("durationSeconds is no number")
  return { ...rest, durationMs: Math.round(durationSeconds * 1000) }
}

/** Version 1 does not name `vhost`, so it may hold anything there; what is no text cannot be a host. */
const httpRequest1to2 = ({ vhost, ...rest }: Payload): Payload => (typeof vhost === "string" ? { ...rest, vhost } : rest)

/** The upcasters that ship. */
export const upcasters: readonly Upcaster[] = [
  { type: "page.viewed", from: 1, revision: 1, step: pageViewed1to2 },
  { type: "http.request", from: 1, revision: 1, step: httpRequest1to2 }
]

const stepName = (type: string, from: number): string => `${type}:${from}`
const byStep: ReadonlyMap<string, Upcaster> = new Map(upcasters.map((upcaster) => [stepName(upcaster.type, upcaster.from), upcaster]))

/** `data` of version `from` as version `to`. Throws when a step is missing or the payload does not fit it. */
export const upcast = (type: string, data: unknown, from: number, to: number): unknown => {
  let current = data
  for (let version = from; version < to; version++) {
    const upcaster = byStep.get(stepName(type, version))
    if (upcaster === undefined) throw new RangeError(`no upcaster for ${type} ${version}`)
    if (typeof current !== "object" || current === null || Array.isArray(current)) throw new TypeError("payload is no object")
    current = upcaster.step(current as Payload)
  }
  return current
}

/** SHA-256, 64 hex characters, of the steps: type, version, revision and what each makes of the recorded payloads. */
export const digestUpcasters = (steps: readonly Upcaster[], recorded: readonly EventTypeVersion[]): string => {
  const described = steps.map(({ type, from, revision, step }) => ({
    type,
    from,
    revision,
    results: recorded.filter((version) => version.type === type && version.version === from).flatMap(({ fixtures }) => fixtures.map(step))
  }))
  return bytesToHex(sha256(utf8ToBytes(canonicalJson(described))))
}

/** Digest of the upcasters that `requests` rely on; of all without an argument. Another one means another result is possible. */
export const upcasterSetHash = (requests?: readonly UpcastRequest[]): string => {
  const isUsed = ({ type, from }: Upcaster): boolean =>
    requests === undefined || requests.some((request) => request.type === type && request.upcastTo !== undefined && from < request.upcastTo)
  return digestUpcasters(upcasters.filter(isUsed), eventTypes)
}
