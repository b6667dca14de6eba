/** Differing windows as a map of key and hour, and by cause. Pure. */
import type { Difference } from "./rebuild.ts"

const HOUR_MS = 3_600_000
/** Rows and columns that a person can still read; what is beyond them is in the list. */
const KEYS_MAX = 24
const HOURS_MAX = 48

export type Cause = Difference["cause"]

export interface MapCell {
  readonly keyText: string
  readonly hourMs: number
  /** The shortest windows listed there: minutes, or the hour where no minute of it is listed. */
  readonly windows: number
  readonly logic: number
  readonly input: number
  /** 1 to 4, by its share of the fullest cell. */
  readonly heat: 1 | 2 | 3 | 4
}

export interface MapRow {
  readonly keyText: string
  /** One for each hour of the map; undefined: equal. */
  readonly cells: readonly (MapCell | undefined)[]
}

export interface DifferenceMap {
  /** Starts of the hours, Unix ms: every hour from the first to the last, or only those that differ where these are too many. */
  readonly hours: readonly number[]
  /** The key with most differing windows first. */
  readonly rows: readonly MapRow[]
  /** Keys and hours that differ and are not in the map, and days that differ as such. */
  readonly keysLeftOut: number
  readonly hoursLeftOut: number
  readonly days: number
}

export const keyTextOf = ({ key }: Difference): string => (key.length === 0 ? "(all)" : key.map(({ value }) => value).join(" · "))

/** Start of the hour a window lies in; undefined for a day. */
export const hourOf = ({ start, resolution }: Difference): number | undefined =>
  resolution === "DAY" ? undefined : Math.floor(Date.parse(start) / HOUR_MS) * HOUR_MS

interface Counted {
  minutes: Record<Cause, number>
  hour: Record<Cause, number>
}

const count = (differences: readonly Difference[]): ReadonlyMap<string, ReadonlyMap<number, Counted>> => {
  const keys = new Map<string, Map<number, Counted>>()
  for (const difference of differences) {
    const hourMs = hourOf(difference)
    if (hourMs === undefined) continue
    const name = keyTextOf(difference)
    const hours = keys.get(name) ?? new Map<number, Counted>()
    const counted = hours.get(hourMs) ?? { minutes: { LOGIC: 0, INPUT: 0 }, hour: { LOGIC: 0, INPUT: 0 } }
    counted[difference.resolution === "MINUTE" ? "minutes" : "hour"][difference.cause] += 1
    keys.set(name, hours.set(hourMs, counted))
  }
  return keys
}

const figuresOf = ({ minutes, hour }: Counted): { readonly logic: number; readonly input: number; readonly windows: number } => {
  const { LOGIC: logic, INPUT: input } = minutes.LOGIC + minutes.INPUT > 0 ? minutes : hour
  return { logic, input, windows: logic + input }
}

/** Every hour between the first and the last where they fit; else the latest of those that differ. */
const hoursOf = (differing: readonly number[]): readonly number[] => {
  const [first, last] = [differing[0], differing.at(-1)]
  if (first === undefined || last === undefined) return []
  const all = (last - first) / HOUR_MS + 1
  return all <= HOURS_MAX ? Array.from({ length: all }, (_, at) => first + at * HOUR_MS) : differing.slice(-HOURS_MAX)
}

const heatOf = (windows: number, most: number): MapCell["heat"] => Math.min(4, Math.max(1, Math.ceil((windows / most) * 4))) as MapCell["heat"]

export const differenceMap = (differences: readonly Difference[]): DifferenceMap => {
  const keys = count(differences)
  const sums = [...keys].map(([keyText, hours]) => ({ keyText, hours, windows: [...hours.values()].reduce((sum, counted) => sum + figuresOf(counted).windows, 0) }))
  sums.sort((a, b) => b.windows - a.windows || (a.keyText < b.keyText ? -1 : 1))
  const shown = sums.slice(0, KEYS_MAX)
  const differing = [...new Set(sums.flatMap(({ hours }) => [...hours.keys()]))].sort((a, b) => a - b)
  const hours = hoursOf(differing)
  const most = shown.reduce((max, row) => Math.max(max, ...[...row.hours.values()].map((counted) => figuresOf(counted).windows)), 1)
  const rows = shown.map(({ keyText, hours: own }): MapRow => ({
    keyText,
    cells: hours.map((hourMs) => {
      const counted = own.get(hourMs)
      if (counted === undefined) return undefined
      const figures = figuresOf(counted)
      return { keyText, hourMs, ...figures, heat: heatOf(figures.windows, most) }
    })
  }))
  return { hours, rows, keysLeftOut: sums.length - shown.length, hoursLeftOut: differing.filter((hourMs) => !hours.includes(hourMs)).length, days: differences.filter(({ resolution }) => resolution === "DAY").length }
}

/** What is shown of the list. */
export interface Chosen {
  readonly cell: { readonly keyText: string; readonly hourMs: number } | undefined
  readonly cause: Cause | undefined
}

/** The listed windows of a cell and cause, or of all of them. */
export const chosenOf = (differences: readonly Difference[], { cell, cause }: Chosen): readonly Difference[] =>
  differences.filter((difference) => (cause === undefined || difference.cause === cause) && (cell === undefined || (keyTextOf(difference) === cell.keyText && hourOf(difference) === cell.hourMs)))

/** Listed windows by cause. */
export const byCause = (differences: readonly Difference[]): Readonly<Record<Cause, number>> => {
  const counts = { LOGIC: 0, INPUT: 0 }
  for (const { cause } of differences) counts[cause] += 1
  return counts
}

/** The next filled cell from (`row`, `column`) in a direction, if there is one: for arrow keys. */
export const nextCell = ({ rows, hours }: DifferenceMap, [row, column]: readonly [number, number], [down, right]: readonly [number, number]): readonly [number, number] | undefined => {
  for (let [r, c] = [row + down, column + right]; r >= 0 && r < rows.length && c >= 0 && c < hours.length; [r, c] = [r + down, c + right]) {
    if (rows[r]?.cells[c] !== undefined) return [r, c]
    if (right === 0) {
      const nearest = rows[r]?.cells.flatMap((cell, at) => (cell === undefined ? [] : [at])).sort((a, b) => Math.abs(a - column) - Math.abs(b - column))[0]
      if (nearest !== undefined) return [r, nearest]
    }
  }
  return undefined
}
