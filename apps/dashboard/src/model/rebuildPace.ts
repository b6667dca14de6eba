/** How quickly a rebuild goes, how long it takes, what slows it, and how it may be slowed. Pure. */
import { formatDuration, formatNumber } from "./format.ts"
import type { Rebuild, RebuildProgress } from "./rebuild.ts"

/** `182,400 events/s`; empty where the process that answers does not know. */
export const rateText = ({ eventsPerSecond }: RebuildProgress): string => (eventsPerSecond === null ? "" : `${formatNumber(Math.round(eventsPerSecond))} events/s`)

/** `14 s (±3 s) left`: half the way from the quickest to the slowest 10 s of late; without a band under a second. */
export const etaText = ({ etaSeconds, etaSecondsMin, etaSecondsMax }: RebuildProgress): string => {
  if (etaSeconds === null) return ""
  const bandMs = etaSecondsMin === null || etaSecondsMax === null ? 0 : ((etaSecondsMax - etaSecondsMin) / 2) * 1_000
  return `about ${formatDuration(etaSeconds * 1_000)}${bandMs < 1_000 ? "" : ` (±${formatDuration(bandMs)})`} left`
}

/** One part of the time that the threads of a rebuild spend. */
export interface TimePart {
  readonly name: "read" | "fold" | "write" | "throttle"
  readonly label: string
  /** 0 to 1. */
  readonly share: number
}

const LABELS: Readonly<Record<TimePart["name"], string>> = { read: "reading the log", fold: "folding", write: "writing rows", throttle: "the throttle" }

/** What its time goes into, the largest part first; empty where nothing was timed. */
export const timeParts = ({ time }: RebuildProgress): readonly TimePart[] =>
  time === null ? [] : (["read", "fold", "write", "throttle"] as const).map((name) => ({ name, label: LABELS[name], share: time[name] })).filter(({ share }) => share >= 0.005).sort((a, b) => b.share - a.share)

/** `folding: 62 % of its time · reading the log 30 %`, what slows it most first; undefined where nothing was timed. */
export const slowedByText = (progress: RebuildProgress): string | undefined => {
  const parts = timeParts(progress)
  return parts.length === 0 ? undefined : parts.map(({ label, share }, at) => (at === 0 ? `${label}: ${Math.round(share * 100)} % of its time` : `${label} ${Math.round(share * 100)} %`)).join(" · ")
}

/** A share of the rate at which it goes when nothing slows it; `eventsPerSecondMax` null: no cap. */
export interface ThrottleStep {
  readonly percent: number
  readonly eventsPerSecondMax: number | null
  readonly isSet: boolean
}

/** Within this share of a step the cap is that step: the full rate is measured anew while it runs. */
const NEAR = 0.02

/** Events a second while nothing slows it: measured, else as it was planned; undefined where neither is known. */
export const fullRateOf = ({ progress, plan }: Rebuild): number | undefined => {
  if (progress !== null && progress.eventsPerSecondUnslowed !== null) return progress.eventsPerSecondUnslowed
  return plan === null || plan.seconds === null || plan.seconds <= 0 ? undefined : Number(plan.events) / plan.seconds
}

/** A quarter, a half, and all of the full rate; none while that is not known. */
export const throttleSteps = (rebuild: Rebuild): readonly ThrottleStep[] => {
  const full = fullRateOf(rebuild)
  if (full === undefined || full < 1) return []
  const cap = rebuild.eventsPerSecondMax
  return [25, 50, 100].map((percent) => {
    const eventsPerSecondMax = percent === 100 ? null : Math.max(1, Math.round((full * percent) / 100))
    return { percent, eventsPerSecondMax, isSet: cap === null || eventsPerSecondMax === null ? cap === eventsPerSecondMax : Math.abs(cap / full - percent / 100) < NEAR }
  })
}
