/**
 * One input line or record to one line of NDJSON that ingest understands.
 *
 * The id is a hash of import name, line number and line unless a field is named, so the same import adds nothing
 * the second time. A line that cannot be read is sent as `{"unreadable": its text, "reason": why}`: ingest rejects it
 * and keeps it with its reason and number, once for an import.
 */
import { createHash } from "node:crypto"
import { Readable } from "node:stream"
import { membersOf } from "@tidemark/commands/accept-events/jsonText"
import { parse as parseCsv } from "csv-parse"
import { CliError } from "../client.ts"
import { parseAccessLogLine } from "./accessLog.ts"
import { readBytes, readLines } from "./readLines.ts"
import type { Line } from "./readLines.ts"
import { decodeByteText, withoutByteOrderMark } from "./utf8.ts"

export interface ImportOptions {
  readonly format: "ndjson" | "access-log" | "csv"
  readonly name: string
  readonly type?: string
  readonly timeField?: string
  /** Unit of numbers at `timeField`; without it they are Unix ms, and those that look like seconds are refused. */
  readonly timeUnit?: "ms" | "s"
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

const CSV_RECORD_BYTES_MAX = 1_048_576
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

/** Unix ms of 1973, and Unix seconds of the year 5138: a number below it is hardly ms, one above it hardly seconds. */
const SECONDS_BELOW = 100_000_000_000
const NUMERAL = /^\d{9,14}(?:\.\d+)?$/

const numberOf = (value: unknown): number | undefined =>
  typeof value === "number" ? value : typeof value === "string" && NUMERAL.test(value) ? Number(value) : undefined

/** RFC 3339 of `2024-01-04 10:00:00`, which is UTC unless it has an offset; other text as it is. */
const instantText = (value: string): string =>
  value.includes(" ") && !value.includes("T") ? value.replace(" ", "T") + (/[zZ]|[+-]\d\d:?\d\d$/.test(value) ? "" : "Z") : value

/** The time where one was named, or why there is none: the moment of the import would be a wrong one. */
const timeOf = (source: unknown, { timeField, timeUnit }: ImportOptions): { readonly time?: string | number; readonly fault?: string } => {
  if (timeField === undefined) return {}
  const value = at(source, timeField)
  const number = numberOf(value)
  if (number === undefined) return typeof value === "string" ? { time: instantText(value) } : { fault: `no time at ${timeField}, which --time-field names` }
  const small = Math.abs(number) < SECONDS_BELOW
  if (timeUnit === "s") return small ? { time: Math.round(number * 1_000) } : { fault: "looks like milliseconds; --time-unit says seconds" }
  if (timeUnit === undefined && small) return { fault: "looks like seconds; Unix milliseconds are meant: say --time-unit s, or ms if they are milliseconds" }
  return { time: number }
}

/** What the named fields of the record say about its event. */
interface Named {
  readonly id: string | undefined
  readonly time: string | number | undefined
  readonly userId: string | undefined
}

const namedOf = (source: unknown, options: ImportOptions, time: string | number | undefined): Named => ({
  id: options.idField === undefined ? undefined : text(at(source, options.idField)),
  time,
  userId: options.userField === undefined ? undefined : text(at(source, options.userField))
})

/** An event of the type the options name. `dataText`: JSON. */
const typedBody = ({ id, time, userId }: Named, type: string, fallbackId: string, dataText: string): string =>
  `${JSON.stringify({ type, id: id ?? fallbackId, time, userId }).slice(0, -1)},"data":${dataText}}`

/**
 * A line that is an event by itself, with what the options set in place of its own members: ingest refuses one that is
 * given twice. The other members are taken as text, so that they keep every digit.
 */
const nativeBody = (line: string, native: Record<string, unknown>, named: Named, fallbackId: string, map: ImportOptions["map"]): string => {
  const id = named.id ?? ("id" in native ? undefined : fallbackId)
  const set = Object.entries({ ...named, id, data: map === undefined ? undefined : mapped(native, map) }).filter(([name, value]) => value !== undefined && value !== native[name])
  if (set.length === 0) return line
  const replaced = new Set(set.map(([name]) => name))
  const kept = (membersOf(line) ?? []).filter(({ key }) => !replaced.has(key)).map(({ key, from, to }) => `${JSON.stringify(key)}:${line.slice(from, to)}`)
  return `{${[...set.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`), ...kept].join(",")}}`
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
  const native = options.type === undefined ? (source as Record<string, unknown> | null) : undefined
  if (native !== undefined && (native === null || typeof native !== "object" || typeof native["type"] !== "string")) {
    return unreadable(number, line, "no field `type`: name one with --type")
  }
  const { time, fault: noTime } = timeOf(source, options)
  if (noTime !== undefined) return unreadable(number, line, noTime)
  const named = namedOf(source, options, time)
  if (options.type === undefined) return { number, body: nativeBody(line, source as Record<string, unknown>, named, id, options.map) }
  return { number, body: typedBody(named, options.type, id, options.map === undefined ? line : JSON.stringify(mapped(source, options.map))) }
}

const fromAccessLog = ({ number, text: line, fault }: Line, options: ImportOptions): ImportLine => {
  if (fault !== undefined) return unreadable(number, line, fault)
  const entry = parseAccessLogLine(line)
  if (entry === undefined) return unreadable(number, line, "not in the combined log format")
  const type = options.type ?? "http.request"
  return { number, body: JSON.stringify({ type, id: lineId(options.name, number, line), time: entry.time, data: entry.data }) }
}

interface CsvRecord {
  readonly record: Record<string, unknown>
  /** The record's bytes as they are in the file, a character for each, with empty lines before it and its line end. */
  readonly raw: string
  readonly info: { readonly lines: number; readonly columns: readonly unknown[]; readonly error?: { readonly record: readonly unknown[] } }
}

/** The header as it is; one that names a column twice would lose one of them. */
const checkedHeader = (names: string[]): string[] => {
  const { fault } = decodeByteText(names.join(","))
  if (fault !== undefined) throw new CliError(`The header is ${fault}.`, 2)
  const header = names.map((name) => decodeByteText(name).text)
  const twice = header.find((name, index) => header.indexOf(name) !== index)
  if (twice !== undefined) throw new CliError(`The header names the column \`${twice}\` twice: give each a name of its own.`, 2)
  return header
}

