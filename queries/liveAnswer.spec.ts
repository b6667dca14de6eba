/** Whatever the bus does, a subscriber ends with the query's own answer. Rule: docs/semantics.md §9.9. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { portsOf } from "./fakePorts.ts"
import { World } from "./fakes.ts"
import { seriesChanged } from "./live.ts"
import type { SeriesChange, SeriesChangesInput } from "./live.ts"
import { series } from "./series.ts"
import type { SeriesGroup } from "./series.ts"
import { pass, subscribe, underTestClock } from "./subscriber.ts"
import type { PositionPart } from "./windowState.ts"

const START = Date.parse("2026-03-01T00:00:00Z")
const base: SeriesChangesInput = { projection: "page-views", measures: ["views"], fromMs: START, toMs: START + 30 * 60_000, resolution: "minute", breakdownBy: "page" }

type Held = Map<string, readonly [events: bigint, revision: bigint]>

const note = (held: Held, groups: readonly SeriesGroup[]): Held => {
  for (const { key, points } of groups) for (const { startMs, events, revision } of points) held.set(`${key[0]?.value} ${startMs}`, [events, revision])
  return held
}

/** A client's picture: RESYNC replaces it, UPSERT adds to it. */
const apply = (held: Held, { kind, groups }: SeriesChange): void => {
  if (kind === "RESYNC") held.clear()
  note(held, groups)
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("view" as const), partition: fc.nat(1), minute: fc.nat(29), page: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("beat" as const), partition: fc.nat(1), minute: fc.nat(29) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("deliver" as const), count: fc.nat(4), twice: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.constantFrom(0, 30, 200) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("leave" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("lose" as const) }) }
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

const scenario = Effect.fn(function* (steps: readonly Step[]) {
  const world = new World()
  const held: Held = new Map()
  const ports = portsOf(world)
  world.held = []
  let position: readonly PositionPart[] | undefined
  let ids = 0
  const begin = Effect.fn(function* () {
    const live = yield* subscribe(Stream.provideContext(seriesChanged({ ...base, ...(position === undefined ? {} : { since: position }) }, "acme"), ports))
    let taken = 0
    const take = (): void => {
      for (const change of live.told.slice(taken)) apply(held, change)
      taken = live.told.length
      position = live.told.at(-1)?.position ?? position
    }
    return { take, leave: live.leave }
  })
  const deliver = (count: number, twice: boolean): void => {
    const queue = world.held ?? []
    const due = queue.splice(0, count)
    world.held = undefined
    for (const publication of twice ? [...due, ...due] : due) world.tell(...publication)
    world.held = queue
  }
  let live = yield* begin()
  // From the first hint on that a subscriber hears, it can tell that one was lost.
  world.fold(0, { id: "first", timeMs: START, page: "/0" })
  deliver(Infinity, false)
  for (const one of steps) {
    if (one.kind === "view") world.fold(one.partition, { id: `view ${ids++}`, timeMs: START + one.minute * 60_000, page: `/${one.page}` })
    if (one.kind === "beat") world.heartbeat(one.partition, START + one.minute * 60_000)
    if (one.kind === "deliver") deliver(one.count, one.twice)
    if (one.kind === "pass") yield* pass(one.ms)
    if (one.kind === "lose") world.held.shift()
    if (one.kind !== "leave") continue
    live.take()
    yield* live.leave
    live = yield* begin()
  }
  world.fold(0, { id: "last", timeMs: START, page: "/0" })
  deliver(Infinity, false)
  yield* pass(1_000)
  live.take()
  const { groups } = yield* Effect.provide(series(base, "acme"), ports)
  expect(held).toEqual(note(new Map(), groups))
})

const holds = (isPossible: (kind: Step["kind"]) => boolean) => fc.assert(
  fc.asyncProperty(fc.array(step.filter(({ kind }) => isPossible(kind)), { maxLength: 60 }), (steps) => underTestClock(() => scenario(steps))()),
  { numRuns: 40 }
)

describe("a subscriber's picture", () => {
  it("is the query's answer after any delays, repeats and disconnections", () => holds((kind) => kind !== "lose"))

  it("is the query's answer after any delays, repeats and losses the bus does not know of, once another hint has come", () => holds((kind) => kind !== "leave"))
})
