/** The journey of one event: its windows are named and described as `window` answers them. */
import { OTHER } from "@tidemark/domain/definitions/dimensionText"
import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import { hashSeedOf } from "@tidemark/domain/events/hashSeed"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { event } from "./event.ts"
import { portsOf } from "./fakePorts.ts"
import { LOG_ID, World } from "./fakes.ts"

const START = Date.parse("2026-03-01T00:00:00Z")
const journey = async (world: World, id: string) => {
  const found = await Effect.runPromise(Effect.provide(event({ id, seed: hashSeedOf(LOG_ID) }, "acme"), portsOf(world)))
  return found?.windows[0]
}
const closed = (world: World): World => {
  for (const partition of [0, 1]) world.heartbeat(partition, START + 120_000)
  return world
}

describe("the journey of an event", () => {
  it("gives the state of the whole window: revised by another event that was late, or imported into a live window", async () => {
    const late = new World()
    late.fold(0, { id: "on time", timeMs: START, page: "/" })
    late.fold(1, { id: "late", timeMs: START + 1, page: "/" }, { late: true })
    expect(await journey(closed(late), "on time")).toMatchObject({ outcome: "FOLDED", state: "REVISED" })

    const mixed = new World()
    mixed.fold(0, { id: "live", timeMs: START, page: "/" })
    mixed.fold(1, { id: "imported", timeMs: START + 1, page: "/", backfill: "import" })
    expect(await journey(closed(mixed), "imported")).toMatchObject({ outcome: "FOLDED", state: "REVISED" })

    const alone = new World()
    alone.fold(0, { id: "imported", timeMs: START, page: "/", backfill: "import" })
    expect(await journey(alone, "imported")).toMatchObject({ state: "PROVISIONAL" })
    expect(await journey(closed(alone), "imported")).toMatchObject({ state: "FINAL" })
  })

  it("names the row that counted the event: its own key where the partition admitted it, else __other__", async () => {
    const world = new World()
    world.fold(0, { id: "admitted", timeMs: START, page: "/a" })
    world.fold(0, { id: "beyond", timeMs: START + 1, page: "/b" })
    const own = keyIdOf("acme", ["DE", "/b"])
    // The cap was reached in partition 0; in partition 1 the same key has a row of its own.
    world.rows = world.rows.map((row) => (row.keyId === own ? { ...row, key: [OTHER, OTHER], keyId: keyIdOf("acme", [OTHER, OTHER]) } : row))
    world.fold(1, { id: "elsewhere", timeMs: START + 2, page: "/b" })
    const named = (value: string) => ({ key: [{ name: "country", value: value === OTHER ? OTHER : "DE" }, { name: "page", value }] })
    expect(await journey(world, "admitted")).toMatchObject(named("/a"))
    expect(await journey(world, "beyond")).toMatchObject({ outcome: "FOLDED", ...named(OTHER) })
    expect(await journey(world, "elsewhere")).toMatchObject(named("/b"))
  })
})