const cells = (count: number): string => `${count} ${count === 1 ? "cell" : "cells"}`

const fromCsvRecord = ({ record, raw, info }: CsvRecord, options: ImportOptions): ImportLine | undefined => {
  const { text: row, fault: notText } = decodeByteText(raw.replace(/^[\r\n]+|[\r\n]+$/g, ""))
  if (notText !== undefined) return unreadable(info.lines, row, notText)
  if (info.error !== undefined) {
    return row.trim() === "" ? undefined : unreadable(info.lines, row, `has ${cells(info.error.record.length)}, the header has ${info.columns.length}`)
  }
  const { time, fault } = timeOf(record, options)
  if (fault !== undefined) return unreadable(info.lines, row, fault)
  const data = JSON.stringify(options.map === undefined ? record : mapped(record, options.map))
  return { number: info.lines, body: typedBody(namedOf(record, options, time), options.type ?? "", lineId(options.name, info.lines, row), data) }
}

async function* fromCsv(path: string, options: ImportOptions, onBytes: (bytes: number) => void): AsyncGenerator<ImportLine> {
  const skipped: ImportLine[] = []
  const parser = parseCsv({
    // Rows of another length come with the others, in their order, and are told by `info.error`.
    columns: checkedHeader, relax_column_count: true, relax_quotes: true, skip_empty_lines: true, info: true, raw: true, skip_records_with_error: true,
    max_record_size: CSV_RECORD_BYTES_MAX,
    // A character for each byte: as UTF-8 it would replace what is not, and nobody would know.
    encoding: "latin1",
    cast: (value, context) => castCell(value, context.header),
    on_skip: (error, raw) => {
      // A quote that never closes: what follows cannot be told into records any more.
      if (error?.code === "CSV_MAX_RECORD_SIZE") parser.destroy(error)
      else {
        const { text: row, fault } = decodeByteText(raw ?? "")
        skipped.push(unreadable(Number(error?.["lines"] ?? 0), row.trim(), fault ?? `not CSV: ${decodeByteText(error?.message ?? "unreadable").text}`))
      }
      return undefined
    }
  })
  const input = Readable.from(withoutByteOrderMark((await readBytes(path, onBytes)) as AsyncIterable<Buffer>), { objectMode: false })
  input.on("error", (error) => parser.destroy(error))
  for await (const record of input.pipe(parser) as AsyncIterable<CsvRecord>) {
    yield* skipped.splice(0)
    const line = fromCsvRecord(record, options)
    if (line !== undefined) yield line
  }
  yield* skipped.splice(0)
}

/** A cell that is exactly the shortest text of a number becomes that number; an empty one is null. */
const castCell = (value: string, header: boolean): unknown => {
  if (header) return value
  if (value === "") return null
  const number = Number(value)
  return Number.isFinite(number) && String(number) === value && Math.abs(number) <= Number.MAX_SAFE_INTEGER ? number : decodeByteText(value).text
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
