/** Rebuilds of a projection as their events left them. */
import type { ParitySummary, RebuildEvent, RebuildPlan } from "./events.ts"

export type RebuildStatus =
  | "planned" | "preparing" | "building" | "catching_up" | "verifying" | "ready" | "active" | "standby" | "retired" | "paused" | "failed" | "aborted"

/** One thing that happened to a rebuild, in the order in which it did. */
export interface RebuildStep {
  /** Where it stood from then on. */
  readonly status: RebuildStatus
  readonly atMs: number
  /** What more is to be said of it: an error, a note, a cap; null where the status says it all. */
  readonly detail: string | null
}

export interface Rebuild {
  readonly rebuildId: string
  readonly projection: string
  /** The generation that is built, and the one it is to replace. */
  readonly generation: number
  readonly fromGeneration: number
  readonly definition: string
  readonly definitionHash: string
  readonly reason: string
  readonly plan: RebuildPlan
  readonly status: RebuildStatus
  /** What it goes on with when it is resumed. */
  readonly resumeAs: RebuildStatus
  /** Of the last comparison. */
  readonly parity: ParitySummary | null
  /** Note with which the differences were accepted. */
  readonly accepted: string | null
  readonly error: string | null
  /** How quickly somebody lets it fold, events a second; null: as quickly as others leave room. */
  readonly eventsPerSecondMax: number | null
  /** Who of several executors works on it, and until when nobody else may; null before the first. */
  readonly claim: { readonly executor: string; readonly untilMs: number } | null
  /** Version of the pointer after its last move from or to this generation that was told here; null before the first. */
  readonly pointerVersion: number | null
  /**
   * From the first record to the catch-up, Unix ms; `untilMs` null while it is built. Null where it says nothing of the rate
   * at which rebuilds go: not begun, or capped, paused or failed within.
   */
  readonly built: { readonly fromMs: number; readonly untilMs: number | null } | null
  readonly startedAtMs: number
  /** When it was cut over, aborted or retired last. */
  readonly finishedAtMs: number | null
  /** Everything that happened to it but the claims of executors; the last `HISTORY_MAX` of it. */
  readonly history: readonly RebuildStep[]
}

/** Somebody who caps, pauses and resumes a rebuild a thousand times makes no answer larger than that. */
export const HISTORY_MAX = 200

/** Of one projection, oldest first. */
export interface Rebuilds {
  readonly rebuilds: readonly Rebuild[]
}

const RUNNING: readonly RebuildStatus[] = ["planned", "preparing", "building", "catching_up", "verifying", "ready", "paused", "failed"]

/** Not yet cut over and not given up: no other rebuild of the projection may begin. */
export const isRunning = ({ status }: Rebuild): boolean => RUNNING.includes(status)

/** The time it took to build, as far as nothing stood in its way. */
const builtAfter = ({ built, eventsPerSecondMax }: Rebuild, event: RebuildEvent): Rebuild["built"] => {
  if (event.type === "rebuild.moved" && event.data.to === "building") return eventsPerSecondMax === null ? { fromMs: event.data.atMs, untilMs: null } : null
  if (built === null || built.untilMs !== null) return built
  if (event.type === "rebuild.moved") return { ...built, untilMs: event.data.atMs }
  return event.type === "rebuild.capped" || event.type === "rebuild.paused" || event.type === "rebuild.failed" ? null : built
}

/** Shorter ones tell of their beginning and their end more than of the folding. */
const TELLING = { events: 10_000, ms: 1_000 }

/** Records a second of the newest of these rebuilds that was built undisturbed and long enough to tell; undefined when there is none. */
export const rateOfLast = (rebuilds: readonly Rebuild[]): number | undefined => {
  let newest: { readonly untilMs: number; readonly rate: number } | undefined
  for (const { built, plan } of rebuilds) {
    if (built === null || built.untilMs === null) continue
    const [events, ms] = [Number(plan.events), built.untilMs - built.fromMs]
    if (events >= TELLING.events && ms >= TELLING.ms && (newest === undefined || built.untilMs > newest.untilMs)) newest = { untilMs: built.untilMs, rate: (events * 1_000) / ms }
  }
  return newest?.rate
}

