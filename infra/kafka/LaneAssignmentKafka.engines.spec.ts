import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { LaneAssignment } from "@tidemark/domain/ports/LaneAssignment"
import { laneAssignmentContract, sharedLaneAssignmentContract } from "@tidemark/domain/ports/LaneAssignment.contract"
import type { LaneMember } from "@tidemark/domain/ports/LaneAssignment.contract"
import * as Effect from "effect/Effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { makeKafka } from "./kafkaClient.ts"
import { laneAssignmentKafka } from "./LaneAssignmentKafka.ts"
import type { LaneAssignmentKafkaOptions } from "./LaneAssignmentKafka.ts"

const brokers = process.env["TIDEMARK_KAFKA_BROKERS"] ?? ""
const topic = `lanes-${randomUUID()}`
const admin = makeKafka(brokers, "lanes").admin()
const LANES = 4

const optionsOf = (groupId: string): LaneAssignmentKafkaOptions => ({ brokers, topic, groupId, partitions: 10, lanes: LANES, sessionMs: 2_000 })

beforeAll(async () => {
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: 10 }] })
})
afterAll(async () => {
  await admin.deleteTopics({ topics: [topic] })
  await admin.disconnect()
})

laneAssignmentContract("a Kafka group", () => {
  const groupId = randomUUID()
  return { lanes: LANES, open: () => laneAssignmentKafka(optionsOf(groupId)), dispose: async () => {} }
})

/** The built adapter in a process of its own, which prints each list it is given and leaves on SIGTERM. */
const MEMBER = `
const { Effect } = await import("effect")
const { LaneAssignment } = await import("@tidemark/domain/ports/LaneAssignment")
const { laneAssignmentKafka } = await import(process.argv[1])
const ended = new Promise((resolve) => process.once("SIGTERM", resolve))
const given = (lanes) => Effect.sync(() => process.stdout.write(JSON.stringify(lanes) + "\\n"))
await Effect.runPromise(Effect.gen(function* () {
  yield* (yield* LaneAssignment).join(given)
  yield* Effect.promise(() => ended)
}).pipe(Effect.scoped, Effect.provide(laneAssignmentKafka(JSON.parse(process.argv[2])))))
process.exit(0)
`

const startMember = (options: LaneAssignmentKafkaOptions): LaneMember & { readonly process: ChildProcess } => {
  const adapter = join(import.meta.dirname, "dist", "LaneAssignmentKafka.js")
  const child = spawn(process.execPath, ["--input-type=module", "-e", MEMBER, adapter, JSON.stringify(options)], { cwd: import.meta.dirname, stdio: ["ignore", "pipe", "inherit"] })
  const given: number[][] = []
  createInterface({ input: child.stdout }).on("line", (line) => given.push(JSON.parse(line) as number[]))
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()))
  const end = (signal: NodeJS.Signals) => async () => {
    child.kill(signal)
    await ended
  }
  return { process: child, given: () => given, stop: end("SIGTERM"), kill: end("SIGKILL") }
}

sharedLaneAssignmentContract("a Kafka group", () => {
  const options = optionsOf(randomUUID())
  return { lanes: LANES, start: () => startMember(options), dispose: async () => {} }
})

describe("lanes by a Kafka group", () => {
  it("takes the lanes of a process that was stopped for longer than a session, and gives it none of them meanwhile", async () => {
    const options = optionsOf(randomUUID())
    const [zombie, other] = [startMember(options), startMember(options)]
    const lists = () => JSON.stringify([zombie.given(), other.given()])
    try {
      await expect.poll(() => [zombie.given().at(-1)?.length, other.given().at(-1)?.length], { timeout: 30_000, message: lists() }).toEqual([2, 2])
      zombie.process.kill("SIGSTOP")
      await expect.poll(() => other.given().at(-1)?.length, { timeout: 30_000 }).toBe(LANES)
      const seen = zombie.given().length
      zombie.process.kill("SIGCONT")
      await expect.poll(() => [zombie.given().at(-1)?.length, other.given().at(-1)?.length], { timeout: 30_000, message: lists() }).toEqual([2, 2])
      expect(zombie.given()[seen]).toEqual([])
    } finally {
      await Promise.all([zombie.kill(), other.kill()])
    }
  })

  it("commits reported checkpoints as the group's offsets, of owned lanes only", async () => {
    const groupId = randomUUID()
    await Effect.runPromise(Effect.gen(function* () {
      const assignment = yield* LaneAssignment
      let owned: readonly number[] = []
      yield* assignment.join((lanes) => Effect.sync(() => void (owned = lanes)))
      yield* Effect.promise(() => expect.poll(() => owned.length, { timeout: 30_000 }).toBe(LANES))
      yield* assignment.report([{ partition: 0, nextOffset: 5n }, { partition: 9, nextOffset: 9_007_199_254_740_993n }])
    }).pipe(Effect.scoped, Effect.provide(laneAssignmentKafka(optionsOf(groupId)))))
    const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
    const offsets = Object.fromEntries(found?.partitions.map(({ partition, offset }) => [partition, offset]) ?? [])
    expect(offsets).toMatchObject({ 0: "5", 1: "-1", 9: "9007199254740993" })
  })
})
