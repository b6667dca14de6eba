/**
 * Where two generations part: of a window that differs, the first event in the order of the log after which the two
 * definitions have not the same. Both sides' events are found again and folded side by side; what is stored is held
 * against it, for a row that is not what its events give is explained by no event. Rules: docs/semantics.md §8.
 */
import { RESOLUTIONS } from "@tidemark/domain/time/window"
import { OTHER } from "@tidemark/domain/definitions/dimensionText"
import type { EventLog, LogUnavailableError } from "@tidemark/domain/ports/EventLog"
import type { ReadSnapshot, StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import type { DivergingEvent, NoEvent, WindowDifference } from "@tidemark/domain/settings/rebuild/differences"
import { retainedFromMs } from "@tidemark/projections/runtime/retention"
import * as Effect from "effect/Effect"
import { WindowFold, refold, rowsOf, spanOf } from "./windowFold.ts"
import type { FoldedSide, WindowPlace } from "./windowFold.ts"
import type { LineageEvent, ProofBounds, ProofError } from "./windowProof.ts"

/** Larger windows are left to shorter ones of the same key. */
const EVENTS_MAX = 20_000
const BOUNDS: ProofBounds = { recordsMax: 400_000n, workMsMax: 10_000 }
/** Ledgers of a window are asked this often at most why one side leaves an event out. */
const ASKED_MAX = 20

/** What is left of the work that all searches of a comparison may take. */
export interface SearchBudget {
  windows: number
  records: bigint
}

export interface Sides {
  readonly snapshot: ReadSnapshot
  readonly sameDefinition: boolean
  readonly old: FoldedSide
  readonly new: FoldedSide
  /** Measures of both definitions. */
  readonly common: readonly string[]
}

export interface Divergence {
  readonly firstDivergingEvent: DivergingEvent | null
  readonly noEvent: NoEvent | null
}

const none = (code: NoEvent["code"], detail: string): Divergence => ({ firstDivergingEvent: null, noEvent: { code, detail } })

/** One event, with what each side holds of it. */
export interface Step {
  readonly found: LineageEvent
  readonly at: bigint
  old: LineageEvent | undefined
  new: LineageEvent | undefined
}

type SideName = "old" | "new"

/** Partitions merged by the time of receipt, each in the order in which its records took effect. */
const inLogOrder = (steps: Iterable<Step>): readonly Step[] => {
  const queues = new Map<number, Step[]>()
  for (const step of steps) {
    const queue = queues.get(step.found.partition)
    if (queue === undefined) queues.set(step.found.partition, [step])
    else queue.push(step)
  }
  const heads = [...queues].sort(([a], [b]) => a - b).map(([, queue]) => ({ queue: queue.sort((a, b) => (a.at === b.at ? (a.found.offset < b.found.offset ? -1 : 1) : a.at < b.at ? -1 : 1)), next: 0 }))
  const receivedMs = ({ queue, next }: (typeof heads)[number]): number => queue[next]?.found.event.receivedAtMs ?? Infinity
  const ordered: Step[] = []
  for (;;) {
    const first = heads.reduce<(typeof heads)[number] | undefined>((best, head) => (head.next < head.queue.length && (best === undefined || receivedMs(head) < receivedMs(best)) ? head : best), undefined)
    const step = first?.queue[first.next]
    if (first === undefined || step === undefined) return ordered
    first.next += 1
    ordered.push(step)
  }
}

/** Did the last event add the same to a measure of both, specified alike? */
const addedSame = (old: WindowFold, now: WindowFold, name: string): boolean => {
  const [a, b] = [old.compiled.measureNames.indexOf(name), now.compiled.measureNames.indexOf(name)]
  const value = old.out.values[a] ?? null
  if (value !== (now.out.values[b] ?? null)) return false
  return typeof value !== "string" || (old.out.hashHi[a] === now.out.hashHi[b] && old.out.hashLo[a] === now.out.hashLo[b])
}

/** The figures that are not the same on the other side. */
const apart = (own: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(own).filter(([name, text]) => name in other && other[name] !== text))

/** Folds both sides event by event up to the first difference; undefined when there is none. */
export const firstApart = ({ old, new: now, common }: Sides, steps: readonly Step[]): DivergingEvent | undefined => {
  const folds = { old: new WindowFold(old.compiled, old.seed), new: new WindowFold(now.compiled, now.seed) }
  const specText = (side: FoldedSide, name: string): string => JSON.stringify(side.compiled.definition.measures[name])
  const alike = common.filter((name) => specText(old, name) === specText(now, name))
  // While every event added the same to both, measures specified alike hold the same.
  let watched: readonly string[] = common.filter((name) => !alike.includes(name))
  const isSame = (name: string): boolean =>
    folds.old.measureText(name, now.compiled.definition.measures[name]) === folds.new.measureText(name, old.compiled.definition.measures[name])
  for (const step of steps) {
    for (const side of ["old", "new"] as const) {
      const event = step[side]
      if (event !== undefined) folds[side].add(event)
    }
    const both = step.old !== undefined && step.new !== undefined
    if (watched.length < common.length && !(both && alike.every((name) => addedSame(folds.old, folds.new, name)))) watched = common
    if (folds.old.countsText() === folds.new.countsText() && watched.every(isSame)) continue
    const { found: { event: { id, type }, partition, offset } } = step
    const figures = { old: folds.old.figures(), new: folds.new.figures() }
    return { id, type, partition, offset: offset.toString(), old: apart(figures.old, figures.new), new: apart(figures.new, figures.old) }
  }
  return undefined
}

/** The events of both sides in the order of the log, or what is wrong with the rows of one. */
export const collect = Effect.fn("collect")(function* ({ snapshot, old, new: now }: Sides, window: WindowPlace, bounds: ProofBounds = BOUNDS) {
  const steps = new Map<string, Step>()
  const take = (name: SideName) => (found: LineageEvent): void => {
    const at = found.appliedAt ?? found.offset
    const id = `${found.partition} ${at} ${found.offset}`
    const step = steps.get(id) ?? { found, at, old: undefined, new: undefined }
    step[name] = found
    steps.set(id, step)
  }
  for (const [name, side] of [["old", old], ["new", now]] as const) {
    const wrong = yield* refold(snapshot, side, window, bounds, take(name))
    if (wrong !== undefined) return { wrong: `generation ${side.generation}: ${wrong}` }
  }
  return { steps: inLogOrder(steps.values()) }
})

/** Has the side's retention taken the window out, or may it have? Then no ledger says what became of its events. */
const isExpired = Effect.fn("isExpired")(function* (snapshot: ReadSnapshot, { projection, generation, compiled }: FoldedSide, { startMs }: WindowPlace) {
  const { retentionDays } = compiled.definition
  if (retentionDays === undefined) return false
  const received = (yield* snapshot.checkpoints(projection, generation)).flatMap(({ partitions }) => partitions.map(({ receivedMaxMs }) => receivedMaxMs ?? -Infinity))
  return startMs < retainedFromMs(retentionDays, Math.max(...received))
})

/**
 * An event that one side counts and the other does not, although the other's definition counts it in this window and no
 * ledger says why not; undefined when there is none.
 */
const leftOut = Effect.fn("leftOut")(function* ({ snapshot, old, new: now }: Sides, window: WindowPlace, steps: readonly Step[]) {
  const dimensions = ({ compiled }: FoldedSide): string => compiled.dimensionNames.join("\n")
  if (dimensions(old) !== dimensions(now)) return undefined
  for (const [holder, other, side] of [["old", "new", now], ["new", "old", old]] as const) {
    const { projection, generation, compiled, seed } = side
    if (yield* isExpired(snapshot, side, window)) continue
    // Beyond the cap a key counts under another name, which only the order of all keys tells.
    if (window.key.length > 0 && (yield* rowsOf(snapshot, projection, generation, { ...window, key: window.key.map(() => OTHER) })).length > 0) continue
    const { out } = new WindowFold(compiled, seed)
    let asked = 0
    for (const step of steps) {
      const found = step[holder]
      if (found === undefined || step[other] !== undefined || asked >= ASKED_MAX) continue
      if (compiled.extract(found.event, out) !== "ok" || window.key.some((text, at) => text !== out.key[at])) continue
      const range = { projection, generation, partition: found.partition, min: found.offset, max: found.offset }
      asked += 1
      if ((yield* snapshot.lateIn(range)).length + (yield* snapshot.deadLettersIn(range)).length > 0) continue
      return `generation ${generation} leaves out event ${found.event.id} (partition ${found.partition}, offset ${found.offset}), which its definition counts here`
    }
  }
  return undefined
})

/** Of the same definition no event tells the sides apart: the rows of one are wrong. A lane that has none is not seen by folding the others again. */
const explainRows = Effect.fn("explainRows")(function* ({ snapshot, old, new: now }: Sides, window: WindowPlace) {
  const wrong: string[] = []
  const lanesOf = Effect.fn("lanesOf")(function* ({ projection, generation }: FoldedSide) {
    return (yield* rowsOf(snapshot, projection, generation, window)).map(({ lane }) => lane)
  })
  const lanes = { old: yield* lanesOf(old), new: yield* lanesOf(now) }
  for (const [side, own, others] of [[old, lanes.old, lanes.new], [now, lanes.new, lanes.old]] as const) {
    const absent = others.filter((lane) => !own.includes(lane))
    const found = own.length === 0 ? undefined : yield* refold(snapshot, side, window, BOUNDS)
    if (absent.length > 0) wrong.push(`generation ${side.generation}: it has no row of lane ${absent.join(", ")}`)
    if (found !== undefined) wrong.push(`generation ${side.generation}: ${found}`)
  }
  return none("ROWS_DIFFER", `input/rows differ: ${wrong.length === 0 ? "both are what their events give, but not of the same events or offsets" : wrong.join("; ")}`)
})

const unreadable = (error: Exclude<ProofError, StoreUnavailableError | LogUnavailableError>): Divergence =>
  error._tag === "LineageTooLargeError" ? none("TOO_LARGE", `the window's offset ranges span ${error.records} records, at most ${error.max} ${error.bound} are searched; look at the shorter windows of this key`)
    : none("UNREADABLE", `its events cannot be read again: ${error._tag}`)

const search = Effect.fn("searchDivergence")(function* (sides: Sides, difference: WindowDifference) {
  const { tenantId, resolution, startMs, key } = difference
  const window: WindowPlace = { tenantId, resolution, startMs, key }
  if (sides.sameDefinition) return yield* explainRows(sides, window)
  const found = yield* collect(sides, window)
  if ("wrong" in found) return none("ROWS_DIFFER", `input/rows differ: ${found.wrong}`)
  const missing = yield* leftOut(sides, window, found.steps)
  if (missing !== undefined) return none("ROWS_DIFFER", `input/rows differ: ${missing}`)
  const event = firstApart(sides, found.steps)
  return event === undefined ? none("ROWS_DIFFER", "input/rows differ: both definitions give the same from these events") : { firstDivergingEvent: event, noEvent: null }
})

const eventsOf = (figures: WindowDifference["old"]): number => Number(figures?.["events"] ?? 0)

/**
 * Looks for the first diverging event of a window while the budget lasts, which it takes from. Null only with a reason.
 * Fails when an engine does not answer.
 */
export const findDivergence = Effect.fn("findDivergence")(function* (sides: Sides, difference: WindowDifference, budget: SearchBudget): Effect.fn.Return<Divergence, StoreUnavailableError | LogUnavailableError, EventLog> {
  const { snapshot, old, new: now } = sides
  if (budget.windows <= 0 || budget.records <= 0n) return { firstDivergingEvent: null, noEvent: difference.noEvent }
  budget.windows -= 1
  const events = Math.max(eventsOf(difference.old), eventsOf(difference.new))
  if (events > EVENTS_MAX) return none("TOO_LARGE", `${events} events; at most ${EVENTS_MAX} are searched: look at the shorter windows of this key (this one is a ${RESOLUTIONS[difference.resolution].name})`)
  for (const { projection, generation } of [old, now]) {
    const span = spanOf(yield* rowsOf(snapshot, projection, generation, difference))
    budget.records -= span < BOUNDS.recordsMax ? span : 0n
  }
  return yield* search(sides, difference).pipe(Effect.catch((error): Effect.Effect<Divergence, StoreUnavailableError | LogUnavailableError> =>
    error._tag === "StoreUnavailableError" || error._tag === "LogUnavailableError" ? Effect.fail(error) : Effect.succeed(unreadable(error))))
})
