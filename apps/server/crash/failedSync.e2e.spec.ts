import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { caughtUp, verifyFull } from "./readBack.ts"
import { KEYS, startServer } from "./serverProcess.ts"
import type { ServerProcess } from "./serverProcess.ts"

const EVENTS_MAX = 200

/** Needs no disk that fails: `append-unsynced` fails the sync of one append the way LMDB reports it. */
describe("the server on a disk that does not sync the log", () => {
  let dataDir: string
  let servers: ServerProcess[]
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), "tidemark-unsynced-"))
    servers = []
  })
  afterEach(async () => {
    for (const { kill, exit } of servers) {
      kill("SIGKILL")
      await exit
    }
    rmSync(dataDir, { recursive: true, force: true })
  })
  const start = (environment: Readonly<Record<string, string>> = {}): ServerProcess => {
    const server = startServer({ entry: fileURLToPath(new URL("../dist/main.js", import.meta.url)), dataDir, environment })
    servers.push(server)
    return server
  }
  const send = async (url: string, id: number) => {
    const event = { id: `e${id}`, type: "page.viewed", userId: "u", schemaVersion: 2, data: { page: "/sync", durationMs: 1 } }
    const response = await fetch(`${url}/v1/events`, { method: "POST", headers: { authorization: `Bearer ${KEYS.write}`, "content-type": "application/json" }, body: JSON.stringify(event) })
    return { status: response.status, body: (await response.json()) as { accepted: number; duplicate: number } }
  }

  it("ends with a code of its own and a sentence, acknowledges nothing of that append, and has kept everything before it", async () => {
    const failing = start({ TIDEMARK_FAILPOINT: "append-unsynced:20" })
    const url = await failing.ready
    let acknowledged = 0
    let answered: unknown = "nothing"
    while (answered === "nothing" && acknowledged < EVENTS_MAX) {
      const answer = await send(url, acknowledged).catch(() => undefined)
      if (answer?.status === 200) acknowledged += 1
      else answered = answer
    }
    expect(answered, "nobody is answered once the disk has failed").toBeUndefined()
    expect(acknowledged).toBeGreaterThan(5)
    const { code, stderr } = await failing.exit
    expect(code).toBe(74)
    expect(stderr).toMatch(/The disk did not write .*\/log \(Input\/output error\).*acknowledged nothing of that write.*start Tidemark again/)

    const again = await start().ready
    for (let id = 0; id < acknowledged; id++) expect(await send(again, id)).toMatchObject({ status: 200, body: { accepted: 0, duplicate: 1 } })
    expect(await send(again, acknowledged)).toMatchObject({ status: 200, body: { accepted: 1 } })
    await caughtUp(again)
    expect(await verifyFull(again)).toMatchObject({ ok: true })
  }, 120_000)
})
