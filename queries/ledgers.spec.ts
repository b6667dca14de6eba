/** Lists of the log and its ledgers: pages that neither repeat nor skip, cursors that stay where they began. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { deadLetters } from "./deadLetters.ts"
import { events } from "./events.ts"
import { portsOf } from "./fakePorts.ts"
import { definition, World } from "./fakes.ts"
import { rejectedEvents } from "./rejectedEvents.ts"
import type { RejectedInput } from "./rejectedEvents.ts"

const START = Date.parse("2026-03-01T00:00:00Z")
const dead = (partition: number, offset: bigint, tenantId = "acme") => ({ partition, offset, tenantId, code: "EXPRESSION", pointer: "/data" })

const deadPage = (world: World, after?: string | null) =>
  Effect.runPromise(Effect.provide(deadLetters({ projection: "page-views", first: 2, ...(after ? { after } : {}) }, "acme"), portsOf(world)))

describe("a ledger", () => {
  it("is paged in log order, each entry of the tenant once", async () => {
    const world = new World()
    world.dead.push(dead(1, 0n), dead(0, 7n), dead(0, 3n), dead(0, 5n, "other"))
    const first = await deadPage(world)
    expect([first.edges.map(({ node }) => [node.partition, node.offset]), first.hasNextPage]).toEqual([[[0, 3n], [0, 7n]], true])
    const second = await deadPage(world, first.endCursor)
    expect([second.edges.map(({ node }) => [node.partition, node.offset]), second.hasNextPage]).toEqual([[[1, 0n]], false])
  })

  it("refuses a cursor whose generation is gone", async () => {
    const world = new World()
    world.dead.push(dead(0, 1n), dead(0, 2n), dead(0, 3n))
    const { endCursor } = await deadPage(world)
    world.generations.clear()
    world.generations.add(2)
    world.pointers = [{ projection: definition.name, generation: 2, pointerVersion: 2 }]
    await expect(deadPage(world, endCursor)).rejects.toMatchObject({ _tag: "CursorError" })
  })
})

describe("rejected events", () => {
  const refusal = (at: number, eventId: string | null, tenantId = "acme") => ({
    tenantId, entryId: String(at).padStart(6, "0"), receivedAtMs: at, eventId, eventType: "page.viewed", code: "schema", pointer: "", detail: "", origin: null, body: "{}"
  })
  const ask = (world: World, input: RejectedInput) => Effect.runPromise(Effect.provide(rejectedEvents(input, "acme"), portsOf(world)))

  it("are found by the id they were sent with, page by page, however many others were refused since", async () => {
    const world = new World()
    world.rejected.push(refusal(1, "e"), refusal(2, "e", "other"), refusal(3, null), refusal(4, "e"), ...Array.from({ length: 700 }, (_, at) => refusal(10 + at, `later ${at}`)))
    const first = await ask(world, { eventId: "e", first: 1 })
    expect([first.edges.map(({ node }) => node.entryId), first.hasNextPage]).toEqual([["000004"], true])
    const second = await ask(world, { eventId: "e", first: 1, after: first.endCursor ?? "" })
    expect([second.edges.map(({ node }) => node.entryId), second.hasNextPage]).toEqual([["000001"], false])
    expect(await ask(world, { eventId: "never" })).toEqual({ edges: [], hasNextPage: false, endCursor: null })
  })

  it("are looked for among 10,000 at once, and the page says where to go on", async () => {
    const world = new World()
    world.rejected.push(refusal(1, "old"), ...Array.from({ length: 10_050 }, (_, at) => refusal(10 + at, null)))
    const first = await ask(world, { eventId: "old" })
    expect([first.edges, first.hasNextPage]).toEqual([[], true])
    expect((await ask(world, { eventId: "old", after: first.endCursor ?? "" })).edges).toHaveLength(1)
  })
})

describe("events", () => {
  it("come newest first, page by page; what arrives meanwhile is on no later page", async () => {
    const world = new World()
    for (let index = 0; index < 5; index++) world.fold(index % 2, { id: String(index), timeMs: START + index * 1_000, page: "/" })
    const seen: string[] = []
    let after: string | null = null
    do {
      const page: Effect.Success<ReturnType<typeof events>> = await Effect.runPromise(Effect.provide(events({ first: 2, ...(after === null ? {} : { after }) }, "acme"), portsOf(world)))
      seen.push(...page.edges.map(({ node }) => node.event.id))
      after = page.hasNextPage ? page.endCursor : null
      world.fold(0, { id: `new ${seen.length}`, timeMs: START + 60_000, page: "/" })
    } while (after !== null)
    expect(seen).toEqual(["4", "3", "2", "1", "0"])
  })

  it("refuse a page beyond 1,000 and a text that is no cursor", async () => {
    const ask = (input: object) => Effect.runPromise(Effect.provide(events(input, "acme"), portsOf(new World())))
    await expect(ask({ first: 1_001 })).rejects.toMatchObject({ _tag: "LimitError", max: 1_000 })
    for (const after of ["x", "", btoa("{}"), btoa('{"p":[[0,"-1"]]}')]) await expect(ask({ after })).rejects.toMatchObject({ _tag: "CursorError" })
  })
})
