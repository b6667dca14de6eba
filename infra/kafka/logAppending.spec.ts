import type { LogRecord } from "@tidemark/domain/ports/EventLog"
import * as Effect from "effect/Effect"
import { CompressionTypes } from "kafkajs"
import type { Producer, ProducerRecord, RecordMetadata } from "kafkajs"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import type { AppendGuard } from "./appendGuard.ts"
import { makeAppender } from "./logAppending.ts"

const ANSWER_MS = 2

/** A broker that takes everything, and when each send of how many records came. */
const makeBroker = () => {
  const sends: { readonly atMs: number; readonly records: number }[] = []
  const ends = new Map<number, number>()
  const send = async ({ messages }: ProducerRecord): Promise<RecordMetadata[]> => {
    sends.push({ atMs: performance.now(), records: messages.length })
    await new Promise((resolve) => setTimeout(resolve, ANSWER_MS))
    const counts = new Map<number, number>()
    for (const { partition = 0 } of messages) counts.set(partition, (counts.get(partition) ?? 0) + 1)
    return [...counts].map(([partition, count]) => {
      const baseOffset = ends.get(partition) ?? 0
      ends.set(partition, baseOffset + count)
      return { topicName: "t", partition, errorCode: 0, baseOffset: String(baseOffset), logAppendTime: "1" }
    })
  }
  const producer: Pick<Producer, "connect" | "disconnect" | "send"> = { connect: async () => {}, disconnect: async () => {}, send }
  return { sends, producer: producer as Producer }
}

const guard: Pick<AppendGuard, "confirm" | "stored" | "doubt"> = { confirm: async () => {}, stored: () => {}, doubt: () => {} }

const record = (partition: number): LogRecord => ({ partition, key: "k", value: new Uint8Array(300) })

const makeLog = () => {
  const broker = makeBroker()
  const { append } = makeAppender({ topic: "t", partitions: 1, batchBytesMax: 1 << 20, compression: CompressionTypes.None, makeProducer: () => broker.producer, guard: guard as AppendGuard })
  return { sends: broker.sends, append: (records: readonly LogRecord[]) => Effect.runPromise(append(records)) }
}

describe("appending", () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it("sends a lone record at once", async () => {
    const { sends, append } = makeLog()
    for (let n = 0; n < 3; n++) {
      await vi.advanceTimersByTimeAsync(1_000)
      const beganMs = performance.now()
      const stored = append([record(0)])
      await vi.advanceTimersByTimeAsync(ANSWER_MS + 1)
      expect((await stored).map(({ offset }) => offset)).toEqual([BigInt(n)])
      expect((sends.at(-1)?.atMs ?? NaN) - beganMs).toBeLessThan(1)
    }
  })

  it("gathers single records that follow each other closely, in their order", async () => {
    const { sends, append } = makeLog()
    const stored: Promise<readonly { readonly offset: bigint }[]>[] = []
    for (let n = 0; n < 200; n++) {
      stored.push(append([record(0)]))
      await vi.advanceTimersByTimeAsync(1)
    }
    await vi.advanceTimersByTimeAsync(20)
    expect((await Promise.all(stored)).map(([one]) => one?.offset)).toEqual(Array.from({ length: 200 }, (_, n) => BigInt(n)))
    expect(sends.length).toBeLessThanOrEqual(41)
    expect(sends.length).toBeGreaterThanOrEqual(35)
  })

  it("lets many records wait for nothing but the send before them", async () => {
    const { sends, append } = makeLog()
    const batch = Array.from({ length: 200 }, () => record(0))
    for (let n = 0; n < 10; n++) void append(batch)
    await vi.advanceTimersByTimeAsync(1)
    for (let n = 0; n < 5; n++) {
      void append(batch)
      await vi.advanceTimersByTimeAsync(ANSWER_MS)
    }
    await vi.advanceTimersByTimeAsync(20)
    expect(sends.reduce((sum, { records }) => sum + records, 0)).toBe(3_000)
    expect((sends.at(-1)?.atMs ?? NaN) - (sends[0]?.atMs ?? NaN)).toBeLessThan(5 * ANSWER_MS + 4)
  })
})
