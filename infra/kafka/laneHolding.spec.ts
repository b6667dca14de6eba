import { describe, expect, it } from "vitest"
import { LaneHolding, REBALANCE_MS_MAX } from "./laneHolding.ts"

const SESSION_MS = 1_000

const make = () => {
  let nowMs = 0
  const told: (readonly number[])[] = []
  const holding = new LaneHolding({ sessionMs: SESSION_MS, nowMs: () => nowMs, onHeld: (lanes) => void told.push(lanes) })
  return { holding, told, pass: (ms: number) => void (nowMs += ms) }
}

describe("lanes held from a group", () => {
  it("go after a session without a word, and come back once the group answers what was asked after that", () => {
    const { holding, told, pass } = make()
    holding.give([0, 1, 2])
    pass(SESSION_MS + 50)
    holding.look()
    expect(holding.held).toEqual([])
    holding.beat()
    expect(holding.held).toEqual([])
    pass(200)
    holding.beat()
    pass(200)
    holding.beat()
    holding.look()
    expect(told).toEqual([[0, 1, 2], [], [0, 1, 2]])
  })

  it("go again when the group falls silent again, with no memory of earlier answers", () => {
    const { holding, told, pass } = make()
    holding.give([3])
    for (let round = 0; round < 2; round++) {
      pass(SESSION_MS + 1)
      holding.look()
      holding.beat()
      expect(holding.held).toEqual([])
      holding.beat()
      expect(holding.held).toEqual([3])
    }
    expect(told).toHaveLength(5)
  })

  it("stay while heartbeats are answered, and for the length of a rebalance while the group shares anew", () => {
    const { holding, told, pass } = make()
    holding.give([0])
    for (let beats = 0; beats < 10; beats++) {
      pass(SESSION_MS - 1)
      holding.look()
      holding.beat()
    }
    holding.rejoin()
    pass(REBALANCE_MS_MAX)
    holding.look()
    expect(told).toEqual([[0]])
    pass(1)
    holding.look()
    expect(told).toEqual([[0], []])
  })

  it("dropped in a rebalance come back by the group's next share only, which may be another one", () => {
    const { holding, told, pass } = make()
    holding.give([0, 1])
    holding.rejoin()
    pass(REBALANCE_MS_MAX + 1)
    holding.look()
    holding.beat()
    holding.beat()
    expect(holding.held).toEqual([])
    holding.give([1])
    pass(SESSION_MS + 1)
    holding.look()
    holding.beat()
    holding.beat()
    expect(told).toEqual([[0, 1], [], [1], [], [1]])
  })

  it("are told once when the group gave none", () => {
    const { holding, told, pass } = make()
    holding.give([])
    pass(SESSION_MS + 1)
    holding.look()
    holding.beat()
    holding.beat()
    expect(told).toEqual([[]])
  })
})
