import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape } from "@tidemark/domain/ports/EventLog"
import { eventLogContract } from "@tidemark/domain/ports/EventLog.contract"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { eventLogLmdb } from "./EventLogLmdb.ts"
import { CHAIN_START, decodeBlock, packBlock, sealBlock } from "./logBlock.ts"
import { keyOf } from "./logKeys.ts"
import { openLogStores } from "./logStores.ts"

const layer = (directory: string, partitions: number, role: "writer" | "reader" = "writer", commitThread?: URL) =>
  eventLogLmdb({ directory, role, partitions, lanes: 1, nowMs: () => 1_700_000_000_000, newLogId: () => "log-1", commitThread })

/** Threads run the built code. */
const builtThread = new URL("./dist/commitThreadMain.js", import.meta.url)

for (const [name, commitThread] of [["LMDB", undefined], ["LMDB with a commit thread", builtThread]] as const) {
  eventLogContract(name, () => {
    const directory = mkdtempSync(join(tmpdir(), "tidemark-log-"))
    return {
      open: (partitions) => layer(directory, partitions, "writer", commitThread),
      nowMs: () => 1_700_000_000_000,
      dispose: async () => rmSync(directory, { recursive: true, force: true })
    }
  })
}

describe("the LMDB log", () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tidemark-log-"))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  const use = <A, E>(action: (log: EventLogShape) => Effect.Effect<A, E>, role: "writer" | "reader" = "writer"): Promise<A> =>
    Effect.runPromise(Effect.gen(function* () { return yield* action(yield* EventLog) }).pipe(Effect.provide(layer(directory, 1, role))))
  const append = (text: string) => use((log) => log.append([{ partition: 0, key: "k", value: new TextEncoder().encode(text) }]))

  it("detects a flipped byte of a stored record, names its block and serves nothing of it", async () => {
    await append("untouched")
    await append("a needle in the log")
    const file = join(directory, "data.mdb")
    const data = readFileSync(file)
    for (let at = data.indexOf("a needle in the log"); at >= 0; at = data.indexOf("a needle in the log", at + 1)) data[at + 2] = 0x4e
    writeFileSync(file, data)
    const read = (from: bigint) => use((log) => Effect.flip(log.read([{ partition: 0, nextOffset: from }], { bytesMax: 1 << 20, waitMaxMs: 0 })))
    expect(await read(2n)).toMatchObject({ _tag: "LogCorruptError", partition: 0, offset: 2n })
    expect(await use((log) => Effect.flip(log.verify(0)))).toMatchObject({ _tag: "LogCorruptError", offset: 2n, detail: "checksum differs" })
  })

  describe("whose stopped data had blocks replaced", () => {
    const bytes = (text: string) => new TextEncoder().encode(text)
    const verify = (from?: bigint) => use((log) => Effect.match(log.verify(0, from), { onSuccess: ({ records, blocks }) => `${records} records in ${blocks} blocks`, onFailure: (error) => (error._tag === "LogCorruptError" ? `partition ${error.partition}, offset ${error.offset}: ${error.detail}` : error._tag) }))
    /** Block 0 is the genesis record; each append is a block of one record. */
    const replace = async (change: (blocks: ReturnType<typeof openLogStores>["blocks"]) => void) => {
      for (const text of ["one", "two", "three", "four"]) await append(text)
      const { root, blocks } = openLogStores(directory)
      change(blocks)
      await root.close()
    }
    const chainAt = (blocks: ReturnType<typeof openLogStores>["blocks"], offset: bigint) => {
      const block = decodeBlock(blocks.get(keyOf(0, offset)) ?? Buffer.alloc(0))
      if (typeof block === "string") throw new Error(block)
      return block.chain
    }
    const forged = (text: string, chain: Uint8Array) => {
      const block = packBlock([bytes(text)])
      sealBlock(block, chain)
      return block
    }

    it("names a block that another one with a valid checksum has replaced", async () => {
      await replace((blocks) => blocks.putSync(keyOf(0, 2n), forged("TWO", CHAIN_START)))
      expect(await verify()).toBe("partition 0, offset 2: hash chain is broken")
      expect(await verify(2n)).toBe("partition 0, offset 2: hash chain is broken")
    })

    it("names the block behind one that was replaced together with its chain hash", async () => {
      await replace((blocks) => blocks.putSync(keyOf(0, 2n), forged("TWO", chainAt(blocks, 1n))))
      expect(await verify()).toBe("partition 0, offset 3: hash chain is broken")
      expect(await verify(3n)).toBe("partition 0, offset 3: hash chain is broken")
      expect(await verify(4n)).toBe("1 records in 1 blocks")
    })

    it("names the first of two blocks that changed places", async () => {
      await replace((blocks) => {
        const [two, three] = [keyOf(0, 2n), keyOf(0, 3n)].map((key) => Buffer.from(blocks.get(key) ?? Buffer.alloc(0)))
        if (two === undefined || three === undefined) throw new Error("no blocks")
        blocks.putSync(keyOf(0, 2n), three)
        blocks.putSync(keyOf(0, 3n), two)
      })
      expect(await verify()).toBe("partition 0, offset 2: hash chain is broken")
    })

    it("names the place where a block was taken out, and finds nothing wrong where none was", async () => {
      await replace(() => {})
      expect(await verify()).toBe("5 records in 5 blocks")
      const { root, blocks } = openLogStores(directory)
      blocks.removeSync(keyOf(0, 2n))
      await root.close()
      expect(await verify()).toBe("partition 0, offset 2: offsets 2 to 2 are missing")
      expect(await verify(4n)).toBe("1 records in 1 blocks")
    })
  })

  it("refuses a second writer and names the process that holds the log", async () => {
    const error = await use(() => Effect.flip(Effect.gen(function* () { return yield* EventLog }).pipe(Effect.provide(layer(directory, 1)))))
    expect(error).toMatchObject({ _tag: "LogLockedError", pid: process.pid })
    await append("free again")
  })

  it("takes over the lock of a writer that died", async () => {
    await append("one")
    const dead = spawnSync(process.execPath, ["-e", ""]).pid
    writeFileSync(join(directory, "writer.lock"), `${dead} 1\n`)
    expect(await append("two")).toMatchObject([{ partition: 0, offset: 2n }])
  })

  it("shows a reader of the same directory what the writer appends", async () => {
    await append("one")
    const seen = await use((writer) =>
      Effect.gen(function* () {
        const reader = yield* EventLog
        const before = yield* reader.bounds(0)
        yield* writer.append([{ partition: 0, key: "k", value: new TextEncoder().encode("two") }])
        const batches = yield* reader.read([{ partition: 0, nextOffset: 2n }], { bytesMax: 1 << 20, waitMaxMs: 0 })
        return { before, batches: batches.length }
      }).pipe(Effect.provide(layer(directory, 1, "reader"))))
    expect(seen).toEqual({ before: { start: 0n, end: 2n }, batches: 1 })
  })

  it("says that there is no log to read before the first writer", async () => {
    const opened = Effect.gen(function* () { return yield* EventLog }).pipe(Effect.provide(layer(directory, 1, "reader")), Effect.flip)
    expect(await Effect.runPromise(opened)).toMatchObject({ _tag: "LogOpenError", cause: { message: expect.stringMatching(/no log/) as string } })
  })
})
