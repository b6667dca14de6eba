/**
 * Apache/nginx combined log format, one request a line, to `http.request` events.
 *
 * `host ident user [time] "request" status bytes "referrer" "user agent"`; the last two are optional (common
 * format). A `-` is null, never 0. `path` is without the query string. A `name:port` before the host, as in
 * `vhost_combined`, is the virtual host. A time that does not exist makes the line unreadable.
 */
import { formatRfc3339, parseRfc3339 } from "@tidemark/domain/time/rfc3339"

/** The request of one line. */
export interface AccessLogEntry {
  /** RFC 3339, UTC, milliseconds. */
  readonly time: string
  readonly data: {
    /** Name and port of the virtual host; absent where the format has none. */
    readonly vhost?: string
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
/** `name:port`; an IPv6 address without brackets has more than one colon. */
const VHOST = String.raw`(?:[^\s:]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}`
const LINE = new RegExp(
  String.raw`^(?:(${VHOST}) (?!- )|(?!${VHOST} ))(\S+) \S+ .*?\[(\d{2})/(\w{3})/(\d{4}):(\d{2}:\d{2}:\d{2}) ([+-]\d{2})(\d{2})\] ${QUOTED} (\d{3}) (\d+|-)(?: ${QUOTED} ${QUOTED})?\s*$`
)
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

const orNull = (text: string | undefined): string | null => (text === undefined || text === "-" || text === "" ? null : text)
const unescape = (text: string | null): string | null => (text === null ? null : text.replace(/\\(["\\])/g, "$1"))

/** Method and target of `GET /a HTTP/1.1`: servers log a target with spaces as the client sent it. */
const requestOf = (request: string): readonly [method: string | null, target: string | null] => {
  const first = request.indexOf(" ")
  if (first <= 0) return [null, null]
  const last = request.lastIndexOf(" ")
  const target = request.slice(first, request.startsWith("HTTP/", last + 1) ? last : undefined).trim()
  return [request.slice(0, first), target === "" ? null : target]
}

/** The entry of one line, or undefined when the line is not in the format. */
export const parseAccessLogLine = (line: string): AccessLogEntry | undefined => {
  const match = LINE.exec(line)
  if (match === null) return undefined
  const [, vhost, ip, day, monthName, year, timeOfDay, offsetHours, offsetMinutes, request, status, bytes, referrer, userAgent] = match
  const month = String(MONTHS.indexOf(monthName ?? "") + 1).padStart(2, "0")
  const timeMs = parseRfc3339(`${year}-${month}-${day}T${timeOfDay}${offsetHours}:${offsetMinutes}`)
  if (timeMs === undefined) return undefined
  const [method, target] = requestOf(request ?? "")
  const mark = target === null ? -1 : target.indexOf("?")
  return {
    time: formatRfc3339(timeMs),
    data: {
      ...(vhost === undefined ? {} : { vhost }),
      ip: ip ?? "",
      method,
      path: target === null || mark < 0 ? target : target.slice(0, mark),
      query: target === null || mark < 0 ? null : target.slice(mark + 1),
      status: Number(status),
      bytes: bytes === "-" ? null : Number(bytes),
      referrer: unescape(orNull(referrer)),
      userAgent: unescape(orNull(userAgent))
    }
  }
}
