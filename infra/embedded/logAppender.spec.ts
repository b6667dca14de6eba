import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { QUEUE_BYTES_MAX, makeAppender } from "./logAppender.ts"
import type { CommitGroup } from "./logAppender.ts"
import type { Committed } from "./logCommit.ts"

const record = { partition: 0, key: "k", value: new Uint8Array([1]) }

describe("the appender of a log whose disk fails", () => {
  it("tells of it before anybody is answered, and commits nothing any more", async () => {
    const happened: string[] = []
    let commits = 0
    const commit: CommitGroup = (_, done) => done(++commits === 1 ? { kind: "stored", firsts: [7n] } : { kind: "unsynced", reason: "Input/output error" })
    const { append } = makeAppender({ commit, partitions: 1, nowMs: () => 0, onDurable: () => void happened.push("durable"), onUnsynced: (reason) => void happened.push(`unsynced: ${reason}`) })
    const answer = () => Effect.runPromise(append([record]).pipe(Effect.match({ onSuccess: ([at]) => `stored at ${at?.offset}`, onFailure: ({ _tag, reason }) => `${_tag}: ${reason}` }), Effect.tap((told) => Effect.sync(() => happened.push(told)))))
    await answer()
    await Promise.all([answer(), answer()])
    await answer()
    expect(happened).toEqual([
      "stored at 7", "durable", "unsynced: Input/output error", "AppendUnknownError: Input/output error", "AppendUnknownError: Input/output error",
      "AppendRejectedError: the disk failed before: Input/output error"
    ])
    expect(commits).toBe(2)
  })
})

describe("the appender of a log whose disk stalls", () => {
  const MIB = 1_048_576
  const big = { partition: 0, key: "k", value: new Uint8Array(15 * MIB) }

  it("refuses what would not fit into memory, commits no group larger than it must, and takes more once the disk is back", async () => {
    const commits: ((committed: Committed) => void)[] = []
    let next = 0n
    const commit: CommitGroup = (_, done) => void commits.push(done)
    const store = () => commits.shift()?.({ kind: "stored", firsts: [next++] })
    const { append, drain } = makeAppender({ commit, partitions: 1, nowMs: () => 0, onDurable: () => {}, onUnsynced: () => {} })
    const told: string[] = []
    const send = (value: typeof big) => Effect.runPromise(append([value]).pipe(Effect.match({ onSuccess: ([at]) => `stored at ${at?.offset}`, onFailure: ({ _tag, reason }) => `${_tag}: ${reason}` }), Effect.tap((answer) => Effect.sync(() => told.push(answer)))))
    const sent = Array.from({ length: 9 }, () => send(big))
    await sent[8]
    expect(9 * big.value.length).toBeGreaterThan(QUEUE_BYTES_MAX)
    expect(told).toEqual([`AppendRejectedError: ${8 * big.value.length} bytes wait for the disk already`])
    for (let group = 0; group < 8; group++) {
      await expect.poll(() => commits.length).toBe(1)
      store()
    }
    await Promise.all(sent)
    expect(told.slice(1)).toEqual(Array.from({ length: 8 }, (_, offset) => `stored at ${offset}`))
    const again = send(big)
    await expect.poll(() => commits.length).toBe(1)
    store()
    expect(await again).toBe("stored at 8")
    await drain()
  })
})
