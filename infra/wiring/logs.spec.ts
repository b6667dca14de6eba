import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { afterAll, describe, expect, it } from "vitest"
import { readConfiguration } from "./configuration.ts"
import { sourceLog, targetLog } from "./logs.ts"

const directory = mkdtempSync(join(tmpdir(), "tidemark-logs-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const configuration = readConfiguration({ flags: new Map(), environment: { TIDEMARK_DATA_DIR: join(directory, "data") }, workingDirectory: directory, terminal: false })

const failureOf = async (layer: ReturnType<typeof sourceLog>): Promise<unknown> => {
  const exit = await Effect.runPromiseExit(Effect.void.pipe(Effect.provide(layer)))
  return Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
}

describe("a log by itself", () => {
  it("is not made by who wants to read it", async () => {
    expect(await failureOf(sourceLog(configuration))).toMatchObject({ name: "ConfigurationError", message: expect.stringContaining("start Tidemark once") as string })
    expect(existsSync(join(directory, "data"))).toBe(false)
  })

  it("is not copied to nowhere", async () => {
    const identity = { logId: "l", partitions: 1, lanes: 1, createdAtMs: 0 }
    expect(await failureOf(targetLog(configuration, "distributed", identity))).toMatchObject({ name: "ConfigurationError", message: expect.stringContaining("TIDEMARK_KAFKA_BROKERS is not set") as string })
  })
})
