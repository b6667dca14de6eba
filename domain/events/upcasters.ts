/** Pure upcasters: the payload of an old schema version as a newer one. */
type Upcaster = (data: Readonly<Record<string, unknown>>) => unknown

const pageViewed1to2: Upcaster = ({ durationSeconds, ...rest }) => {
  if (durationSeconds === undefined || durationSeconds === null) return rest
  if (typeof durationSeconds !== "number") throw new TypeError("durationSeconds is no number")
  return { ...rest, durationMs: Math.round(durationSeconds * 1000) }
}

const upcasters: ReadonlyMap<string, Upcaster> = new Map([["page.viewed:1", pageViewed1to2]])

/** `data` of version `from` as version `to`. Throws when a step is missing or the payload does not fit it. */
export const upcast = (type: string, data: unknown, from: number, to: number): unknown => {
  let current = data
  for (let version = from; version < to; version++) {
    const step = upcasters.get(`${type}:${version}`)
    if (step === undefined) throw new RangeError(`no upcaster for ${type} ${version}`)
    if (typeof current !== "object" || current === null || Array.isArray(current)) throw new TypeError("payload is no object")
    current = step(current as Readonly<Record<string, unknown>>)
  }
  return current
}

/** Names the set of upcasters; it changes with any of them. */
export const upcasterSetHash = (): string => "page.viewed:1>2@1"
