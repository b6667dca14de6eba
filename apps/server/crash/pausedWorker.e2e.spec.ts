import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { readConfiguration } from "@tidemark/infra-wiring/configuration"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { Client } from "./client.ts"
import { balance } from "./history.ts"
import { SeededRandom } from "./random.ts"
import { caughtUp, readWindows, verifyFull } from "./readBack.ts"
import { startServer } from "./serverProcess.ts"
import type { ServerProcess } from "./serverProcess.ts"

const distOf = (path: string): string => fileURLToPath(new URL(`../dist/${path}`, import.meta.url))
const PAUSE_MS = 6_000
const EVENTS = 3_000

describe("a projector that sleeps through the loss of its lanes", () => {
  let dataDir: string
  const processes: ServerProcess[] = []
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), "tidemark-paused-"))
  })
  afterEach(async () => {
    for (const { kill, exit } of processes.splice(0)) {
      kill("SIGKILL")
      await exit
    }
    rmSync(dataDir, { recursive: true, force: true })
  })

  it("is fenced when it wakes before its commit, and nothing is lost, doubled or different", async () => {
    const server = startServer({ entry: distOf("main.js"), dataDir, environment: { TIDEMARK_FAILPOINT: `commit-before:4:pause=${PAUSE_MS}` } })
    processes.push(server)
    const paused = server.said("paused at a failpoint")
    const fenced = server.said("another process owns a lane")
    const url = await server.ready
    const startMs = Date.now()
    const client = new Client(new SeededRandom(41), () => url)
    const sending = client.run(() => client.totals.made >= EVENTS, () => true)
    await paused
    const configuration = readConfiguration({ flags: new Map(), environment: { TIDEMARK_DATA_DIR: dataDir }, workingDirectory: dataDir, terminal: false })
    const second = startServer({ entry: distOf("crash/secondProjector.js"), dataDir, environment: { SECOND_PROJECTOR_CONFIGURATION: JSON.stringify(configuration) } })
    processes.push(second)
    await second.said(`"committed"`)
    expect(await fenced).toMatch(/has a newer owner than epoch/)
    await sending
    await client.settle()
    second.kill("SIGTERM")
    expect(await second.exit).toMatchObject({ code: 0 })
    await caughtUp(url)
    expect(balance(client.expected, await readWindows(url, { tenants: ["default"], ran: { fromMs: startMs, toMs: Date.now() }, beforeMs: 3_100 * 60_000, afterMs: 800 * 60_000 }))).toMatchObject({ lost: 0, duplicated: 0, differing: 0 })
    expect(await verifyFull(url)).toMatchObject({ ok: true })
  }, 240_000)
})
