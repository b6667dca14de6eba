/** What every lane assignment must do. The first suite runs on each adapter, the second on those that share lanes between processes. */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { afterEach, describe, expect, it } from "vitest"
import { LaneAssignment } from "./LaneAssignment.ts"

export interface LaneAssignmentHarness {
  readonly lanes: number
  readonly open: () => Layer.Layer<LaneAssignment, unknown>
  readonly dispose: () => Promise<void>
}

/** A process of its own. */
export interface LaneMember {
  /** Every list of lanes it was given so far, in order. */
  readonly given: () => readonly (readonly number[])[]
  /** Leaves and ends. */
  readonly stop: () => Promise<void>
  /** Ends without a word. */
  readonly kill: () => Promise<void>
}

export interface SharedLaneAssignmentHarness {
  readonly lanes: number
  readonly start: () => LaneMember
  readonly dispose: () => Promise<void>
}

const LOOK_EVERY_MS = 20
const WAIT_MS_MAX = 60_000

/** Resolves when `holds()`; fails with `what()` after a minute. */
const until = async (holds: () => boolean, what: () => string): Promise<void> => {
  const deadlineMs = performance.now() + WAIT_MS_MAX
  while (!holds()) {
    if (performance.now() > deadlineMs) throw new Error(`did not happen: ${what()}`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}

const all = (lanes: number): number[] => Array.from({ length: lanes }, (_, lane) => lane)

/** Declares the suite for one adapter. */
export const laneAssignmentContract = (name: string, makeHarness: () => LaneAssignmentHarness): void => {
  describe(`LaneAssignment on ${name}`, () => {
    it("gives a process that is alone every lane, and none once its scope closes", async () => {
      const harness = makeHarness()
      const given: (readonly number[])[] = []
      try {
        await Effect.runPromise(Effect.gen(function* () {
          const assignment = yield* LaneAssignment
          yield* assignment.join((lanes) => Effect.sync(() => void given.push(lanes)))
          yield* Effect.promise(() => until(() => given.at(-1)?.length === harness.lanes, () => JSON.stringify(given)))
          expect(given.at(-1)).toEqual(all(harness.lanes))
          yield* assignment.report([{ partition: 0, nextOffset: 7n }])
        }).pipe(Effect.scoped, Effect.provide(harness.open())))
        expect(given.at(-1)).toEqual([])
      } finally {
        await harness.dispose()
      }
    })

    it("gives one list at a time and waits until it was taken", async () => {
      const harness = makeHarness()
      let running = 0
      let most = 0
      let calls = 0
      try {
        const slow = Effect.gen(function* () {
          most = Math.max(most, ++running)
          yield* Effect.sleep(30)
          running -= 1
          calls += 1
        })
        await Effect.runPromise(Effect.gen(function* () {
          yield* (yield* LaneAssignment).join(() => slow)
          yield* Effect.promise(() => until(() => calls > 0, () => "a first list"))
        }).pipe(Effect.scoped, Effect.provide(harness.open())))
        expect({ most, running, atLeastTwo: calls >= 2 }).toEqual({ most: 1, running: 0, atLeastTwo: true })
      } finally {
        await harness.dispose()
      }
    })
  })
}

/** Declares the suite for an adapter that shares lanes between processes. */
export const sharedLaneAssignmentContract = (name: string, makeHarness: () => SharedLaneAssignmentHarness): void => {
  describe(`LaneAssignment between processes on ${name}`, () => {
    let harness: SharedLaneAssignmentHarness | undefined
    let members: LaneMember[] = []
    const begin = (count: number): LaneMember[] => {
      harness ??= makeHarness()
      const started = Array.from({ length: count }, () => (harness as SharedLaneAssignmentHarness).start())
      members.push(...started)
      return started
    }
    afterEach(async () => {
      await Promise.all(members.map((member) => member.kill()))
      await harness?.dispose()
      harness = undefined
      members = []
    })
    const owned = (member: LaneMember): readonly number[] => member.given().at(-1) ?? []
    const shared = (among: readonly LaneMember[]) =>
      until(
        () => {
          const held = among.flatMap(owned).sort((a, b) => a - b)
          const sizes = among.map((member) => owned(member).length)
          return JSON.stringify(held) === JSON.stringify(all(harness?.lanes ?? 0)) && Math.max(...sizes) - Math.min(...sizes) <= 1
        },
        () => JSON.stringify(among.map((member) => member.given()))
      )

    it("shares the lanes evenly, each with one process", async () => {
      await shared(begin(2))
    })

    it("takes from the first what the second gets, without giving the first anything else in between", async () => {
      const [first] = begin(1) as [LaneMember]
      await shared([first])
      const [second] = begin(1) as [LaneMember]
      await shared([first, second])
      const lost = owned(second)
      const lists = first.given().slice(first.given().findLastIndex((lanes) => lanes.length === harness?.lanes))
      for (const list of lists.slice(1)) expect(list.filter((lane) => lost.includes(lane))).toEqual([])
      expect(owned(first)).toEqual(all(harness?.lanes ?? 0).filter((lane) => !lost.includes(lane)))
    })

    it("gives the lanes of a killed process to the others, which keep what they had", async () => {
      const [first, second, third] = begin(3) as [LaneMember, LaneMember, LaneMember]
      await shared([first, second, third])
      const before = [owned(first), owned(second)]
      await third.kill()
      await shared([first, second])
      expect(owned(first)).toEqual(expect.arrayContaining([...(before[0] ?? [])]))
      expect(owned(second)).toEqual(expect.arrayContaining([...(before[1] ?? [])]))
    })

    it("gives the lanes of a process that leaves to the others at once, after it had stopped them", async () => {
      const [first, second] = begin(2) as [LaneMember, LaneMember]
      await shared([first, second])
      await second.stop()
      expect(owned(second)).toEqual([])
      await shared([first])
    })

    it("leaves a process without a lane when there are more processes than lanes", async () => {
      const crowd = begin((makeHarness().lanes) + 1)
      await shared(crowd)
    })
  })
}
