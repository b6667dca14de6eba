import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import { readConfiguration } from "@tidemark/infra-wiring/configuration"
import { engines } from "@tidemark/infra-wiring/engines"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { askPastAgain, compareWithPast } from "./pastHarness.ts"

describe("answers as of an earlier position in the distributed mode", () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tidemark-past-"))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  it("are byte for byte those that were given there, revisions aside, at more than 200 positions", async () => {
    const seed = Number(process.env["PAST_SEED"] ?? Date.now() % 1_000_000)
    const namespace = `past${randomBytes(4).toString("hex")}`
    const enginesIn = (name: string) => engines(readConfiguration({
      flags: new Map(), workingDirectory: directory, terminal: false,
      environment: { ...process.env, TIDEMARK_MODE: "distributed", TIDEMARK_PARTITIONS: "4", TIDEMARK_LANES: "2", TIDEMARK_DATA_DIR: join(directory, name), TIDEMARK_NAMESPACE: namespace }
    }))
    const { answers, positions, records, millisecondsEach, outcomes, differing, recorded } = await Effect.runPromise(compareWithPast(seed, 220).pipe(Effect.provide(enginesIn("projector"))))
    console.log(`seed ${seed}: ${answers} answers at ${positions} positions of ${records} records, ${millisecondsEach.toFixed(1)} ms a question`)
    expect({ seed, differing: differing.slice(0, 3) }).toEqual({ seed, differing: [] })
    for (const count of Object.values(outcomes)) expect(count).toBeGreaterThan(0)
    expect(positions).toBeGreaterThanOrEqual(200)
    // A process that reads no partition has clocks to begin at, and gives the same answers.
    const elsewhere = Effect.gen(function* () {
      const clocks = yield* (yield* PartitionIndex).clocks(0, 1_000_000n, Infinity)
      return { isKnown: clocks !== undefined, differing: yield* askPastAgain(recorded.slice(0, 40)) }
    })
    expect(await Effect.runPromise(elsewhere.pipe(Effect.provide(enginesIn("api"))))).toEqual({ isKnown: true, differing: [] })
  }, 400_000)
})
