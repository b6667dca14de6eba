import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { eventLogLmdb } from "./EventLogLmdb.ts"
import { NetworkFileSystemError, makeLocalDirectory } from "./localDirectory.ts"

const EXT4 = 0xef53
const TMPFS = 0x01021994

describe("a directory of the embedded stores", () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tidemark-local-"))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  it.each([["NFS", 0x6969], ["CIFS", 0xff534d42], ["CIFS", 0xff534d42 | 0], ["SMB2", 0xfe534d42], ["FUSE", 0x65735546], ["9P", 0x01021997], ["Ceph", 0x00c36400]] as const)("is refused on %s", (name, type) => {
    const asked: string[] = []
    expect(() => makeLocalDirectory(directory, (path) => (asked.push(path), type))).toThrow(`The directory ${directory} lies on a network file system (${name}), where an acknowledged event can be lost and two machines can write one log: set TIDEMARK_DATA_DIR to a directory on a disk of this machine.`)
    expect(asked).toEqual([directory])
  })

  it("is made where it is missing, on a disk of this machine", () => {
    for (const [name, type] of [["a", EXT4], ["b/c", TMPFS]] as const) {
      makeLocalDirectory(join(directory, name), () => type)
      expect(existsSync(join(directory, name))).toBe(true)
    }
    expect(() => makeLocalDirectory(directory)).not.toThrow()
  })

  it.each(["writer", "reader"] as const)("is looked at before a %s of the log opens or locks anything", async (role) => {
    const opened = Effect.gen(function* () { return yield* EventLog }).pipe(
      Effect.provide(eventLogLmdb({ directory, role, partitions: 1, lanes: 1, nowMs: () => 0, newLogId: () => "log", fileSystemType: () => 0x6969 })), Effect.flip
    )
    expect(await Effect.runPromise(opened)).toMatchObject({ _tag: "LogOpenError", cause: expect.any(NetworkFileSystemError) as object })
    expect(readdirSync(directory)).toEqual([])
  })
})
