import { EventStore } from "@tidemark/domain/ports/EventStore"
import { DIFFERENCES_OF_PAGE } from "@tidemark/domain/settings/rebuild/differences"
import type { DifferenceCounts, WindowDifference } from "@tidemark/domain/settings/rebuild/differences"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { makeFakeEventStore } from "../settings/fakes.ts"
import { loadDifferences, pagesOf, storeDifferences } from "./differences.ts"

const ACT = { actor: "replay", reason: "test" }
const LIST = { comparisonId: "0f9b8a2e-0000-4000-8000-000000000001", tenantId: "acme" }

const differencesOf = (length: number): readonly WindowDifference[] => Array.from({ length }, (_, at) => ({
  tenantId: "acme", resolution: 0, startMs: at * 60_000, key: [`k${at}`], old: { events: "1" }, new: at % 2 === 0 ? null : { events: "2" }, cause: "INPUT",
  firstDivergingEvent: at % 2 === 0 ? null : { id: "e", type: "order", partition: 1, offset: "7", old: { events: "1" }, new: { events: "2" } }, noEvent: at % 2 === 0 ? { code: "TOO_LARGE", detail: "too large" } : null
}))

/** A list of so many windows, stored as whoever carries a rebuild out stores it. */
const stored = async (length: number) => {
  const events = makeFakeEventStore()
  const run = <A, E>(effect: Effect.Effect<A, E, EventStore>): Promise<A> => Effect.runPromise(Effect.provideService(effect, EventStore, events.shape))
  const differences = differencesOf(length)
  const counts: DifferenceCounts = { compared: 900, equal: 300, differ: 600, onlyOld: 0, onlyNew: 0, measures: [{ measure: "events", windows: 600 }], listed: length, oldDimensions: ["shop"], newDimensions: ["shop"] }
  await run(storeDifferences(LIST, { type: "rebuild.differences.counted", data: counts }, -1, ACT))
  for (const [at, page] of pagesOf(differences).entries()) await run(storeDifferences(LIST, { type: "rebuild.differences.listed", data: { differences: page } }, at, ACT))
  return { events, run, counts, differences }
}

describe("the stored list of differences", () => {
  it("is read from any place and of any length, whatever its pages, and counts all that differs", async () => {
    const { run, counts, differences } = await stored(2 * DIFFERENCES_OF_PAGE + 7)
    for (const start of [0, 1, 49, 50, 51, 99, 100, 106, 107, 500]) {
      for (const limit of [1, 49, 50, 51, 100, 1_000]) expect(await run(loadDifferences(LIST, start, limit)), `${start} ${limit}`).toEqual({ counts, differences: differences.slice(start, start + limit) })
    }
  })

  it("may be empty, and is none for another tenant or comparison", async () => {
    const { run, counts } = await stored(0)
    expect(await run(loadDifferences(LIST, 0, 10))).toEqual({ counts, differences: [] })
    expect(await run(loadDifferences({ ...LIST, tenantId: "birch" }, 0, 10))).toBeUndefined()
    expect(await run(loadDifferences({ ...LIST, comparisonId: "0f9b8a2e-0000-4000-8000-000000000002" }, 0, 10))).toBeUndefined()
  })

  it("is written by one hand: a page that does not follow the one before is refused", async () => {
    const { run } = await stored(60)
    const again = { type: "rebuild.differences.listed", data: { differences: [] } } as const
    expect(await run(Effect.flip(storeDifferences(LIST, again, 1, ACT)))).toMatchObject({ _tag: "WrongRevisionError" })
  })

  it("is corrupt where a page cannot be read", async () => {
    const { run, events } = await stored(10)
    await run(Effect.asVoid(events.shape.append(`differences~${LIST.comparisonId}~acme`, [{ id: "x", type: "rebuild.differences.listed", data: { differences: [{ key: 1 }] } }], "any")))
    expect(await run(Effect.flip(loadDifferences(LIST, 0, 100)))).toMatchObject({ _tag: "SettingsCorruptError", type: "rebuild.differences.listed" })
  })
})
