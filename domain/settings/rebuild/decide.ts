/** Decisions about rebuilds. Pure: the same state and command give the same events. Rules: docs/semantics.md §8. */
import * as Schema from "effect/Schema"
import { InvalidSettingError } from "../streams.ts"
import type { ParitySummary, RebuildEvent, RebuildPlan } from "./events.ts"
import { isRunning } from "./evolve.ts"
import type { Rebuild, RebuildStatus, Rebuilds } from "./evolve.ts"

const TEXT_LENGTH_MAX = 500

/** Wait for the running one, or abort it. */
export class RebuildRunningError extends Schema.TaggedError<RebuildRunningError>()("RebuildRunningError", { projection: Schema.String, rebuildId: Schema.String }) {}

/** There is no such rebuild. */
export class RebuildMissingError extends Schema.TaggedError<RebuildMissingError>()("RebuildMissingError", { rebuildId: Schema.String }) {}

/** The rebuild is not where this can be done. */
export class RebuildStatusError extends Schema.TaggedError<RebuildStatusError>()("RebuildStatusError", { rebuildId: Schema.String, status: Schema.String, wanted: Schema.String }) {}

/**
 * The old and the new generation differ. `isAcceptable`: another definition, whose differences may be accepted with a
 * note; those of the same definition never are. `servedHalt`: nothing could be compared, because the served generation has
 * halted with this code; a note is needed then, whatever the definition.
 */
export class ParityDiffersError extends Schema.TaggedError<ParityDiffersError>()("ParityDiffersError", { rebuildId: Schema.String, differences: Schema.Int, isAcceptable: Schema.Boolean, servedHalt: Schema.optionalKey(Schema.String) }) {}

export interface PlanRebuild {
  readonly rebuildId: string
  readonly projection: string
  readonly generation: number
  readonly fromGeneration: number
  readonly definition: string
  readonly definitionHash: string
  readonly reason: string
  readonly plan: RebuildPlan
  /** How quickly it may fold, events a second; none: as quickly as others leave room. */
  readonly eventsPerSecondMax?: number
}

const textFault = (pointer: string, text: string): InvalidSettingError | undefined =>
  text.trim() === "" || text.length > TEXT_LENGTH_MAX ? new InvalidSettingError({ pointer, detail: `expected 1 to ${TEXT_LENGTH_MAX} characters` }) : undefined

const RATE_MAX = 1_000_000_000

const rateFault = (rate: number | null | undefined): InvalidSettingError | undefined =>
  rate === null || rate === undefined || (Number.isInteger(rate) && rate >= 1 && rate <= RATE_MAX) ? undefined : new InvalidSettingError({ pointer: "/eventsPerSecondMax", detail: `expected a whole number from 1 to ${RATE_MAX}` })

/** A reason is required, and one rebuild per projection runs at a time. */
export const decidePlan = (state: Rebuilds | undefined, command: PlanRebuild, nowMs: number): readonly RebuildEvent[] | InvalidSettingError | RebuildRunningError => {
  const { eventsPerSecondMax, ...planned } = command
  const fault = textFault("/reason", command.reason) ?? rateFault(eventsPerSecondMax)
  if (fault !== undefined) return fault
  const running = state?.rebuilds.find(isRunning)
  if (running !== undefined) return new RebuildRunningError({ projection: command.projection, rebuildId: running.rebuildId })
  const capped: readonly RebuildEvent[] = eventsPerSecondMax === undefined ? [] : [{ type: "rebuild.capped", data: { rebuildId: command.rebuildId, eventsPerSecondMax, atMs: nowMs } }]
  return [{ type: "rebuild.planned", data: { ...planned, atMs: nowMs } }, ...capped]
}

type Refusal = RebuildMissingError | RebuildStatusError

/** Decides on the rebuild of this id where it has one of the statuses; nothing to do where it is as wanted already. */
const within = <Answer>(
  state: Rebuilds | undefined, rebuildId: string, wanted: readonly RebuildStatus[], done: readonly RebuildStatus[], decide: (rebuild: Rebuild) => Answer
): readonly RebuildEvent[] | Refusal | Answer => {
  const rebuild = state?.rebuilds.find((one) => one.rebuildId === rebuildId)
  if (rebuild === undefined) return new RebuildMissingError({ rebuildId })
  if (done.includes(rebuild.status)) return []
  if (!wanted.includes(rebuild.status)) return new RebuildStatusError({ rebuildId, status: rebuild.status, wanted: wanted.join(", ") })
  return decide(rebuild)
}

const WORKING: readonly RebuildStatus[] = ["planned", "preparing", "building", "catching_up", "verifying"]

export const decidePause = (state: Rebuilds | undefined, rebuildId: string, nowMs: number): readonly RebuildEvent[] | Refusal =>
  within(state, rebuildId, WORKING, ["paused"], () => [{ type: "rebuild.paused", data: { rebuildId, atMs: nowMs } }])

