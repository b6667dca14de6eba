/** Times on the command line: RFC 3339, or a date alone for its midnight UTC. */
import { CliError } from "./client.ts"

const DATE = /^\d{4}-\d{2}-\d{2}$/

/** RFC 3339 text of an argument. Throws `CliError` (usage) when it is no time. */
export const timeText = (value: string): string => {
  const text = DATE.test(value) ? `${value}T00:00:00.000Z` : value
  if (!/^\d{4}-\d{2}-\d{2}T/.test(text) || Number.isNaN(Date.parse(text))) throw new CliError(`"${value}" is no time: write 2026-01-31 or 2026-01-31T12:00:00Z.`, 2)
  return text
}

const UNITS = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1_000]] as const

/** A duration in its two largest units, such as `8 d 3 h`; below a second in ms. */
export const durationText = (ms: number): string => {
  const first = UNITS.findIndex(([, size]) => ms >= size)
  if (first < 0) return `${Math.round(ms)} ms`
  let rest = ms
  return UNITS.slice(first, first + 2).flatMap(([unit, size]) => {
    const count = Math.floor(rest / size)
    rest -= count * size
    return count === 0 ? [] : [`${count} ${unit}`]
  }).join(" ")
}
