/** The simulation with this command in it: several processes that accept events, killed, slowed, with clocks of their own. */
import { hashSeedOf } from "@tidemark/domain/events/hashSeed"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { RejectedLog } from "@tidemark/domain/ports/RejectedLog"
import { findBug } from "@tidemark/projections/simulation/campaign"
import { runScenario } from "@tidemark/projections/simulation/runWorld"
import { scenarioOf } from "@tidemark/projections/simulation/scenario"
import type { Scenario } from "@tidemark/projections/simulation/scenario"
import { shrink } from "@tidemark/projections/simulation/shrink"
import type { IngestRequest, MakeIngest } from "@tidemark/projections/simulation/worldRequests"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { makeAcceptEvents } from "./acceptEvents.ts"
import { makeFakeRejectedLog } from "./fakes.ts"
import { makeSchemaRegistry } from "./schemas.ts"
import { splitBody } from "./splitBody.ts"

const SEEDS = 24

const ingestOf = (duplicates: "whole" | "own"): MakeIngest => Effect.gen(function* () {
  const log = yield* EventLog
  const accept = yield* makeAcceptEvents({ schemas: makeSchemaRegistry([]), hashSeed: hashSeedOf(log.identity.logId), duplicates })
  return ({ tenantId, body, sentAtMs, backfill }: IngestRequest) => {
    const split = splitBody({ text: body, contentType: "application/json", header: () => undefined })
    if (split.kind === "bad") return Effect.die(new Error(split.detail))
    return accept({ tenantId, items: split.items, defaultSource: "urn:test", sentAtMs, backfill, strict: false, dryRun: false })
  }
}).pipe(Effect.provideService(RejectedLog, makeFakeRejectedLog().shape))

const run = (scenario: Scenario, duplicates: "whole" | "own", bug?: string) => runScenario(scenario, bug === undefined ? undefined : findBug(bug), ingestOf(duplicates))

describe("accepting events in the simulated world", () => {
  it.each(["whole", "own"] as const)(`keeps what it acknowledged, stores nothing it refused and loses count of none, knowing %s duplicates, for the seeds 1 to ${SEEDS}`, (duplicates) => {
    let [records, inPart] = [0, 0]
    for (let seed = 1; seed <= SEEDS; seed++) {
      const result = run(scenarioOf(seed), duplicates)
      records += result.stats.records
      inPart += result.stats.inPart
      if (result.violations.length === 0) continue
      const { scenario } = shrink(result.scenario, (smaller) => run(smaller, duplicates).violations.length > 0, 100)
      expect.fail(`seed ${seed}, trace ${result.traceHash}: ${result.violations[0]}\nshrunk: ${JSON.stringify(scenario)}\n${run(scenario, duplicates).tail.join("\n")}`)
    }
    expect(records).toBeGreaterThan(SEEDS * 60)
    expect(inPart).toBeGreaterThan(SEEDS / 4)
  }, 300_000)

  it("does the same for the same seed", () => {
    for (const seed of [3, 11]) expect(run(scenarioOf(seed), "whole")).toEqual(run(scenarioOf(seed), "whole"))
  })

  it("is caught when it says of an append of unknown outcome that nothing is stored", () => {
    const refusing: MakeIngest = Effect.map(ingestOf("whole"), (ingest) => (request: IngestRequest) => Effect.map(ingest(request), (answer) => ({
      ...answer, results: answer.results.map((result) => (result.code === "outcome-unknown" ? { ...result, code: "log-not-writable" } : result))
    })))
    const rule = /refused and in the log: (acme|birch) r\d+/
    let violations: readonly string[] = []
    for (let seed = 1; seed <= 200 && !violations.some((one) => rule.test(one)); seed++) violations = runScenario(scenarioOf(seed), undefined, refusing).violations
    expect(violations.join("\n")).toMatch(rule)
  })

  it("is caught when it acknowledges before the event is stored", () => {
    let violations: readonly string[] = []
    for (let seed = 1; seed <= 200 && !violations.some((one) => /acknowledged and not in the log: (acme|birch) r\d+/.test(one)); seed++) violations = run(scenarioOf(seed), "whole", "early-ack").violations
    expect(violations.join("\n")).toMatch(/acknowledged and not in the log: (acme|birch) r\d+/)
  })
})
