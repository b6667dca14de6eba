/**
 * A rebuild as the console shows it: where it stands, what may be done, and why the cut-over is locked. Pure.
 */
import { formatBytes, formatDecimal, formatDuration, formatMoment, formatNumber } from "./format.ts"
import type { Dimension, PartitionOffset } from "./answer.ts"

export type RebuildStatus =
  | "PLANNED" | "PREPARING" | "BUILDING" | "CATCHING_UP" | "VERIFYING" | "READY" | "ACTIVE" | "STANDBY" | "RETIRED" | "PAUSED" | "FAILED" | "ABORTED"

export interface Parity {
  readonly compared: string
  readonly equal: string
  readonly differ: string
  readonly onlyOld: string
  readonly onlyNew: string
  /** What no note accepts. */
  readonly faults: readonly string[]
  readonly sameDefinition: boolean
  /** Windows recomputed from the log where the definition is another one. */
  readonly sample: { readonly windows: number; readonly skipped: number; readonly wholeRows: string | null; readonly differing: readonly string[] } | null
  /** The old generation had halted, there and for this reason: no window was compared with it. */
  readonly servedHalt: { readonly code: string; readonly detail: string; readonly position: readonly PartitionOffset[] } | null
  readonly accepted: string | null
  readonly position: readonly PartitionOffset[]
}

export interface RebuildProgress {
  readonly processed: string
  readonly total: string
  /** Over the last 10 s; null where it is not known. */
  readonly eventsPerSecond: number | null
  readonly etaSeconds: number | null
  /** At the quickest and the slowest such average of late. */
  readonly etaSecondsMin: number | null
  readonly etaSecondsMax: number | null
  /** The last average while nothing slowed it. */
  readonly eventsPerSecondUnslowed: number | null
  /** Shares of the time of its threads. */
  readonly time: { readonly read: number; readonly fold: number; readonly write: number; readonly throttle: number } | null
}

/** Something that happened to a rebuild. */
export interface RebuildStep {
  readonly status: RebuildStatus
  readonly at: string
  readonly detail: string | null
}

export interface Rebuild {
  readonly id: string
  readonly projection: string
  readonly status: RebuildStatus
  readonly generation: number | null
  readonly fromGeneration: number | null
  readonly reason: string
  readonly plan: { readonly events: string; readonly bytes: string; readonly rows: string | null; readonly rowBytes: string | null; readonly diskFreeBytes: string | null; readonly seconds: number | null; readonly rateFrom: "LAST_REBUILD" | "SAMPLE" | null } | null
  readonly progress: RebuildProgress | null
  readonly parity: Parity | null
  readonly error: string | null
  /** Cap that somebody has set, and what it may fold now, events a second; null: no cap, all it can. */
  readonly eventsPerSecondMax: number | null
  readonly eventsPerSecondAllowed: number | null
  /** Why it may fold no more. */
  readonly throttle: string | null
  /** Why what stands by is no way back or forth. */
  readonly standbyHalt: string | null
  readonly startedAt: string
  readonly finishedAt: string | null
  /** Until when the way back, or forth again, stays open; null where nothing stands by. */
  readonly standbyUntil: string | null
  readonly standbySeconds: number
  /** Oldest first. */
  readonly history: readonly RebuildStep[]
}

/** A generation that is stored: served, on standby, or being built. */
export interface Generation {
  readonly generation: number
  readonly served: boolean
  readonly version: number | null
  readonly definitionHash: string
  /** Measures that the served one has not or has otherwise, and those that only it has. */
  readonly changedMeasures: readonly string[]
  readonly missingMeasures: readonly string[]
  readonly createdAt: string
  readonly position: readonly PartitionOffset[]
  readonly lagEvents: string
  readonly deadLetters: string
  readonly halt: string | null
  readonly size: { readonly rows: string; readonly bytes: string } | null
}

/** One window of both generations, from its events. */
export interface DifferingWindow {
  readonly figures: readonly { readonly name: string; readonly old: string | null; readonly new: string | null }[]
  readonly both: string
  readonly onlyOld: string
  readonly onlyNew: string
  readonly events: readonly { readonly countedBy: "BOTH" | "OLD" | "NEW"; readonly event: { readonly id: string; readonly type: string; readonly time: string; readonly partition: number; readonly offset: string; readonly data: unknown } }[]
  readonly firstDivergingEvent: Difference["firstDivergingEvent"]
  readonly fault: string | null
}