/** How quickly it may fold from now on, events a second; null takes the cap away. While it is to be built. */
export const decideCap = (state: Rebuilds | undefined, rebuildId: string, eventsPerSecondMax: number | null, nowMs: number): readonly RebuildEvent[] | Refusal | InvalidSettingError =>
  within(state, rebuildId, [...WORKING, "paused", "failed"], [], (rebuild): readonly RebuildEvent[] | InvalidSettingError =>
    rateFault(eventsPerSecondMax) ?? (rebuild.eventsPerSecondMax === eventsPerSecondMax ? [] : [{ type: "rebuild.capped", data: { rebuildId, eventsPerSecondMax, atMs: nowMs } }]))

/** Goes on with the phase it was in; so does one that failed. */
export const decideResume = (state: Rebuilds | undefined, rebuildId: string, nowMs: number): readonly RebuildEvent[] | Refusal =>
  within(state, rebuildId, ["paused", "failed"], WORKING, () => [{ type: "rebuild.resumed", data: { rebuildId, atMs: nowMs } }])

/** At any moment before the cut-over. */
export const decideAbort = (state: Rebuilds | undefined, rebuildId: string, nowMs: number): readonly RebuildEvent[] | Refusal =>
  within(state, rebuildId, [...WORKING, "ready", "paused", "failed"], ["aborted"], () => [{ type: "rebuild.aborted", data: { rebuildId, atMs: nowMs } }])

/**
 * One of several executors takes or keeps the rebuild for `leaseMs`. Nothing to do while it is well within its time;
 * refused while another one's time runs. Two that claim at once meet at the stream's expected revision: one of them
 * decides again and is refused. Executors' clocks may differ by less than the lease: should two work at once all the
 * same, the epochs of the lanes fence one of them, so only time is lost.
 */
export const decideClaim = (state: Rebuilds | undefined, rebuildId: string, executor: string, leaseMs: number, nowMs: number): readonly RebuildEvent[] | Refusal =>
  within(state, rebuildId, [...WORKING, "aborted"], [], ({ claim, status }) => {
    const isOwn = claim?.executor === executor
    if (claim !== null && !isOwn && claim.untilMs > nowMs) return new RebuildStatusError({ rebuildId, status: `${status}, claimed by ${claim.executor}`, wanted: "unclaimed" })
    if (isOwn && claim.untilMs - nowMs > leaseMs / 2) return []
    return [{ type: "rebuild.claimed", data: { rebuildId, executor, untilMs: nowMs + leaseMs, atMs: nowMs } }]
  })

/** The executor's next phase; refused once somebody has paused or aborted the rebuild. */
export const decideMove = (state: Rebuilds | undefined, rebuildId: string, to: "preparing" | "building" | "catching_up" | "verifying", nowMs: number): readonly RebuildEvent[] | Refusal =>
  within(state, rebuildId, WORKING.filter((status) => status !== to), [to], () => [{ type: "rebuild.moved", data: { rebuildId, to, atMs: nowMs } }])

/** A comparison may be made again, with newer numbers, until the cut-over. */
export const decideVerified = (state: Rebuilds | undefined, rebuildId: string, parity: ParitySummary, nowMs: number): readonly RebuildEvent[] | Refusal =>
  within(state, rebuildId, ["verifying", "ready"], [], () => [{ type: "rebuild.verified", data: { rebuildId, parity, atMs: nowMs } }])

/** Has the ready rebuild compared once more; what was accepted of the last comparison is asked for again after it. */
export const decideCompareAgain = (state: Rebuilds | undefined, rebuildId: string, nowMs: number): readonly RebuildEvent[] | Refusal =>
  within(state, rebuildId, ["ready"], ["verifying"], () => [{ type: "rebuild.comparison_asked", data: { rebuildId, atMs: nowMs } }])

export const decideFail = (state: Rebuilds | undefined, rebuildId: string, error: string, nowMs: number): readonly RebuildEvent[] | Refusal =>
  within(state, rebuildId, [...WORKING, "ready"], ["failed", "aborted", "paused"], () => [{ type: "rebuild.failed", data: { rebuildId, error, atMs: nowMs } }])

/** Windows and whole-model faults that differ. */
export const differencesIn = ({ differ, onlyOld, onlyNew, faults }: ParitySummary): number => differ + onlyOld + onlyNew + faults.length

/** Why the pointer may not move from `served` to the rebuilt generation, whatever was proved: the proof is of another pair. */
const pairFault = ({ rebuildId, status, generation, fromGeneration }: Rebuild, served: number | undefined): RebuildStatusError | undefined => {
  const serves = served === undefined ? "no generation is served" : `generation ${served} is served`
  if (served === generation) return undefined
  if (status === "active") return new RebuildStatusError({ rebuildId, status: `${status}, but ${serves}`, wanted: "ready, standby" })
  if (served === fromGeneration) return undefined
  const wanted = `generation ${fromGeneration} to be served: it has to be compared again, so serve that one again, or abort this rebuild and start another`
  return new RebuildStatusError({ rebuildId, status: `${status}, compared with generation ${fromGeneration}, but ${serves}`, wanted })
}

