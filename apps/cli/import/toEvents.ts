/**
 * One input line or record to one line of NDJSON that ingest understands.
 *
 * The id is a hash of import name, line number and line unless a field is named, so the same import adds nothing
 * the second time. A line that cannot be read is sent as `{"unreadable": its text, "reason": why}`: ingest rejects it
 * and keeps it with its reason and number, once for an import.
 */
import { createHash } from "node:crypto"
import { parse as parseCsv } from "csv-parse"
import { parseAccessLogLine } from "./accessLog.ts"
import { readBytes, readLines } from "./readLines.ts"
import type { Line } from "./readLines.ts"

export interface ImportOptions {
  readonly format: "ndjson" | "access-log" | "csv"
  readonly name: string
  readonly type?: string
  readonly timeField?: string
  readonly userField?: string
  readonly idField?: string
  /** Target path in `data` → source path, from the YAML file of `--map`. */
  readonly map?: ReadonlyMap<string, string>
}

/** One line to send, without a line end. `problem` says why the input line could not be read. */
export interface ImportLine {
  readonly number: number
  readonly body: string
  readonly problem?: string
}

const lineId = (name: string, number: number, text: string): string =>
  createHash("sha256").update(`${name}\n${number}\n${text}`).digest("hex").slice(0, 32)

/** Characters a CSV record may have. */
const CSV_RECORD_MAX = 1_048_576
/** Most that is kept of a line that cannot be read, so that it fits into one line of NDJSON however it is escaped. */
const KEPT_BYTES_MAX = 30_000

const unreadable = (number: number, line: string, problem: string): ImportLine => {
  let kept = line.slice(0, KEPT_BYTES_MAX)
  const body = () => JSON.stringify({ unreadable: kept, reason: problem })
  while (Buffer.byteLength(body()) > KEPT_BYTES_MAX + problem.length) kept = kept.slice(0, Math.floor(kept.length / 2))
  return { number, body: body(), problem }
}

/** The value at a dotted path, or undefined. */
const at = (value: unknown, path: string): unknown => {
  let current = value
  for (const name of path.split(".")) {
    if (typeof current !== "object" || current === null) return undefined
    current = (current as Record<string, unknown>)[name]
  }
  return current
}

const mapped = (source: unknown, map: ReadonlyMap<string, string>): Record<string, unknown> => {
  const data: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  for (const [target, path] of map) {
    const names = target.split(".")
    let node = data
    for (const name of names.slice(0, -1)) {
      const next = (node[name] ??= Object.create(null)) as Record<string, unknown>
      node = next
    }
    node[names.at(-1) ?? target] = at(source, path) ?? null
  }
  return data
}

const text = (value: unknown): string | undefined =>
  value === undefined || value === null ? undefined : typeof value === "string" ? value : JSON.stringify(value)

const time = (value: unknown): string | number | undefined => {
  if (typeof value === "number") return value
  if (typeof value !== "string") return undefined
  return /^\d{12,14}$/.test(value) ? Number(value) : value.includes(" ") && !value.includes("T") ? value.replace(" ", "T") + (/[zZ]|[+-]\d\d:?\d\d$/.test(value) ? "" : "Z") : value
}

/** Why the record has no time where one was named; the moment of the import would be a wrong one. */
const timeFault = (source: unknown, { timeField }: ImportOptions): string | undefined =>
  timeField === undefined || time(at(source, timeField)) !== undefined ? undefined : `no time at ${timeField}, which --time-field names`

const fieldsOf = (source: unknown, options: ImportOptions, fallbackId: string): string => {
  const named = options.idField === undefined ? undefined : text(at(source, options.idField))
  const fields = {
    type: options.type,
    id: named ?? fallbackId,
    time: options.timeField === undefined ? undefined : time(at(source, options.timeField)),
    userId: options.userField === undefined ? undefined : text(at(source, options.userField))
  }
  return JSON.stringify(fields).slice(0, -1)
}