export interface Difference {
  readonly key: readonly Dimension[]
  readonly start: string
  readonly resolution: string
  readonly old: string | null
  readonly new: string | null
  readonly cause: "LOGIC" | "INPUT"
  readonly firstDivergingEvent: { readonly id: string; readonly partition: number; readonly offset: string; readonly type: string; readonly old: string; readonly new: string } | null
  /** Why no event is named. */
  readonly noEvent: { readonly code: string; readonly detail: string } | null
}

const LABELS: Readonly<Record<RebuildStatus, string>> = {
  PLANNED: "Planned", PREPARING: "Preparing", BUILDING: "Building", CATCHING_UP: "Catching up", VERIFYING: "Verifying", READY: "Ready", ACTIVE: "Serving",
  STANDBY: "Standby", RETIRED: "Retired", PAUSED: "Paused", FAILED: "Failed", ABORTED: "Aborted"
}

export const labelOf = (status: RebuildStatus): string => LABELS[status]

/** Nothing will happen to it any more, and it holds no generation. */
export const isOver = ({ status }: Rebuild): boolean => status === "RETIRED" || status === "ABORTED"

/** It reads the log or waits to be allowed to. */
export const isRunning = ({ status }: Rebuild): boolean => ["PLANNED", "PREPARING", "BUILDING", "CATCHING_UP", "VERIFYING", "READY", "PAUSED", "FAILED"].includes(status)

/** Rebuilds by the place that the console has for them. */
export interface Places {
  /** What is built or waits for a decision; else the one that serves or stands by. */
  readonly current: Rebuild | undefined
  /** The one that the pointer may leave or go to while `current` is another one. */
  readonly other: Rebuild | undefined
  readonly past: readonly Rebuild[]
}

/** The newest first, as they are listed. */
export const placesOf = (rebuilds: readonly Rebuild[]): Places => {
  const current = rebuilds.find((rebuild) => !isOver(rebuild))
  const other = rebuilds.find((rebuild) => rebuild !== current && !isOver(rebuild) && !isRunning(rebuild))
  return { current, other, past: rebuilds.filter((rebuild) => rebuild !== current && rebuild !== other) }
}

export interface Actions {
  readonly pause: boolean
  readonly resume: boolean
  /** Again, as the numbers stand now. */
  readonly compare: boolean
  readonly cap: boolean
  readonly abort: boolean
  readonly cutOver: boolean
  readonly rollBack: boolean
  /** There is a way back, and nothing will open it. */
  readonly rollBackLocked: boolean
  /** Differences, or that nothing could be compared, have to be accepted with a note before the cut-over. */
  readonly needsNote: boolean
  /** Why the cut-over is locked; undefined when it is not. */
  readonly locked: string | undefined
}

const isZero = (text: string): boolean => BigInt(text) === 0n

/** Windows that are not the same in both generations. */
export const differencesOf = ({ differ, onlyOld, onlyNew }: Parity): bigint => BigInt(differ) + BigInt(onlyOld) + BigInt(onlyNew)

/** Why no note can open the way. */
const faultOf = (parity: Parity): string | undefined => {
  if (parity.faults.length > 0) return "the new generation is not what the log gives"
  return parity.sameDefinition && differencesOf(parity) > 0n ? "the definition is the same, so its differences cannot be accepted" : undefined
}

const lockOf = ({ status, parity, standbyHalt }: Rebuild): string | undefined => {
  if (status === "ACTIVE") return "it serves"
  if (status === "READY") return parity === null ? "parity has not been compared" : faultOf(parity)
  if (status === "FAILED") return "it failed"
  if (status === "PAUSED") return "it is paused"
  if (status === "STANDBY") return standbyHalt === null ? undefined : "what stands by has halted"
  if (isRunning({ status } as Rebuild)) return "it is not verified yet"
  return "it is over"
}

