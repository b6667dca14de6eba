/** What every benchmark shares: its options, the conditions it ran under, and medians. */
import { availableParallelism, cpus } from "node:os"

export interface Conditions {
  readonly node: string
  readonly processor: string
  readonly processors: number
}

/** One table of figures. `rows` have the same fields each. */
export interface Report {
  readonly name: string
  readonly conditions: Conditions & Readonly<Record<string, string | number>>
  readonly rows: readonly Readonly<Record<string, string | number>>[]
}

export const conditions = (): Conditions => ({ node: process.version, processor: cpus()[0]?.model ?? "unknown", processors: availableParallelism() })

/** The value of rank ⌈q × n⌉; NaN without values. */
export const quantile = (values: readonly number[], q: number): number => [...values].sort((a, b) => a - b)[Math.max(0, Math.ceil(q * values.length) - 1)] ?? NaN

export const median = (values: readonly number[]): number => quantile(values, 0.5)

export const rounded = (value: number, digits = 0): number => Number(value.toFixed(digits))

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

/** The report as text for people. */
export const asText = ({ name, conditions: ran, rows }: Report): string => {
  const names = Object.keys(rows[0] ?? {})
  const cell = (value: string | number | undefined): string => (typeof value === "number" ? value.toLocaleString("en-US") : (value ?? ""))
  const table = [names, ...rows.map((row) => names.map((column) => cell(row[column])))]
  const widths = names.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0)))
  const lines = table.map((line) => line.map((text, column) => text.padEnd(widths[column] ?? 0)).join("  ").trimEnd())
  return `${name}: ${Object.entries(ran).map(([what, value]) => `${what} ${cell(value)}`).join(", ")}\n${lines.join("\n")}\n`
}
