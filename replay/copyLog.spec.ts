import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { encodeEvent } from "@tidemark/domain/events/envelope"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape, LogRecord } from "@tidemark/domain/ports/EventLog"
import { eventLogLmdb } from "@tidemark/infra-embedded/EventLogLmdb"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { CopyRefusedError, copyLog } from "./copyLog.ts"

const PARTITIONS = 3

const event = (partition: number, n: number): LogRecord => ({
  partition, key: `t:u${n}`,
  value: encodeEvent({ id: `e${n}`, source: "s", type: "x", timeMs: n, receivedAtMs: n, tenantId: "t", partitionKey: `t:u${n}`, schemaVersion: 0 }, '{"a":1}')
})

describe("copying a log", () => {
  let directory: string
  let opened: { dispose: () => Promise<void> }[]
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tidemark-copy-"))
    opened = []
  })
  afterEach(async () => {
    for (const one of opened) await one.dispose()
    rmSync(directory, { recursive: true, force: true })
  })

  const open = async (name: string, logId = "log", createdAtMs = 5): Promise<EventLogShape> => {
    const layer = eventLogLmdb({ directory: join(directory, name), role: "writer", partitions: PARTITIONS, lanes: 1, nowMs: () => createdAtMs, newLogId: () => logId })
    const runtime = ManagedRuntime.make(Layer.fresh(layer))
    opened.push(runtime)
    return runtime.runPromise(Effect.gen(function* () { return yield* EventLog }))
  }

  const contents = async (log: EventLogShape) => {
    const found: string[] = []
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const { end } = await Effect.runPromise(log.bounds(partition))
      for (let next = 0n; next < end;) {
        const [batch] = await Effect.runPromise(log.read([{ partition, nextOffset: next }], { bytesMax: 1 << 20, waitMaxMs: 0 }))
        batch?.ends.forEach((to, at) => found.push(`${partition}/${next + BigInt(at)} ${Buffer.from(batch.bytes.subarray(batch.ends[at - 1] ?? 0, to)).toString()}`))
        next += BigInt(batch?.ends.length ?? 1)
      }
    }
    return found
  }

  const fill = (log: EventLogShape, from: number, to: number) =>
    Effect.runPromise(log.append(Array.from({ length: to - from }, (_, i) => event((from + i) % PARTITIONS, from + i))))

  const refusal = async (source: EventLogShape, target: EventLogShape) => {
    const exit = await Effect.runPromiseExit(copyLog({ source, target, progress: () => {} }))
    const error = Exit.isFailure(exit) ? exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error : undefined
    return error instanceof CopyRefusedError ? error.reason : "copied"
  }

  it("keeps partition, offset and bytes of every record, the first of each partition too, and goes on where it ended", async () => {
    const source = await open("source")
    const target = await open("target")
    await fill(source, 0, 500)
    const seen: [bigint, bigint][] = []
    expect(await Effect.runPromise(copyLog({ source, target, progress: (...at) => seen.push(at) }))).toBe(500n)
    expect(seen.at(-1)).toEqual([500n, 500n])
    expect(await contents(target)).toEqual(await contents(source))
    await fill(source, 500, 700)
    expect(await Effect.runPromise(copyLog({ source, target, progress: () => {} }))).toBe(200n)
    expect(await contents(target)).toEqual(await contents(source))
    expect(await Effect.runPromise(copyLog({ source, target, progress: () => {} }))).toBe(0n)
  })

  it("refuses a target that is another log, or no copy of this one", async () => {
    const source = await open("source")
    await fill(source, 0, 30)
    expect(await refusal(source, await open("other", "other"))).toMatch(/another log: other with 3/)
    const made = await open("later", "log", 6)
    expect(await refusal(source, made)).toMatch(/Record 0 of partition 0 differs/)
    const longer = await open("longer")
    await fill(longer, 0, 60)
    expect(await refusal(source, longer)).toMatch(/more than the 11 of the source/)
    const strange = await open("strange")
    await fill(strange, 1, 4)
    expect(await refusal(source, strange)).toMatch(/differs between source and target/)
  })

  it("stops when somebody else appends to the target meanwhile", async () => {
    const source = await open("source")
    const target = await open("target")
    await fill(source, 0, 30)
    let first = true
    const disturbed: EventLogShape = {
      ...target,
      append: (batch) => (first ? (first = false, Effect.andThen(target.append([event(0, 99)]), target.append(batch))) : target.append(batch))
    }
    expect(await refusal(source, disturbed)).toMatch(/somebody else appends/)
  })
})