/** What may be done to a rebuild now. */
export const actionsOf = (rebuild: Rebuild): Actions => {
  const { status, parity } = rebuild
  const locked = lockOf(rebuild)
  return {
    pause: ["PLANNED", "PREPARING", "BUILDING", "CATCHING_UP", "VERIFYING"].includes(status),
    cap: ["PLANNED", "PREPARING", "BUILDING", "PAUSED", "FAILED"].includes(status),
    resume: status === "PAUSED" || status === "FAILED",
    compare: status === "READY",
    abort: isRunning(rebuild),
    cutOver: locked === undefined,
    rollBack: status === "ACTIVE" && rebuild.fromGeneration !== null,
    rollBackLocked: status === "ACTIVE" && rebuild.standbyHalt !== null,
    needsNote: parity !== null && parity.accepted === null && (parity.servedHalt !== null || !isZero(String(differencesOf(parity)))),
    locked
  }
}

/** Share of the records read, 0 to 1. */
export const ratioOf = ({ progress }: Rebuild): number => {
  const total = Number(progress?.total ?? 0)
  return total === 0 ? 0 : Math.min(1, Number(progress?.processed ?? 0) / total)
}

/** How quickly a rebuild may go and why no quicker; undefined: as quickly as it can. */
export const throttleText = ({ throttle, eventsPerSecondAllowed }: Rebuild): string | undefined =>
  throttle === null ? undefined : eventsPerSecondAllowed === null || eventsPerSecondAllowed === 0 || throttle.startsWith("capped") ? throttle : `${throttle} (at most ${formatNumber(Math.round(eventsPerSecondAllowed))} events/s)`

/** What was typed as a cap: null for nothing, undefined for what is no whole number of events a second. */
export const readCap = (text: string): number | null | undefined => {
  const digits = text.replace(/[\s,_]/g, "")
  if (digits === "") return null
  return /^[1-9]\d{0,8}$/.test(digits) ? Number(digits) : undefined
}

/** A figure that is not the same in both generations; "–": not there. */
export interface FigureChange {
  readonly name: string
  readonly old: string
  readonly new: string
}

/** A figure as it is shown. Estimates are doubles: two digits of them say enough. */
export const valueText = (text: string): string => (/^-?\d+(\.\d+)?$/.test(text) ? formatDecimal(/\.\d{7,}$/.test(text) ? Number(text).toFixed(2) : text) : text)

const figuresOf = (text: string | null): ReadonlyMap<string, string> =>
  new Map((text ?? "").split(", ").filter((part) => part.includes(" ")).map((part) => [part.slice(0, part.indexOf(" ")), part.slice(part.indexOf(" ") + 1)]))

/** What differs of a window, figure by figure, in the order of the answer. */
export const changesOf = ({ old, new: now }: Pick<Difference, "old" | "new">): readonly FigureChange[] => {
  const [before, after] = [figuresOf(old), figuresOf(now)]
  return [...new Set([...before.keys(), ...after.keys()])].map((name) => ({ name, old: before.get(name) ?? "–", new: after.get(name) ?? "–" }))
}

const windowsText = (count: string, one: string, many: string): string => `${formatDecimal(count)} ${count === "1" ? one : many}`

/** What becomes of the numbers that people see, in words. */
export const changeText = ({ differ, onlyOld, onlyNew, servedHalt }: Parity): string => {
  if (servedHalt !== null) return "Nothing could be compared with the generation that serves: any number may change."
  const parts = [
    ...(isZero(differ) ? [] : [`${windowsText(differ, "window changes its", "windows change their")} numbers`]),
    ...(isZero(onlyOld) ? [] : [`${windowsText(onlyOld, "window disappears", "windows disappear")}`]),
    ...(isZero(onlyNew) ? [] : [`${windowsText(onlyNew, "window appears", "windows appear")}`])
  ]
  return parts.length === 0 ? "No window changes its numbers." : `${parts.join(", ")}.`
}

/** `24 h`, which a day is to nobody who waits for it. */
const standbyLength = (seconds: number): string => (seconds >= 3_600 && seconds % 3_600 === 0 ? `${seconds / 3_600} h` : formatDuration(seconds * 1_000))

