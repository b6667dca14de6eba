import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { caughtUp, verifyFull } from "./readBack.ts"
import { KEYS, startServer } from "./serverProcess.ts"
import type { ServerProcess } from "./serverProcess.ts"

/** Files of this process may not grow beyond this, in units of 512 or 1,024 bytes, by shell. */
const FILE_BLOCKS_MAX = 20_000
const BATCH = 200
/** Changes the limits of a running process. */
const PRLIMIT = "/usr/bin/prlimit"
const PAD = "x".repeat(1_500)

/** A full disk as any user can make one: a limit on the size of files. */
describe("the server on a full disk", () => {
  let dataDir: string
  let servers: ServerProcess[]
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), "tidemark-full-"))
    servers = []
  })
  afterEach(async () => {
    for (const { kill, exit } of servers) {
      kill("SIGKILL")
      await exit
    }
    rmSync(dataDir, { recursive: true, force: true })
  })
  const start = (command?: readonly string[]): ServerProcess => {
    const server = startServer({ entry: fileURLToPath(new URL("../dist/main.js", import.meta.url)), dataDir, ...(command === undefined ? {} : { command }) })
    servers.push(server)
    return server
  }
  const send = async (url: string, from: number) => {
    const events = Array.from({ length: BATCH }, (_, i) => ({ id: `e${from + i}`, type: "page.viewed", userId: `u${i % 9}`, schemaVersion: 2, data: { page: "/full", durationMs: i, pad: PAD } }))
    const response = await fetch(`${url}/v1/events`, { method: "POST", headers: { authorization: `Bearer ${KEYS.write}`, "content-type": "application/json" }, body: JSON.stringify({ events }) })
    return { status: response.status, retryAfter: response.headers.get("retry-after"), body: (await response.json()) as { accepted: number; duplicate: number } }
  }

  it("answers 503 with Retry-After, acknowledges nothing it did not store, and goes on when there is room", async () => {
    const limited = start(["/bin/sh", "-c", `trap '' XFSZ; ulimit -S -f ${FILE_BLOCKS_MAX}; exec "$0" "$1"`, process.execPath])
    const url = await limited.ready
    let acknowledged = 0
    let refused: Awaited<ReturnType<typeof send>> | undefined
    for (let from = 0; refused === undefined && from < 60_000; from += BATCH) {
      const answer = await send(url, from)
      if (answer.status === 200) acknowledged += answer.body.accepted
      else refused = answer
    }
    expect(refused).toMatchObject({ status: 503, retryAfter: expect.stringMatching(/^\d+$/) as string, body: { accepted: 0 } })
    expect(acknowledged).toBeGreaterThan(1_000)
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    if (existsSync(PRLIMIT)) {
      // Room comes back under the running process.
      execFileSync(PRLIMIT, ["--pid", String(limited.pid), "--fsize=unlimited"])
      await expect.poll(async () => (await send(url, acknowledged)).status, { timeout: 30_000 }).toBe(200)
      await caughtUp(url)
      expect(await verifyFull(url)).toMatchObject({ ok: true })
    }
    limited.kill("SIGTERM")
    await limited.exit

    const again = await start().ready
    for (let from = 0; from < acknowledged; from += BATCH) expect(await send(again, from)).toMatchObject({ status: 200, body: { accepted: 0, duplicate: BATCH } })
    expect(await send(again, acknowledged)).toMatchObject({ status: 200 })
    await caughtUp(again)
    expect(await verifyFull(again)).toMatchObject({ ok: true })
  }, 240_000)
})