/**
 * Whether the pointer, which names `served`, may move to the rebuilt generation: proved equal to that one; or, of another
 * definition, or beside one that has halted, proved by a sample and accepted with a note, which is what is to be stored
 * before the pointer moves. Faults of the build itself are never accepted, and nothing is without a proof. One that is active and
 * served stays so; one that was replaced since, or was compared with a generation that is not served, is refused.
 */
export const decideCutOver = (
  state: Rebuilds | undefined, rebuildId: string, acceptNote: string | undefined, served: number | undefined, nowMs: number
): readonly RebuildEvent[] | Refusal | ParityDiffersError | InvalidSettingError =>
  within(state, rebuildId, ["ready", "standby", "active"], [], (rebuild): readonly RebuildEvent[] | RebuildStatusError | ParityDiffersError | InvalidSettingError => {
    const { status, parity, accepted } = rebuild
    const fault = pairFault(rebuild, served)
    if (fault !== undefined) return fault
    if (status === "active") return []
    if (parity === null) return new ParityDiffersError({ rebuildId, differences: 0, isAcceptable: false })
    const differences = differencesIn(parity)
    const servedHalt = parity.servedHalt ?? null
    const isAlone = servedHalt !== null
    const isProved = (parity.sameDefinition && !isAlone) || (parity.sample ?? null) !== null
    if (isProved && ((differences === 0 && !isAlone) || accepted !== null)) return []
    const isAcceptable = isProved && (!parity.sameDefinition || isAlone) && parity.faults.length === 0
    if (!isAcceptable || acceptNote === undefined) return new ParityDiffersError({ rebuildId, differences, isAcceptable, ...(servedHalt === null ? {} : { servedHalt: servedHalt.code }) })
    return textFault("/acceptDifferences", acceptNote) ?? [{ type: "rebuild.accepted", data: { rebuildId, note: acceptNote, atMs: nowMs } }]
  })

/** A look at the pointer that is older than what the stream tells of it says nothing. */
const isNews = ({ pointerVersion: told }: Rebuild, pointerVersion: number): boolean => told === null || pointerVersion > told

/** Served or on standby: the projection has a way back or forth by it. */
const isFinished = ({ status }: Rebuild): boolean => status === "active" || status === "standby"

/** The ways back and forth end of every other one: a projection has one generation on standby. */
const retireOthers = (state: Rebuilds | undefined, rebuildId: string, nowMs: number): readonly RebuildEvent[] =>
  (state?.rebuilds ?? []).filter((one) => isFinished(one) && one.rebuildId !== rebuildId).map((one) => ({ type: "rebuild.retired", data: { rebuildId: one.rebuildId, atMs: nowMs } }))

/**
 * The pointer has moved to the rebuilt generation, by whoever's hand: the read models say so. Also when the rebuild was
 * aborted while the pointer moved: what is served is not dropped. Those that it replaces are retired by the same word.
 */
export const decideMoved = (state: Rebuilds | undefined, rebuildId: string, pointerVersion: number, nowMs: number): readonly RebuildEvent[] | Refusal =>
  within(state, rebuildId, ["ready", "standby", "aborted"], ["active"], (rebuild) =>
    !isNews(rebuild, pointerVersion) ? [] : [{ type: "rebuild.cut_over", data: { rebuildId, pointerVersion, atMs: nowMs } }, ...retireOthers(state, rebuildId, nowMs)])

/** Retires what a later rebuild has replaced although its stream does not say so yet. */
export const decideReplaced = (state: Rebuilds | undefined, nowMs: number): readonly RebuildEvent[] => {
  const [latest] = (state?.rebuilds ?? []).filter(isFinished).sort((a, b) => (b.pointerVersion ?? 0) - (a.pointerVersion ?? 0))
  return latest === undefined ? [] : retireOthers(state, latest.rebuildId, nowMs)
}

/** The pointer has moved back. */
export const decideMovedBack = (state: Rebuilds | undefined, rebuildId: string, pointerVersion: number, nowMs: number): readonly RebuildEvent[] | Refusal =>
  within(state, rebuildId, ["active"], ["standby"], (rebuild) => !isNews(rebuild, pointerVersion) ? [] : [{ type: "rebuild.rolled_back", data: { rebuildId, pointerVersion, atMs: nowMs } }])

/** The generation that is not served any more is dropped. */
export const decideRetire = (state: Rebuilds | undefined, rebuildId: string, nowMs: number): readonly RebuildEvent[] | Refusal =>
  within(state, rebuildId, ["active", "standby"], ["retired"], () => [{ type: "rebuild.retired", data: { rebuildId, atMs: nowMs } }])