/** What the event makes of the rebuild it names. */
const change = (rebuild: Rebuild, event: Exclude<RebuildEvent, { readonly type: "rebuild.planned" }>): Rebuild => {
  switch (event.type) {
    case "rebuild.claimed":
      return { ...rebuild, claim: { executor: event.data.executor, untilMs: event.data.untilMs } }
    case "rebuild.moved":
      return { ...rebuild, status: event.data.to, resumeAs: event.data.to, error: null }
    case "rebuild.verified":
      return { ...rebuild, status: "ready", resumeAs: "ready", parity: event.data.parity, accepted: null }
    case "rebuild.comparison_asked":
      return { ...rebuild, status: "verifying", resumeAs: "verifying" }
    case "rebuild.capped":
      return { ...rebuild, eventsPerSecondMax: event.data.eventsPerSecondMax }
    case "rebuild.paused":
      return { ...rebuild, status: "paused" }
    case "rebuild.resumed":
      return { ...rebuild, status: rebuild.resumeAs, error: null }
    case "rebuild.failed":
      return { ...rebuild, status: "failed", error: event.data.error }
    case "rebuild.aborted":
      return { ...rebuild, status: "aborted", finishedAtMs: event.data.atMs }
    case "rebuild.accepted":
      return { ...rebuild, accepted: event.data.note }
    case "rebuild.cut_over":
      return { ...rebuild, status: "active", pointerVersion: event.data.pointerVersion, finishedAtMs: event.data.atMs }
    case "rebuild.rolled_back":
      return { ...rebuild, status: "standby", pointerVersion: event.data.pointerVersion, finishedAtMs: event.data.atMs }
    case "rebuild.retired":
      return { ...rebuild, status: "retired", finishedAtMs: event.data.atMs }
  }
}

const detailOf = (event: RebuildEvent): string | null => {
  switch (event.type) {
    case "rebuild.planned":
      return event.data.reason
    case "rebuild.verified": {
      const { compared, differ, onlyOld, onlyNew, faults, servedHalt } = event.data.parity
      if (servedHalt != null) return `not compared: the served generation has halted with ${servedHalt.code}`
      return `${compared} windows compared, ${differ + onlyOld + onlyNew} differ${faults.length === 0 ? "" : `, ${faults.length} faults`}`
    }
    case "rebuild.comparison_asked":
      return "compared again"
    case "rebuild.capped":
      return event.data.eventsPerSecondMax === null ? "no cap" : `at most ${event.data.eventsPerSecondMax} events/s`
    case "rebuild.failed":
      return event.data.error
    case "rebuild.accepted":
      return `accepted: ${event.data.note}`
    default:
      return null
  }
}

/** Claims are kept up while it is worked on and say nothing to a reader. */
const historyAfter = (history: Rebuild["history"], status: RebuildStatus, event: RebuildEvent): Rebuild["history"] =>
  event.type === "rebuild.claimed" ? history : [...history, { status, atMs: event.data.atMs, detail: detailOf(event) }].slice(-HISTORY_MAX)

/** The rebuild after an event of its own. */
const after = (rebuild: Rebuild, event: Exclude<RebuildEvent, { readonly type: "rebuild.planned" }>): Rebuild => {
  const changed = change(rebuild, event)
  return { ...changed, built: builtAfter(rebuild, event), history: historyAfter(rebuild.history, changed.status, event) }
}

/** The rebuilds after `event`; an event of a rebuild that was never planned changes nothing. */
export const evolveRebuilds = (state: Rebuilds | undefined, event: RebuildEvent): Rebuilds => {
  const rebuilds = state?.rebuilds ?? []
  if (event.type === "rebuild.planned") {
    const { atMs, ...planned } = event.data
    const rebuild: Rebuild = { ...planned, status: "planned", resumeAs: "planned", parity: null, accepted: null, error: null, eventsPerSecondMax: null, claim: null, pointerVersion: null, built: null, startedAtMs: atMs, finishedAtMs: null, history: historyAfter([], "planned", event) }
    return { rebuilds: [...rebuilds, rebuild] }
  }
  return { rebuilds: rebuilds.map((rebuild) => (rebuild.rebuildId === event.data.rebuildId ? after(rebuild, event) : rebuild)) }
}
