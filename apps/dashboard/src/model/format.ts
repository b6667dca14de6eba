/**
 * Numbers, times and decimals as text. Times are shown in UTC. Pure.
 */
const LOCALE = "en-GB"
const whole = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 })
const fine = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 2 })
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 })
const clock = new Intl.DateTimeFormat(LOCALE, { timeZone: "UTC", hour: "2-digit", minute: "2-digit" })
const clockSeconds = new Intl.DateTimeFormat(LOCALE, { timeZone: "UTC", hour: "2-digit", minute: "2-digit", second: "2-digit" })
const dayOfYear = new Intl.DateTimeFormat(LOCALE, { timeZone: "UTC", day: "numeric", month: "short", year: "numeric" })
const day = new Intl.DateTimeFormat(LOCALE, { timeZone: "UTC", day: "numeric", month: "short" })

/** `1,204`; fractions keep two digits. */
export const formatNumber = (value: number): string => (Number.isInteger(value) ? whole : fine).format(value)

/** `1.2M` for axes and narrow places. */
export const formatCompact = (value: number): string => compact.format(value)

/** `12:04` in UTC. */
export const formatClock = (atMs: number): string => clock.format(atMs)

/** `12:04:50` in UTC. */
export const formatClockSeconds = (atMs: number): string => clockSeconds.format(atMs)

/** `24 Nov`. */
export const formatDay = (atMs: number): string => day.format(atMs)

/** `12:04:50` in UTC, with the day before it where that is not the day of `nowMs`, and its year where that is another one. */
export const formatMoment = (atMs: number, nowMs: number): string => {
  if (Math.floor(atMs / 86_400_000) === Math.floor(nowMs / 86_400_000)) return formatClockSeconds(atMs)
  const isOtherYear = new Date(atMs).getUTCFullYear() !== new Date(nowMs).getUTCFullYear()
  return `${isOtherYear ? dayOfYear.format(atMs) : formatDay(atMs)} ${formatClockSeconds(atMs)}`
}

/** `12:04`, or `24 Nov, 12:00` for windows of an hour and more. */
export const formatStart = (atMs: number, lengthMs: number): string => (lengthMs < 3_600_000 ? formatClock(atMs) : `${formatDay(atMs)}, ${formatClock(atMs)}`)

/** Axis label: the day on midnight of long ranges, else the time. */
export const formatTick = (atMs: number, tickMs: number): string =>
  tickMs >= 86_400_000 || (tickMs >= 3_600_000 && atMs % 86_400_000 === 0) ? formatDay(atMs) : formatClock(atMs)

/** `12:04 – 12:05 UTC`, with the day where the window is not within one clock day of reading. */
export const formatWindow = (startMs: number, endMs: number): string => {
  if (endMs - startMs >= 86_400_000) return `${formatDay(startMs)} UTC`
  const prefix = endMs - startMs >= 3_600_000 ? `${formatDay(startMs)}, ` : ""
  return `${prefix}${formatClock(startMs)} – ${formatClock(endMs)} UTC`
}

/** `8 s`, `6 m 02 s`, `3 h 10 m`, `2 d 4 h`. Never negative. */
export const formatDuration = (durationMs: number): string => {
  const seconds = Math.max(0, Math.round(durationMs / 1000))
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${String(seconds % 60).padStart(2, "0")} s`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} m`
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`
}

/** Groups the digits of a decimal of any length; the fraction stays as it is. */
export const formatDecimal = (text: string): string => {
  const [integer = "0", fraction] = text.split(".")
  const grouped = integer.replace(/\B(?=(\d{3})+(?!\d))/g, ",").replace("-", "−")
  return fraction === undefined ? grouped : `${grouped}.${fraction}`
}

/** Exact sum of decimal texts, with as many fraction digits as the longest of them. */
export const sumDecimals = (texts: readonly string[]): string => {
  const digits = texts.reduce((most, text) => Math.max(most, text.split(".")[1]?.length ?? 0), 0)
  let total = 0n
  for (const text of texts) {
    const [integer = "0", fraction = ""] = text.split(".")
    total += BigInt(integer + fraction.padEnd(digits, "0"))
  }
  const sign = total < 0n ? "-" : ""
  const padded = String(total < 0n ? -total : total).padStart(digits + 1, "0")
  return digits === 0 ? sign + padded : `${sign}${padded.slice(0, -digits)}.${padded.slice(-digits)}`
}

/** `±12` for an absolute error bound; empty when there is none. */
export const formatErrorBound = (bound: number | null): string => (bound === null ? "" : `±${bound < 10 ? fine.format(bound) : whole.format(Math.ceil(bound))}`)

/** Currency amounts with two fraction digits at least, as `EUR 1,240.00`. */
export const formatAmount = (currency: string, text: string): string => {
  const [integer = "0", fraction = ""] = text.split(".")
  return `${currency} ${formatDecimal(`${integer}.${fraction.padEnd(2, "0")}`)}`
}

/** One line of an event's payload for lists; never longer than `max` characters. */
export const formatPayload = (data: unknown, max = 160): string => {
  if (data === null || typeof data !== "object") return String(data ?? "")
  const text = Object.entries(data).map(([name, value]) => `${name}=${typeof value === "object" ? JSON.stringify(value) : String(value)}`).join("  ")
  return text.length > max ? `${text.slice(0, max - 1)}…` : text
}

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB"] as const

/** `3.1 GB`, in powers of 1000. */
export const formatBytes = (bytes: number): string => {
  let [value, unit] = [bytes, 0]
  while (value >= 1_000 && unit < BYTE_UNITS.length - 1) [value, unit] = [value / 1_000, unit + 1]
  return `${unit === 0 ? value : value.toFixed(1)} ${BYTE_UNITS[unit] ?? ""}`
}
