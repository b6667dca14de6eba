import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { caughtUp, verifyFull } from "./readBack.ts"
import { KEYS, startServer } from "./serverProcess.ts"
import type { ServerProcess } from "./serverProcess.ts"
import { makeSmallDisk } from "./smallDisk.ts"
import type { SmallDisk } from "./smallDisk.ts"

const MIB = 1_048_576
const DISK_BYTES = 48 * MIB
/** Lies on the disk from the start, and is what makes room later. */
const BALLAST_BYTES = 24 * MIB
const BATCH = 200
const EVENTS_MAX = 60_000
const PAD = "x".repeat(1_500)

describe("the server on a full disk", () => {
  let at: string
  let disk: SmallDisk | { readonly unavailable: string }
  let servers: ServerProcess[]
  beforeEach(async () => {
    at = mkdtempSync(join(tmpdir(), "tidemark-full-"))
    servers = []
    disk = await makeSmallDisk(at, DISK_BYTES)
  })
  afterEach(async () => {
    for (const { kill, exit } of servers) {
      kill("SIGKILL")
      await exit
    }
    if ("dispose" in disk) await disk.dispose()
    rmSync(at, { recursive: true, force: true })
  })
  const start = (dataDir: string): ServerProcess => {
    const server = startServer({ entry: fileURLToPath(new URL("../dist/main.js", import.meta.url)), dataDir })
    servers.push(server)
    return server
  }
  const send = async (url: string, from: number) => {
    const events = Array.from({ length: BATCH }, (_, i) => ({ id: `e${from + i}`, type: "page.viewed", userId: `u${i % 9}`, schemaVersion: 2, data: { page: "/full", durationMs: i, pad: PAD } }))
    const response = await fetch(`${url}/v1/events`, { method: "POST", headers: { authorization: `Bearer ${KEYS.write}`, "content-type": "application/json" }, body: JSON.stringify({ events }) })
    return { status: response.status, retryAfter: response.headers.get("retry-after"), body: (await response.json()) as { code?: string; accepted: number; duplicate: number } }
  }

  it("answers 503 with the disk being full and Retry-After, acknowledges nothing it did not store, and goes on when there is room", async (test) => {
    if ("unavailable" in disk) {
      process.stderr.write(`skipped: a disk cannot be mounted and filled here (${disk.unavailable})\n`)
      return test.skip(disk.unavailable)
    }
    const { directory } = disk
    const ballast = join(directory, "ballast")
    writeFileSync(ballast, Buffer.alloc(BALLAST_BYTES))
    const dataDir = join(directory, "data")
    mkdirSync(dataDir)
    const url = await start(dataDir).ready
    let acknowledged = 0
    let refused: Awaited<ReturnType<typeof send>> | undefined
    for (let from = 0; refused === undefined && from < EVENTS_MAX; from += BATCH) {
      const answer = await send(url, from)
      if (answer.status === 200) acknowledged += answer.body.accepted
      else refused = answer
    }
    expect(statfsSync(directory).bavail * statfsSync(directory).bsize).toBeLessThan(2 * MIB)
    expect(refused).toMatchObject({ status: 503, retryAfter: expect.stringMatching(/^\d+$/) as string, body: { code: "storage-full", accepted: 0 } })
    expect(acknowledged).toBeGreaterThan(1_000)
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    expect(await send(url, acknowledged)).toMatchObject({ status: 503, body: { code: "storage-full", accepted: 0 } })
    expect(await (await fetch(`${url}/metrics`)).text()).toMatch(/^tidemark_ingest_requests_total\{status="503",outcome="storage-full"\} 2$/m)

    // Room comes back under the running process.
    rmSync(ballast)
    await expect.poll(async () => (await send(url, acknowledged)).status, { timeout: 30_000 }).toBe(200)
    await caughtUp(url)
    expect(await verifyFull(url)).toMatchObject({ ok: true })
    servers[0]?.kill("SIGTERM")
    expect((await servers[0]?.exit)?.code).toBe(0)

    const again = await start(dataDir).ready
    for (let from = 0; from <= acknowledged; from += BATCH) expect(await send(again, from)).toMatchObject({ status: 200, body: { accepted: 0, duplicate: BATCH } })
    expect(await send(again, acknowledged + BATCH)).toMatchObject({ status: 200, body: { accepted: BATCH } })
    await caughtUp(again)
    expect(await verifyFull(again)).toMatchObject({ ok: true })
  }, 240_000)
})