/** What a cut-over does, line by line, before it is confirmed. */
export const cutOverLines = ({ generation, fromGeneration, parity, standbySeconds }: Rebuild): readonly string[] => [
  `Every question, open page and subscription of all tenants is answered from generation ${generation ?? "–"} instead of ${fromGeneration ?? "–"} at once; no answer mixes the two.`,
  ...(parity === null ? [] : [changeText(parity)]),
  "Nothing is sent to anybody for the past.",
  `Generation ${fromGeneration ?? "–"} goes on beside it for ${standbyLength(standbySeconds)}: until then the way back is the same switch, within a second.`
]

/** What a way back does. */
export const rollBackLines = (rebuild: Rebuild, nowMs: number): readonly string[] => [
  `Every question, open page and subscription of all tenants is answered from generation ${rebuild.fromGeneration ?? "–"} instead of ${rebuild.generation ?? "–"} at once, as current as if nothing had happened.`,
  `Generation ${rebuild.generation ?? "–"} stands by from then on for ${standbyLength(rebuild.standbySeconds)} and can serve again.`,
  ...[standbyText(rebuild, nowMs)].filter((line) => line !== undefined)
]

/** Until when the switch back, or forth again, stays possible; undefined where nothing stands by that goes on. */
export const standbyText = ({ standbyUntil, standbyHalt }: Pick<Rebuild, "standbyUntil" | "standbyHalt">, nowMs: number): string | undefined => {
  if (standbyUntil === null || standbyHalt !== null) return undefined
  const untilMs = Date.parse(standbyUntil)
  return untilMs <= nowMs ? "What stands by is about to be dropped." : `Possible until ${formatMoment(untilMs, nowMs)} UTC, ${formatDuration(untilMs - nowMs)} from now.`
}

/** One fact of a plan: what it is, the figure, and where that comes from. */
export interface PlanFact {
  readonly name: string
  readonly figure: string
  readonly note: string
}

/** No quicker than its cap; live traffic may make it slower. */
const timeFact = ({ plan, eventsPerSecondMax }: Pick<Rebuild, "plan" | "eventsPerSecondMax">): PlanFact => {
  const capped = eventsPerSecondMax === null ? null : Number(plan?.events ?? 0) / eventsPerSecondMax
  const { seconds = null, rateFrom = null } = plan ?? {}
  if (capped !== null && capped >= (seconds ?? 0)) return { name: "Takes", figure: `about ${formatDuration(capped * 1_000)}`, note: `at the cap of ${formatNumber(eventsPerSecondMax ?? 0)} events/s` }
  if (seconds === null) return { name: "Takes", figure: "not known", note: "the log is too short to measure a rate" }
  return { name: "Takes", figure: `about ${formatDuration(seconds * 1_000)}`, note: rateFrom === "LAST_REBUILD" ? "at the rate of the last rebuild" : rateFrom === "SAMPLE" ? "by a sample folded just now, storing not counted" : "at the rate known then" }
}

/** What a rebuild reads, writes, takes and sends, before it begins. */
export const planFacts = ({ plan, eventsPerSecondMax, generation, fromGeneration }: Pick<Rebuild, "plan" | "eventsPerSecondMax" | "generation" | "fromGeneration">): readonly PlanFact[] => {
  if (plan === null) return []
  const { events, bytes, rows, rowBytes, diskFreeBytes } = plan
  return [
    { name: "Reads", figure: `${formatDecimal(events)} records`, note: `${formatBytes(Number(bytes))} of the log` },
    timeFact({ plan, eventsPerSecondMax }),
    { name: "Writes", figure: rows === null ? "rows not estimated" : `about ${formatDecimal(rows)} rows`, note: `as generation ${generation ?? "–"} beside generation ${fromGeneration ?? "–"}` },
    { name: "Disk", figure: rowBytes === null ? "not estimated" : `about ${formatBytes(Number(rowBytes))}`, note: diskFreeBytes === null ? "until the old one is dropped" : `of ${formatBytes(Number(diskFreeBytes))} free, until the old one is dropped` },
    { name: "Sends", figure: "nothing", note: "effects come from the generation that serves, which goes on meanwhile" }
  ]
}

/** A name typed to confirm, as it is meant. */
export const isConfirmed = (typed: string, projection: string): boolean => typed.trim() === projection