const fromJson = ({ number, text: line, fault }: Line, options: ImportOptions): ImportLine => {
  if (fault !== undefined) return unreadable(number, line, fault)
  const id = lineId(options.name, number, line)
  let source: unknown
  try {
    source = JSON.parse(line)
  } catch (error) {
    return unreadable(number, line, `not JSON: ${(error as Error).message}`)
  }
  if (options.type === undefined) {
    const native = source as Record<string, unknown> | null
    if (native === null || typeof native !== "object" || typeof native["type"] !== "string") {
      return unreadable(number, line, "no field `type`: name one with --type")
    }
    const body = "id" in native ? line : `{"id":${JSON.stringify(id)},${line.trim().slice(1)}`
    return { number, body }
  }
  const noTime = timeFault(source, options)
  if (noTime !== undefined) return unreadable(number, line, noTime)
  const data = options.map === undefined ? line : JSON.stringify(mapped(source, options.map))
  return { number, body: `${fieldsOf(source, options, id)},"data":${data}}` }
}

/** Log lines that are not UTF-8 are taken with replacement characters: servers log what clients sent. */
const fromAccessLog = ({ number, text: line, fault }: Line, options: ImportOptions): ImportLine => {
  const entry = fault === "longer than 1 MiB" ? undefined : parseAccessLogLine(line)
  if (entry === undefined) return unreadable(number, line, fault ?? "not in the combined log format")
  const type = options.type ?? "http.request"
  return { number, body: JSON.stringify({ type, id: lineId(options.name, number, line), time: entry.time, data: entry.data }) }
}

async function* fromCsv(path: string, options: ImportOptions, onBytes: (bytes: number) => void): AsyncGenerator<ImportLine> {
  const skipped: ImportLine[] = []
  const parser = parseCsv({
    columns: true, relax_column_count: true, relax_quotes: true, skip_empty_lines: true, info: true, bom: true, raw: true, skip_records_with_error: true,
    max_record_size: CSV_RECORD_MAX,
    cast: (value, context) => castCell(value, context.header),
    on_skip: (error, raw) => {
      // A quote that never closes: what follows cannot be told into records any more.
      if (error?.code === "CSV_MAX_RECORD_SIZE") parser.destroy(error)
      else skipped.push(unreadable(Number(error?.["lines"] ?? 0), (raw ?? "").trim(), `not CSV: ${error?.message ?? "unreadable"}`))
      return undefined
    }
  })
  const input = await readBytes(path, onBytes)
  input.on("error", (error) => parser.destroy(error))
  const records = input.pipe(parser) as AsyncIterable<{ record: Record<string, unknown>; info: { lines: number } }>
  for await (const { record, info } of records) {
    yield* skipped.splice(0)
    const noTime = timeFault(record, options)
    if (noTime !== undefined) {
      yield unreadable(info.lines, JSON.stringify(record), noTime)
      continue
    }
    const raw = JSON.stringify(options.map === undefined ? record : mapped(record, options.map))
    yield { number: info.lines, body: `${fieldsOf(record, options, lineId(options.name, info.lines, raw))},"data":${raw}}` }
  }
  yield* skipped.splice(0)
}

/** A cell that is exactly the shortest text of a number becomes that number; an empty one is null. */
const castCell = (value: string, header: boolean): unknown => {
  if (header) return value
  if (value === "") return null
  const number = Number(value)
  return Number.isFinite(number) && String(number) === value && Math.abs(number) <= Number.MAX_SAFE_INTEGER ? number : value
}

/** Every line of the file as something to send; empty lines are passed over. */
export async function* toEvents(path: string, options: ImportOptions, onBytes: (bytes: number) => void): AsyncGenerator<ImportLine> {
  if (options.format === "csv") {
    yield* fromCsv(path, options, onBytes)
    return
  }
  const convert = options.format === "access-log" ? fromAccessLog : fromJson
  for await (const line of readLines(path, onBytes)) {
    if (line.text.trim() !== "") yield convert(line, options)
  }
}
