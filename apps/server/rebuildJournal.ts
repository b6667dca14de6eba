/**
 * The journal of a rebuild: what whoever carries it out reads and writes of it, and what there is to be carried out.
 * Rules: docs/semantics.md §8.
 */
import { changeRebuilds, loadRebuilds } from "@tidemark/commands/rebuild/aggregate"
import { pagesOf, storeDifferences } from "@tidemark/commands/rebuild/differences"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { RebuildMissingError, decideFail, decideMove, decideVerified } from "@tidemark/domain/settings/rebuild/decide"
import type { DifferenceEvent } from "@tidemark/domain/settings/rebuild/differences"
import type { ParitySummary } from "@tidemark/domain/settings/rebuild/events"
import type { Rebuild } from "@tidemark/domain/settings/rebuild/evolve"
import type { Journal, JournalError } from "@tidemark/replay/carryOut"
import type { Parity } from "@tidemark/replay/parity"
import * as Effect from "effect/Effect"
import type { JournalCall } from "./checkThread.ts"

/** Who acts when a rebuild goes on by itself. */
export const REPLAY_ACT = { actor: "replay", reason: "carries the rebuild out" }

/** Statuses in which somebody has to act. */
export const WORKING: readonly string[] = ["planned", "preparing", "building", "catching_up", "verifying"]

const TENANTS_NAMED = 100

/** Without news it is looked again this often: for what is due by time, ms. */
const LOOK_EVERY_MS = 20_000

/** Whether another executor has claimed it: until that one's time runs out, a claim of ours would be refused. */
export const isElsewhere = ({ claim }: Pick<Rebuild, "claim">, executor: string, nowMs: number): boolean => claim !== null && claim.executor !== executor && claim.untilMs > nowMs

/**
 * How long after `nowMs` the executor looks again without news, ms: when another one's time runs out at the latest, since that
 * one may be gone and says nothing then. `due`: what there is to be carried out.
 */
export const lookAgainMs = (due: readonly Pick<Rebuild, "claim">[], executor: string, nowMs: number): number =>
  due.reduce((leastMs, rebuild) => (rebuild.claim !== null && isElsewhere(rebuild, executor, nowMs) ? Math.min(leastMs, rebuild.claim.untilMs - nowMs) : leastMs), LOOK_EVERY_MS)

const tenantsOf = (lists: Parity["lists"]): NonNullable<ParitySummary["tenants"]> =>
  lists.map(({ tenantId, counts: { differ, onlyOld, onlyNew } }) => ({ tenantId, windows: differ + onlyOld + onlyNew })).sort((a, b) => b.windows - a.windows).slice(0, TENANTS_NAMED)

const offsetTexts = (position: Parity["position"]): ParitySummary["position"] => position.map(({ partition, nextOffset }) => ({ partition, nextOffset: nextOffset.toString() }))

const summaryOf = (comparisonId: string, { sameDefinition, compared, equal, differ, onlyOld, onlyNew, faults, sample, servedHalt, measures, addedMeasures, removedMeasures, lists, position }: Parity): ParitySummary => ({
  comparisonId, sameDefinition, compared, equal, differ, onlyOld, onlyNew, faults, sample, servedHalt: servedHalt === null ? null : { ...servedHalt, position: offsetTexts(servedHalt.position) },
  measures, tenants: tenantsOf(lists), addedMeasures, removedMeasures, position: offsetTexts(position)
})

/** Does it need somebody to act: a phase to be carried out, or the generation of an aborted one to be dropped. */
const isDue = Effect.fn("isDue")(function* ({ status, projection, generation }: Rebuild) {
  if (WORKING.includes(status)) return true
  if (status !== "aborted") return false
  const store = yield* ReadModelStore
  const record = yield* Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => snapshot.generation(projection, generation)))
  return record !== undefined && record.isDropped !== true
})

/** Every rebuild of these projections, and those that are due, the oldest first. */
export const findDue = Effect.fn("findDue")(function* (names: readonly string[]) {
  const [all, due]: [Rebuild[], Rebuild[]] = [[], []]
  for (const name of names) all.push(...(yield* loadRebuilds(name)))
  for (const rebuild of all) if (yield* isDue(rebuild)) due.push(rebuild)
  return { all, due: due.sort((a, b) => a.startedAtMs - b.startedAtMs) }
})

/** What the thread wants written; one that was refused because somebody has paused or aborted it changes nothing. */
const write = ({ projection, rebuildId }: Rebuild, call: Exclude<JournalCall, { readonly call: "load" | "listed" }>) =>
  changeRebuilds(projection, REPLAY_ACT, (state, nowMs) => {
    switch (call.call) {
      case "moved":
        return decideMove(state, rebuildId, call.to, nowMs)
      case "verified":
        return decideVerified(state, rebuildId, summaryOf(call.comparisonId, call.found), nowMs)
      case "failed":
        return decideFail(state, rebuildId, call.error, nowMs)
    }
  }).pipe(Effect.catchTag("RebuildStatusError", () => Effect.void))

/** Does what the call says and answers the rebuild as it is then. */
export const answerCall = Effect.fn("answerCall")(function* (rebuild: Rebuild, call: JournalCall) {
  if (call.call === "listed") yield* storeDifferences(call, call.event, call.after, REPLAY_ACT)
  else if (call.call !== "load") yield* write(rebuild, call)
  const now = (yield* loadRebuilds(rebuild.projection)).find(({ rebuildId }) => rebuildId === rebuild.rebuildId)
  return now ?? (yield* new RebuildMissingError({ rebuildId: rebuild.rebuildId }))
})

/** The journal whose calls are answered by `ask`. */
export const journalOf = (ask: (call: JournalCall) => Effect.Effect<Rebuild, JournalError>): Journal => {
  const listed: Journal["listed"] = Effect.fn("listed")(function* (comparisonId, { tenantId, counts, differences }) {
    const events: readonly DifferenceEvent[] = [
      { type: "rebuild.differences.counted", data: counts }, ...pagesOf(differences).map((page) => ({ type: "rebuild.differences.listed" as const, data: { differences: page } }))
    ]
    for (const [at, event] of events.entries()) yield* ask({ call: "listed", comparisonId, tenantId, event, after: at - 1 })
  })
  return {
    load: ask({ call: "load" }),
    moved: (to) => Effect.asVoid(ask({ call: "moved", to })),
    listed,
    verified: (comparisonId, found) => Effect.asVoid(ask({ call: "verified", comparisonId, found: { ...found, lists: found.lists.map((list) => ({ ...list, differences: [] })) } })),
    failed: (error) => Effect.asVoid(ask({ call: "failed", error }))
  }
}
