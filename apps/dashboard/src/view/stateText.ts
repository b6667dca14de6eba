/** The state of a window in words. */
import { formatClockSeconds, formatNumber } from "../model/format.ts"
import type { SeriesPoint, WindowState } from "../model/answer.ts"

/** `still filling, complete to 12:04:50`, `final`, `revised: 2 late or imported events included`. */
export const stateText = (state: WindowState, point: Pick<SeriesPoint, "corrections">, watermark: string | null): string => {
  if (state === "FINAL") return "final"
  if (state === "REVISED") return `revised: ${formatNumber(Number(point.corrections))} late or imported events included`
  return watermark === null ? "still filling" : `still filling, complete to ${formatClockSeconds(Date.parse(watermark))} UTC`
}
