/** Times on the command line: RFC 3339; without seconds they are 0, without a zone it is UTC, a date alone is its midnight. */
import { formatRfc3339, parseRfc3339 } from "@tidemark/domain/time/rfc3339"
import { CliError } from "./client.ts"

const TIME = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(:\d{2}(?:\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/i

/** RFC 3339 text of an argument, UTC with milliseconds. Throws `CliError` (usage) when it is no time. */
export const timeText = (value: string): string => {
  const [, date, minute = "00:00", second = ":00", zone = "Z"] = TIME.exec(value) ?? []
  const atMs = date === undefined ? undefined : parseRfc3339(`${date}T${minute}${second}${zone}`)
  if (atMs === undefined) throw new CliError(`"${value}" is no time: write 2026-01-31 or 2026-01-31T12:00:00Z.`, 2)
  return formatRfc3339(atMs)
}

/** Throws `CliError` (usage) unless `to`, the first instant after a range, is later than `from`. */
export const checkRange = (from: string | undefined, to: string | undefined): void => {
  if (from !== undefined && to !== undefined && Date.parse(from) >= Date.parse(to)) throw new CliError(`--to (${to}) is the first instant after the range: give one later than --from (${from}).`, 2)
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
