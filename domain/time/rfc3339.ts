/** RFC 3339 instants to Unix ms and back; strict, and quick on the form Tidemark writes itself. */

const FORM = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?([Zz]|([+-])(\d{2}):(\d{2}))$/

/** Years 0000–9999, as RFC 3339 can write them. */
export const TIME_MS_MIN = -62_167_219_200_000
export const TIME_MS_MAX = 253_402_300_799_999

const daysInMonth = (year: number, month: number): number => new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate()

const utcMs = (year: number, month: number, day: number, hour: number, minute: number, second: number): number => {
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  date.setUTCHours(hour, minute, second)
  return date.getTime()
}

const parseSlow = (text: string): number | undefined => {
  const match = FORM.exec(text)
  if (match === null) return undefined
  const field = (index: number) => Number(match[index])
  const [year, month, day, hour, minute, second] = [field(1), field(2), field(3), field(4), field(5), field(6)] as const
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month) || hour > 23 || minute > 59 || second > 59) return undefined
  const milliseconds = Number(((match[7] ?? "") + "000").slice(0, 3))
  const offsetMinutes = match[9] === undefined ? 0 : (field(10) * 60 + field(11)) * (match[9] === "-" ? -1 : 1)
  if (match[9] !== undefined && (field(10) > 23 || field(11) > 59)) return undefined
  const ms = utcMs(year, month, day, hour, minute, second) + milliseconds - offsetMinutes * 60_000
  return ms < TIME_MS_MIN || ms > TIME_MS_MAX ? undefined : ms
}

/** Value of the decimal digits in [from, to); NaN when one is none. */
const digitsAt = (text: string, from: number, to: number): number => {
  let value = 0
  for (let at = from; at < to; at++) {
    const digit = text.charCodeAt(at) - 48
    if (digit < 0 || digit > 9) return NaN
    value = value * 10 + digit
  }
  return value
}

/** Days from 1970-01-01 to a day of the proleptic Gregorian calendar; years begin in March here, so leap days come last. */
const daysFromEpoch = (year: number, month: number, day: number): number => {
  const marchYear = month > 2 ? year : year - 1
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  return 365 * marchYear + Math.floor(marchYear / 4) - Math.floor(marchYear / 100) + Math.floor(marchYear / 400) + dayOfYear - 719_468
}

/** The form that `formatRfc3339` writes, by arithmetic; NaN for any other text. */
const parseOwnForm = (text: string): number => {
  if (text.length !== 24 || text.charCodeAt(4) !== 45 || text.charCodeAt(7) !== 45 || text.charCodeAt(10) !== 84) return NaN
  if (text.charCodeAt(13) !== 58 || text.charCodeAt(16) !== 58 || text.charCodeAt(19) !== 46 || text.charCodeAt(23) !== 90) return NaN
  const year = digitsAt(text, 0, 4)
  const month = digitsAt(text, 5, 7)
  const day = digitsAt(text, 8, 10)
  const hour = digitsAt(text, 11, 13)
  const minute = digitsAt(text, 14, 16)
  const second = digitsAt(text, 17, 19)
  if (!(month >= 1 && month <= 12 && day >= 1 && hour <= 23 && minute <= 59 && second <= 59)) return NaN
  if (day > 28 && day > daysInMonth(year, month)) return NaN
  return daysFromEpoch(year, month, day) * 86_400_000 + hour * 3_600_000 + minute * 60_000 + second * 1_000 + digitsAt(text, 20, 23)
}

/** Value of the decimal digits in [from, to); NaN when one is none. */
const digitsIn = (bytes: Uint8Array, from: number, to: number): number => {
  let value = 0
  for (let at = from; at < to; at++) {
    const digit = (bytes[at] ?? 0) - 48
    if (digit < 0 || digit > 9) return NaN
    value = value * 10 + digit
  }
  return value
}

/** The day read last: most records are of the same one. Its ten characters as two numbers, and its first Unix ms. */
let lastYearMonth = NaN
let lastReadDay = NaN
let lastDayMs = NaN

/** Unix ms of the 24 bytes at `at` in the form that `formatRfc3339` writes; NaN for anything else, though it may be RFC 3339. */
export const parseRfc3339Bytes = (bytes: Uint8Array, at: number): number => {
  if (bytes[at + 4] !== 45 || bytes[at + 7] !== 45 || bytes[at + 10] !== 84 || bytes[at + 13] !== 58 || bytes[at + 16] !== 58 || bytes[at + 19] !== 46 || bytes[at + 23] !== 90) return NaN
  const yearMonth = digitsIn(bytes, at, at + 4) * 100 + digitsIn(bytes, at + 5, at + 7)
  const day = digitsIn(bytes, at + 8, at + 10)
  if (yearMonth !== lastYearMonth || day !== lastReadDay) {
    const year = Math.floor(yearMonth / 100)
    const month = yearMonth % 100
    if (!(month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month))) return NaN
    lastYearMonth = yearMonth
    lastReadDay = day
    lastDayMs = daysFromEpoch(year, month, day) * 86_400_000
  }
  const hour = digitsIn(bytes, at + 11, at + 13)
  const minute = digitsIn(bytes, at + 14, at + 16)
  const second = digitsIn(bytes, at + 17, at + 19)
  if (!(hour <= 23 && minute <= 59 && second <= 59)) return NaN
  return lastDayMs + hour * 3_600_000 + minute * 60_000 + second * 1_000 + digitsIn(bytes, at + 20, at + 23)
}

/** Unix ms of an RFC 3339 text; digits beyond the millisecond are cut off. Undefined when it is not one. */
export const parseRfc3339 = (text: string): number | undefined => {
  const ms = parseOwnForm(text)
  return ms === ms ? ms : parseSlow(text)
}

/** Unix ms from RFC 3339 text or a number of Unix ms; undefined for anything else or a fraction of a ms. */
export const parseTime = (value: unknown): number | undefined => {
  if (typeof value === "string") return parseRfc3339(value)
  return typeof value === "number" && Number.isSafeInteger(value) && value >= TIME_MS_MIN && value <= TIME_MS_MAX ? value : undefined
}

const DAY_MS = 86_400_000
const TWO_DIGITS = Array.from({ length: 60 }, (_, i) => String(i).padStart(2, "0"))
const THREE_DIGITS = Array.from({ length: 1_000 }, (_, i) => String(i).padStart(3, "0"))
/** The day written last and its text: times that are written one after another mostly share it. */
let lastDay = NaN
let lastDayText = ""

/** RFC 3339, UTC, always three digits of milliseconds. `ms`: an integer in [TIME_MS_MIN, TIME_MS_MAX]. */
export const formatRfc3339 = (ms: number): string => {
  const day = Math.floor(ms / DAY_MS)
  if (day !== lastDay) {
    lastDayText = new Date(day * DAY_MS).toISOString().slice(0, 11)
    lastDay = day
  }
  const ofDay = ms - day * DAY_MS
  const seconds = Math.floor(ofDay / 1_000)
  const minutes = Math.floor(seconds / 60)
  return `${lastDayText}${TWO_DIGITS[Math.floor(minutes / 60)] ?? ""}:${TWO_DIGITS[minutes % 60] ?? ""}:${TWO_DIGITS[seconds % 60] ?? ""}.${THREE_DIGITS[ofDay - seconds * 1_000] ?? ""}Z`
}
