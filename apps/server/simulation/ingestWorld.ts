/**
 * One run of the simulated world with the product's command that accepts events: in every ingest process, killed, slowed,
 * with a clock of its own. Requests are live or imports, come again, and come several times at once; what is known of
 * duplicates is stored in segments so small that a run stores many. Rules: docs/semantics.md §4 and §7.
 */
import { makeAcceptEvents } from "@tidemark/commands/accept-events/acceptEvents"
import { makeFakeRejectedLog } from "@tidemark/commands/accept-events/fakes"
import { makeSchemaRegistry } from "@tidemark/commands/accept-events/schemas"
import { splitBody } from "@tidemark/commands/accept-events/splitBody"
import { hashSeedOf } from "@tidemark/domain/events/hashSeed"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import type { PartitionIndexShape } from "@tidemark/domain/ports/PartitionIndex"
import { RejectedLog } from "@tidemark/domain/ports/RejectedLog"
import type { Simulation } from "@tidemark/projections/simulation/campaign"
import type { PlantedBug } from "@tidemark/projections/simulation/plantedBugs"
import { SeededRandom } from "@tidemark/projections/simulation/random"
import { runStorm } from "@tidemark/projections/simulation/runWorld"
import { scenarioOf } from "@tidemark/projections/simulation/scenario"
import type { Scenario } from "@tidemark/projections/simulation/scenario"
import { World } from "@tidemark/projections/simulation/world"
import type { WorldResult } from "@tidemark/projections/simulation/worldResult"
import type { Ingest, IngestRequest, MakeIngest } from "@tidemark/projections/simulation/worldRequests"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"

export interface IngestDeeds {
  /** Events of imports answered as accepted and as duplicates. */
  readonly importsAccepted: number
  readonly importsKnown: number
  /** Segments that ingest stored. */
  readonly segments: number
}

export interface IngestResult extends WorldResult {
  readonly deeds: IngestDeeds
}

interface IngestSettings {
  readonly dedupeBytesMax: number
  /** Of the command: whether its process knows every duplicate, or its own recent ones. */
  readonly duplicates: "whole" | "own"
  readonly segmentRecords: bigint
}

const settingsOf = ({ seed, dedupeBytesMax }: Scenario): IngestSettings => {
  const random = new SeededRandom(seed ^ 0x6a09e667)
  return { dedupeBytesMax, duplicates: random.pick(["whole", "whole", "own"]), segmentRecords: BigInt(random.pick([3, 10, 30])) }
}

/** Changes what the command answers, for tests of the world itself. */
export type WrapIngest = (ingest: Ingest) => Ingest

interface Surroundings {
  readonly wrapIndex: (index: PartitionIndexShape) => PartitionIndexShape
  readonly wrap: WrapIngest
  /** Hears what the command logs. */
  readonly say: (line: string) => void
}

const makeIngest = ({ duplicates, segmentRecords, dedupeBytesMax }: IngestSettings, { wrapIndex, wrap, say }: Surroundings): MakeIngest => Effect.gen(function* () {
  const log = yield* EventLog
  const index = wrapIndex(yield* PartitionIndex)
  const accept = yield* Effect.provideService(makeAcceptEvents({ schemas: makeSchemaRegistry([]), hashSeed: hashSeedOf(log.identity.logId), duplicates, segmentRecords, dedupeBytesMax }), PartitionIndex, index)
  const loggers = new Set([Logger.make<unknown, void>(({ message }) => say(`ingest says: ${String([message].flat()[0])}`))])
  const ingest: Ingest = ({ tenantId, body, sentAtMs, backfill }: IngestRequest) => {
    const split = splitBody({ text: body, contentType: "application/json", header: () => undefined })
    if (split.kind === "bad") return Effect.die(new Error(split.detail))
    const request = { tenantId, items: split.items, defaultSource: "urn:test", sentAtMs, backfill, strict: false, dryRun: false }
    return Effect.provideService(accept(request), Logger.CurrentLoggers, loggers)
  }
  return { accept: wrap(ingest), knowsLog: duplicates === "whole" }
}).pipe(Effect.provideService(RejectedLog, makeFakeRejectedLog().shape))

/** The same scenario, bug and wrapping give the same result. */
export const runIngestScenario = (scenario: Scenario, bug?: PlantedBug, wrap: WrapIngest = (ingest) => ingest): IngestResult => {
  let segments = 0
  const wrapIndex = (index: PartitionIndexShape): PartitionIndexShape => {
    const counting = { ...index, save: (...saved: Parameters<PartitionIndexShape["save"]>) => Effect.tap(index.save(...saved), () => Effect.sync(() => { segments += 1 })) }
    return bug?.wrapIngestIndex?.(counting, world.tookEffect) ?? counting
  }
  const world = new World(scenario, bug, makeIngest(settingsOf(scenario), { wrapIndex, wrap, say: (line) => world.say(line) }))
  const result = runStorm(world, bug)
  const { accepted = 0, duplicate = 0 } = world.requests?.imports ?? {}
  return { ...result, deeds: { importsAccepted: accepted, importsKnown: duplicate, segments } }
}

/** The world with the command that accepts events, for campaigns. */
export const ingestSimulation: Simulation = { flag: " --world ingest", scenarioOf, run: runIngestScenario }
