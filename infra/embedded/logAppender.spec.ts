import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { makeAppender } from "./logAppender.ts"
import type { CommitGroup } from "./logAppender.ts"

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
