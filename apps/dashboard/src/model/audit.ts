/** What the background audit found, in words. Pure. */
import { formatDuration, formatNumber } from "./format.ts"

export interface Audit {
  readonly startedAt: string
  readonly windows: number
  readonly differing: number
  readonly skipped: readonly { readonly reason: string; readonly windows: number }[]
  /** Null before the first window. */
  readonly lastAt: string | null
  readonly lastDifferenceAt: string | null
  /** For the operator only. */
  readonly lastDifference: string | null
}

/** `none`: there is nothing to judge by yet. */
export const auditVerdict = ({ windows, differing }: Audit): "holds" | "fails" | "none" => (differing > 0 ? "fails" : windows > 0 ? "holds" : "none")

const REASONS: Readonly<Record<string, string>> = {
  records: "of too many records", time: "read too slowly", keys: "of too many keys", retained: "no longer in the log", definition: "of a definition unknown here"
}

const windowsText = (count: number): string => `${formatNumber(count)} ${count === 1 ? "window" : "windows"}`

/** One sentence: how many windows were recomputed and how many of them differ. */
export const auditSummary = (audit: Audit): string => {
  const { windows, differing } = audit
  if (auditVerdict(audit) === "none") return "No window has been recomputed yet."
  return `${windowsText(windows)} recomputed from the log, ${differing === 0 ? "none differs" : `${formatNumber(differing)} ${differing === 1 ? "differs" : "differ"}`}`
}

/** How long ago the last window was looked at, and since when. */
export const auditTimes = ({ lastAt, startedAt }: Audit, nowMs: number): string =>
  `${lastAt === null ? "" : `the last ${formatDuration(nowMs - Date.parse(lastAt))} ago · `}running for ${formatDuration(nowMs - Date.parse(startedAt))}`

/** What was chosen and left out; undefined when nothing was. */
export const auditSkipped = ({ skipped }: Audit): string | undefined =>
  skipped.length === 0 ? undefined : `Left out: ${skipped.map(({ reason, windows }) => `${windowsText(windows)} ${REASONS[reason] ?? reason}`).join(", ")}.`
