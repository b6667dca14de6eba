/**
 * Events by type: the largest types by total, the rest as one, stacked by window. Pure.
 */
import { chartPoints } from "./segments.ts"
import type { Series } from "./answer.ts"

export const OTHER = "other types"
const TYPES_MAX = 6

export interface TypeTotal {
  readonly type: string
  readonly total: number
}

export interface Stack {
  readonly startMs: number
  readonly endMs: number
  readonly provisional: boolean
  readonly total: number
  /** In the order of the totals; zero-height layers are left out. */
  readonly layers: readonly { readonly type: string; readonly from: number; readonly to: number }[]
}

export interface Stacks {
  readonly totals: readonly TypeTotal[]
  readonly stacks: readonly Stack[]
}

/** Totals (at most six types, then the rest) and stacks of a series broken down by `type`. */
export const stacksOf = (series: Series, measure: string, fromMs: number, toMs: number): Stacks => {
  const all = series.groups.map((group) => {
    const points = chartPoints(group.points, measure, series.watermark, fromMs, toMs)
    return { type: group.key[0]?.value ?? "", points, total: points.reduce((sum, point) => sum + point.value, 0) }
  }).filter((entry) => entry.total > 0).toSorted((a, b) => b.total - a.total || (a.type < b.type ? -1 : 1))
  const named = all.slice(0, TYPES_MAX)
  const rest = all.slice(TYPES_MAX)
  const restTotal = rest.reduce((sum, entry) => sum + entry.total, 0)
  const totals = [...named.map(({ type, total }) => ({ type, total })), ...(restTotal > 0 ? [{ type: OTHER, total: restTotal }] : [])]
  const columns = new Map<number, { startMs: number; endMs: number; provisional: boolean; values: Map<string, number> }>()
  for (const [index, entry] of all.entries()) {
    const type = index < TYPES_MAX ? entry.type : OTHER
    for (const point of entry.points) {
      const column = columns.get(point.startMs) ?? { startMs: point.startMs, endMs: point.endMs, provisional: false, values: new Map<string, number>() }
      column.values.set(type, (column.values.get(type) ?? 0) + point.value)
      column.provisional ||= point.state === "PROVISIONAL"
      columns.set(point.startMs, column)
    }
  }
  const stacks = [...columns.values()].toSorted((a, b) => a.startMs - b.startMs).map(({ startMs, endMs, provisional, values }) => {
    let top = 0
    const layers = totals.flatMap(({ type }) => {
      const value = values.get(type) ?? 0
      if (value === 0) return []
      const from = top
      top += value
      return [{ type, from, to: top }]
    })
    return { startMs, endMs, provisional, total: top, layers }
  })
  return { totals, stacks }
}
