/**
 * Apache/nginx combined log format, one request a line, to `http.request` events.
 *
 * `host ident user [time] "request" status bytes "referrer" "user agent"`; the last two are optional (common
 * format). A `-` is null, never 0. `path` is without the query string.
 */
export interface AccessLogEntry {
  /** RFC 3339, UTC, milliseconds. */
  readonly time: string
  readonly data: {
    readonly ip: string
    readonly method: string | null
    readonly path: string | null
    readonly query: string | null
    readonly status: number
    readonly bytes: number | null
    readonly referrer: string | null
    readonly userAgent: string | null
  }
}

const QUOTED = String.raw`"((?:[^"\\]|\\.)*)"`
const LINE = new RegExp(
  String.raw`^(\S+) \S+ .*?\[(\d{2})/(\w{3})/(\d{4}):(\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})\] ${QUOTED} (\d{3}) (\d+|-)(?: ${QUOTED} ${QUOTED})?\s*$`
)
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

const orNull = (text: string | undefined): string | null => (text === undefined || text === "-" || text === "" ? null : text)
const unescape = (text: string | null): string | null => (text === null ? null : text.replace(/\\(["\\])/g, "$1"))

/** The entry of one line, or undefined when the line is not in the format. */
export const parseAccessLogLine = (line: string): AccessLogEntry | undefined => {
  const match = LINE.exec(line)
  if (match === null) return undefined
  const [, ip, day, monthName, year, hour, minute, second, sign, offsetHours, offsetMinutes, request, status, bytes, referrer, userAgent] = match
  const month = MONTHS.indexOf(monthName ?? "")
  if (month < 0) return undefined
  const localMs = Date.UTC(Number(year), month, Number(day), Number(hour), Number(minute), Number(second))
  const offsetMs = (Number(offsetHours) * 60 + Number(offsetMinutes)) * 60_000 * (sign === "-" ? -1 : 1)
  const words = (request ?? "").split(" ")
  const target = words.length >= 2 ? (words[1] ?? null) : null
  const mark = target === null ? -1 : target.indexOf("?")
  return {
    time: new Date(localMs - offsetMs).toISOString(),
    data: {
      ip: ip ?? "",
      method: words.length >= 2 ? (words[0] ?? null) : null,
      path: target === null || mark < 0 ? target : target.slice(0, mark),
      query: target === null || mark < 0 ? null : target.slice(mark + 1),
      status: Number(status),
      bytes: bytes === "-" ? null : Number(bytes),
      referrer: unescape(orNull(referrer)),
      userAgent: unescape(orNull(userAgent))
    }
  }
}
