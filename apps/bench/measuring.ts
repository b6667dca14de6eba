/** What every benchmark shares: its options, the conditions it ran under, and medians. */
import { availableParallelism, cpus, loadavg } from "node:os"

export interface Conditions {
  readonly node: string
  readonly processor: string
  readonly processors: number
  /** Over the minute before the benchmark. */
  readonly loadAverage: number
}

/** One table of figures. `rows` have the same fields each. */
export interface Report {
  readonly name: string
  readonly conditions: Conditions & Readonly<Record<string, string | number>>
  readonly rows: readonly Readonly<Record<string, string | number>>[]
}

const [loadBefore = NaN] = loadavg()

export const conditions = (): Conditions => ({ node: process.version, processor: cpus()[0]?.model ?? "unknown", processors: availableParallelism(), loadAverage: rounded(loadBefore, 2) })

/** The value of rank ⌈q × n⌉; NaN without values. */
export const quantile = (values: readonly number[], q: number): number => [...values].sort((a, b) => a - b)[Math.max(0, Math.ceil(q * values.length) - 1)] ?? NaN

export const median = (values: readonly number[]): number => quantile(values, 0.5)

export const rounded = (value: number, digits = 0): number => Number(value.toFixed(digits))

/** A figure that not every system tells: "unknown" where it is not a number. */
export const known = (value: number, digits = 0): number | string => (Number.isNaN(value) ? "unknown" : rounded(value, digits))

/** `--name value` of the command line, or the fallback. Throws with one sentence when it is no positive number. */
export const numberOption = (argv: readonly string[], name: string, fallback: number): number => {
  const at = argv.indexOf(`--${name}`)
  if (at < 0) return fallback
  const value = Number(argv[at + 1])
  if (!(value > 0)) throw new RangeError(`--${name} needs a number above 0`)
  return value
}

/** `--name a,b,c` of the command line, or the fallback. */
export const listOption = (argv: readonly string[], name: string, fallback: readonly string[]): readonly string[] => {
  const at = argv.indexOf(`--${name}`)
  return at < 0 ? fallback : (argv[at + 1] ?? "").split(",")
}

/** `--name value` of the command line. */
export const textOption = (argv: readonly string[], name: string): string | undefined => {
  const at = argv.indexOf(`--${name}`)
  return at < 0 ? undefined : argv[at + 1]
}

const HEADLINES = ["eventsPerSecond", "ackP50Ms", "ackP99Ms", "p50Ms", "p95Ms", "p99Ms"]

/** The report as JSON for programs: the usual figures of its first row stand beside the rows, under the names all benchmarks share. */
export const asJson = (report: Report): string => {
  const [first = {}] = report.rows
  return JSON.stringify({ ...report, ...Object.fromEntries(HEADLINES.filter((name) => name in first).map((name) => [name, first[name]])) })
}

/** The report as text for people. */
export const asText = ({ name, conditions: ran, rows }: Report): string => {
  const names = Object.keys(rows[0] ?? {})
  const cell = (value: string | number | undefined): string => (typeof value === "number" ? value.toLocaleString("en-US") : (value ?? ""))
  const table = [names, ...rows.map((row) => names.map((column) => cell(row[column])))]
  const widths = names.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0)))
  const lines = table.map((line) => line.map((text, column) => text.padEnd(widths[column] ?? 0)).join("  ").trimEnd())
  return `${name}: ${Object.entries(ran).map(([what, value]) => `${what} ${cell(value)}`).join(", ")}\n${lines.join("\n")}\n`
}
