import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape, LogBatch, PartitionPosition } from "@tidemark/domain/ports/EventLog"
import { LaneAssignment } from "@tidemark/domain/ports/LaneAssignment"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { eventLogKafka } from "./EventLogKafka.ts"
import { laneAssignmentKafka } from "./LaneAssignmentKafka.ts"

const root = join(import.meta.dirname, "..", "..")
const PARTITIONS = 3
/** Away from the ports of the engines that all specs share. */
const PORT_BASE = Number(process.env["TIDEMARK_ENGINES_PORT_BASE"] ?? 26_400) + 400

interface State {
  readonly variables: { readonly TIDEMARK_KAFKA_BROKERS: string }
  readonly engines: { readonly kafka: { readonly pid: number } }
}

/** A broker that these specs may kill. */
const makeBroker = () => {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-broker-"))
  const file = join(folder, "engines.json")
  const env = { ...process.env, TIDEMARK_ENGINES_PORT_BASE: String(PORT_BASE), TIDEMARK_ENGINES_DIR: folder, TIDEMARK_ENGINES_FILE: file }
  /** Never blocks: the log goes on working, or failing, meanwhile. */
  const run = (command: string) => promisify(execFile)(process.execPath, ["infra/dev-engines/main.mjs", command, "--only", "kafka"], { cwd: root, env })
  const state = () => JSON.parse(readFileSync(file, "utf8")) as State
  return {
    start: () => run("up"),
    stop: () => run("down"),
    kill: () => process.kill(state().engines.kafka.pid, "SIGKILL"),
    address: () => state().variables.TIDEMARK_KAFKA_BROKERS,
    remove: () => rmSync(folder, { recursive: true, force: true })
  }
}

const textsOf = (batch: LogBatch): string[] => Array.from(batch.ends, (end, i) => new TextDecoder().decode(batch.bytes.subarray(i === 0 ? 0 : batch.ends[i - 1], end)))

const advance = (positions: readonly PartitionPosition[], batches: readonly LogBatch[]): PartitionPosition[] =>
  positions.map(({ partition, nextOffset }) => {
    const found = batches.find((batch) => batch.partition === partition)
    return { partition, nextOffset: found === undefined ? nextOffset : found.firstOffset + BigInt(found.ends.length) }
  })

/** Reads on from 0 through every outage until `done`, and answers what it saw, offset by offset. */
const follow = (log: EventLogShape, done: () => boolean) =>
  Effect.gen(function* () {
    const seen: string[][] = Array.from({ length: PARTITIONS }, () => [])
    let positions: PartitionPosition[] = seen.map((_, partition) => ({ partition, nextOffset: 0n }))
    let outages = 0
    for (;;) {
      const last = done()
      const exit = yield* Effect.exit(log.read(positions, { bytesMax: 1 << 20, waitMaxMs: 200 }))
      if (Exit.isFailure(exit)) {
        expect(String(exit.cause)).toContain("LogUnavailableError")
        outages += 1
        yield* Effect.sleep(50)
        continue
      }
      for (const batch of exit.value) {
        expect(batch.firstOffset).toBe(BigInt(seen[batch.partition]?.length ?? -1))
        seen[batch.partition]?.push(...textsOf(batch))
      }
      positions = advance(positions, exit.value)
      if (last && exit.value.length === 0) return { seen, outages }
    }
  })

describe("the Kafka log when its broker goes away", () => {
  const broker = makeBroker()
  beforeAll(() => broker.start())
  afterAll(async () => {
    await broker.stop()
    broker.remove()
  })

  const campaign = (topic: string, outage: () => Promise<unknown>) =>
    Effect.gen(function* () {
      const log = yield* EventLog
      const acked = new Set<string>()
      const unknown = new Set<string>()
      const rejected = new Set<string>()
      let finished = false
      let target = 600
      const writer = (name: string) =>
        Effect.gen(function* () {
          for (let n = 0; acked.size < target; n++) {
            const ids = Array.from({ length: 10 }, (_, i) => `${name}-${n}-${i}`)
            const exit = yield* Effect.exit(log.append(ids.map((id, i) => ({ partition: (n + i) % PARTITIONS, key: id, value: new TextEncoder().encode(id) }))))
            const into = Exit.isSuccess(exit) ? acked : String(exit.cause).includes("AppendUnknownError") ? unknown : rejected
            for (const id of ids) into.add(id)
          }
        })
      const write = (round: number) => Effect.all(["a", "b", "c", "d"].map((name) => writer(`${name}${round}`)), { concurrency: "unbounded" })
      const reader = yield* Effect.forkChild(follow(log, () => finished))
      yield* write(1)
      target = acked.size + 600
      const during = yield* Effect.forkChild(write(2))
      while (acked.size < target - 400) yield* Effect.sleep(1)
      yield* Effect.promise(outage)
      yield* Fiber.join(during)
      finished = true
      const { seen, outages } = yield* Fiber.join(reader)
      const stored = seen.flatMap((texts) => texts.slice(1))
      const counts = new Map<string, number>()
      for (const id of stored) counts.set(id, (counts.get(id) ?? 0) + 1)
      return { acked, unknown, rejected, counts, outages, bounds: yield* Effect.all(seen.map((_, partition) => log.bounds(partition))), seen }
    }).pipe(Effect.provide(eventLogKafka({ brokers: broker.address(), topic, role: "writer", partitions: PARTITIONS, lanes: 1, nowMs: Date.now, newLogId: () => topic })), Effect.runPromise)

  const check = ({ acked, unknown, rejected, counts, outages, bounds, seen }: Awaited<ReturnType<typeof campaign>>) => {
    expect(acked.size).toBeGreaterThan(1_000)
    expect(outages).toBeGreaterThan(0)
    expect([...acked].filter((id) => counts.get(id) !== 1)).toEqual([])
    expect([...rejected].filter((id) => counts.has(id))).toEqual([])
    expect([...counts].filter(([id, count]) => count !== 1 || !(acked.has(id) || unknown.has(id)))).toEqual([])
    expect(bounds).toEqual(seen.map((texts) => ({ start: 0n, end: BigInt(texts.length) })))
  }

  it("keeps each acknowledged event once and goes on by itself after kill -9", async () => {
    const result = await campaign("killed", () => {
      broker.kill()
      return broker.start()
    })
    check(result)
  })

  it("does so after a clean stop too, and a reader sees every offset once", async () => {
    const result = await campaign("stopped", async () => {
      await broker.stop()
      await broker.start()
    })
    check(result)
  })

  it("stops the lanes of a process that cannot reach the group, and gives them back when the broker is there again", async () => {
    const given: (readonly number[])[] = []
    const last = (count: number) => Effect.promise(() => expect.poll(() => given.at(-1)?.length, { timeout: 60_000 }).toBe(count))
    await Effect.runPromise(Effect.gen(function* () {
      yield* (yield* LaneAssignment).join((lanes) => Effect.sync(() => void given.push(lanes)))
      yield* last(2)
      yield* Effect.sync(() => broker.kill())
      yield* last(0)
      yield* Effect.promise(() => broker.start())
      yield* last(2)
    }).pipe(Effect.scoped, Effect.provide(laneAssignmentKafka({ brokers: broker.address(), topic: "killed", groupId: "lanes", partitions: PARTITIONS, lanes: 2, sessionMs: 2_000 }))))
    expect(given.at(-1)).toEqual([])
  })
})
