/**
 * Carries a rebuild out, from wherever it stands to where a person has to decide: planned → preparing → building →
 * catching up → verifying → ready. Each phase may be begun again, so whoever takes over after a crash goes on with the
 * phase the journal names, and the build itself with its checkpoints. Rules: docs/semantics.md §8.
 */
import { randomUUID } from "node:crypto"
import { parseDefinition } from "@tidemark/domain/definitions/definition"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationId } from "@tidemark/domain/ports/ReadModelStore"
import type { Rebuild, RebuildStatus } from "@tidemark/domain/settings/rebuild/evolve"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import { buildGeneration, createShadow, joinServed } from "./buildGeneration.ts"
import type { BuildOptions } from "./buildGeneration.ts"
import { parity } from "./parity.ts"
import type { Parity, ParityInput, TenantDifferences } from "./parity.ts"

/** The journal cannot be read or written. Begin again later: what was done is found again. */
export class JournalError extends Schema.TaggedError<JournalError>()("JournalError", { cause: Schema.Defect() }) {}

/** Where the rebuild is kept. A step that is refused because somebody has paused or aborted it changes nothing and succeeds. */
export interface Journal {
  readonly load: Effect.Effect<Rebuild, JournalError>
  readonly moved: (to: "preparing" | "building" | "catching_up" | "verifying") => Effect.Effect<void, JournalError>
  /** One tenant's differences, before the comparison they belong to is stored. */
  readonly listed: (comparisonId: string, list: TenantDifferences) => Effect.Effect<void, JournalError>
  readonly verified: (comparisonId: string, found: Parity) => Effect.Effect<void, JournalError>
  readonly failed: (error: string) => Effect.Effect<void, JournalError>
}

export interface CarryOutOptions extends Pick<BuildOptions, "lanes" | "lagMax" | "pace" | "fold" | "progress"> {
  readonly journal: Journal
  /** Tenants that may have rows, asked for at every comparison: others come while a generation is built. */
  readonly tenants: Effect.Effect<readonly string[]>
  readonly differencesMax: number
}

const STEERED_EVERY_MS = 100

/** Somebody else's decision is waited for. */
const AT_REST: readonly RebuildStatus[] = ["ready", "active", "standby", "retired", "paused", "failed"]

/** What is left of an aborted rebuild goes; its number is never used again. */
const discard = Effect.fn("discard")(function* (id: GenerationId) {
  const store = yield* ReadModelStore
  yield* Effect.catchTag(store.follow(id, false), "GenerationMissingError", () => Effect.void)
  // The pointer has moved to it while it was aborted: it stays, and the journal follows the pointer.
  yield* Effect.catchTag(store.dropGeneration(id), "GenerationInUseError", () => Effect.void)
})

/** Completes once the journal says that the phase was left by somebody else. */
const steered = Effect.fn("steered")(function* ({ load }: Journal) {
  while (!["paused", "aborted", "failed"].includes((yield* load).status)) yield* Effect.sleep(STEERED_EVERY_MS)
})

/** Builds unless the owners of the lanes fold it already; answers whether it was left to itself. */
const build = Effect.fn("build")(function* (options: CarryOutOptions, id: GenerationId) {
  const store = yield* ReadModelStore
  const following = yield* Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => snapshot.following))
  if (following.some((one) => one.projection === id.projection && one.generation === id.generation)) return
  const stop = yield* Deferred.make<void>()
  const watch = Effect.andThen(steered(options.journal), Deferred.succeed(stop, undefined))
  yield* Effect.raceFirst(buildGeneration({ ...options, id, stop: Deferred.await(stop) }), Effect.andThen(watch, Effect.never))
})

const compare = Effect.fn("compare")(function* (journal: Journal, tenants: CarryOutOptions["tenants"], asked: Omit<ParityInput, "seed" | "tenants">) {
  const seed = yield* Random.nextIntBetween(0, 2 ** 31 - 1)
  const attempt = Effect.flatMap(tenants, (known) => parity({ ...asked, tenants: known, seed }))
  const id = { projection: asked.projection, generation: asked.newGeneration }
  // It may stand behind for the length of a take-over.
  const found = yield* attempt.pipe(Effect.catchTag("NotAtBarrierError", () => Effect.andThen(joinServed(id), attempt)))
  // A comparison that is begun again has lists of its own.
  const comparisonId = randomUUID()
  for (const list of found.lists) yield* journal.listed(comparisonId, list)
  yield* journal.verified(comparisonId, found)
})

const phase = Effect.fn("phase")(function* (options: CarryOutOptions, rebuild: Rebuild) {
  const { journal, tenants, differencesMax } = options
  const { projection, generation, fromGeneration } = rebuild
  const id = { projection, generation }
  switch (rebuild.status) {
    case "planned":
      return yield* journal.moved("preparing")
    case "preparing":
      yield* createShadow(parseDefinition(rebuild.definition), generation)
      return yield* journal.moved("building")
    case "building":
      yield* build(options, id)
      return yield* journal.moved("catching_up")
    case "catching_up":
      yield* Effect.raceFirst(joinServed(id), steered(journal))
      return yield* journal.moved("verifying")
    case "verifying":
      // Nobody waits for a comparison whose result is not wanted any more.
      return yield* Effect.raceFirst(compare(journal, tenants, { projection, oldGeneration: fromGeneration, newGeneration: generation, differencesMax }), steered(journal))
    default:
      return undefined
  }
})

/**
 * Goes on until the rebuild waits for a person's decision, or is aborted and its generation gone; answers its status. A
 * generation that halts fails the rebuild, which can be resumed. Fails as the engines do; begin again then.
 */
export const carryOut = Effect.fn("carryOut")(function* (options: CarryOutOptions) {
  for (;;) {
    const rebuild = yield* options.journal.load
    if (rebuild.status === "aborted") {
      yield* discard(rebuild)
      return rebuild.status
    }
    if (AT_REST.includes(rebuild.status)) return rebuild.status
    yield* phase(options, rebuild).pipe(
      Effect.catchTags({
        BuildHaltedError: ({ code, detail }) => options.journal.failed(`${code}: ${detail}`),
        ComparisonGoneError: ({ generation }) => options.journal.failed(`generation ${generation} is gone`),
        NotAtBarrierError: ({ partition, newOffset, oldOffset }) => options.journal.failed(`partition ${partition} stands at ${newOffset}, of the served generation at ${oldOffset}`)
      })
    )
  }
})
