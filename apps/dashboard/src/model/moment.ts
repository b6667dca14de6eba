/**
 * A moment as people type it, for looking at the past. Times are Unix ms UTC. Pure.
 */
const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, min: 60_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const AGO = /^(\d{1,6}) ?(s|min|m|h|d)(?: ago)?$/
const CLOCK = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/
const DATE = /^\d{4}-\d{2}-\d{2}(?:[t ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:z|[+-]\d{2}:\d{2})?)?$/

/** The last time this clock time was, in UTC. */
const lastClock = ([, hour, minute, second = "0"]: RegExpExecArray, nowMs: number): number | undefined => {
  const [hours, minutes, seconds] = [Number(hour), Number(minute), Number(second)]
  if (hours > 23 || minutes > 59 || seconds > 59) return undefined
  const atMs = Math.floor(nowMs / 86_400_000) * 86_400_000 + ((hours * 60 + minutes) * 60 + seconds) * 1_000
  return atMs > nowMs ? atMs - 86_400_000 : atMs
}

/**
 * `5 min ago`, `2 h`, `12:03` and `12:03:20` (the last time it was that), a date, or RFC 3339; without a zone it is UTC.
 * Undefined when it is none of these, or not past.
 */
export const parseMoment = (typed: string, nowMs: number): number | undefined => {
  const text = typed.trim().toLowerCase()
  const ago = AGO.exec(text)
  if (ago !== null) return nowMs - Number(ago[1]) * (UNITS_MS[ago[2] ?? ""] ?? 0)
  const clock = CLOCK.exec(text)
  if (clock !== null) return lastClock(clock, nowMs)
  if (!DATE.test(text)) return undefined
  const zoned = /(?:z|[+-]\d{2}:\d{2})$/.test(text.slice(10)) || text.length === 10
  const atMs = Date.parse(`${text.toUpperCase().replace(" ", "T")}${zoned ? "" : "Z"}`)
  return atMs < nowMs ? atMs : undefined
}
