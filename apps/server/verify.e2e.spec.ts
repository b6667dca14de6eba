import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs"
import { join } from "node:path"
import { crc32 } from "node:zlib"
import { describe, expect, it } from "vitest"
import { KEYS, ask, runCli, send } from "./processHarness.ts"
import type { StartedProcess } from "./processHarness.ts"
import { useProcesses } from "./useProcesses.ts"

const POLL = { timeout: 20_000, interval: 100 }

const cli = (url: string, ...args: readonly string[]) => runCli(url, KEYS.admin, ...args)

/** Changes a record of the last block of the log that holds `text`, and the block's checksum with it. Layout: `logBlock.ts` of the embedded engines. */
const forge = (file: string, text: string): void => {
  const data = readFileSync(file)
  const at = data.lastIndexOf(text)
  for (let start = at; start >= 0; start--) {
    if (data.readUInt32LE(start) !== 1) continue
    const body = start + 48
    const count = data.readUInt32LE(start + 4)
    const records = body + 4 * count
    if (count === 0 || records > at) continue
    const block = data.subarray(body, records + data.readUInt32LE(records - 4))
    if (crc32(block) !== data.readUInt32LE(start + 8)) continue
    data.write("X", at + text.length - 2)
    data.writeUInt32LE(crc32(block), start + 8)
    return writeFileSync(file, data)
  }
  throw new Error("no block holds the text")
}

describe("tidemark verify on the real process", () => {
  const { directory, start: startIn } = useProcesses("verify")
  const start = (): StartedProcess => startIn({ TIDEMARK_PARTITIONS: "2" })
  const nowMs = Date.now()
  const events = Array.from({ length: 400 }, (_, i) => ({ id: `e${i}`, type: "page.viewed", time: new Date(nowMs - i * 500).toISOString(), userId: `u${i % 7}`, schemaVersion: 2, data: { page: `/${i % 5}`, durationMs: i } }))
  const settled = (dashboard: string) => expect.poll(async () => (await (await fetch(`${dashboard}readyz`)).text()).match(/, 0 records behind/g)?.length, POLL).toBe(5)

  it("recomputes every read model beside the running server, ends with 0, and the audit agrees", async () => {
    const { ingest = "", dashboard = "" } = await start().ready
    expect(await send(ingest, KEYS.write, events)).toMatchObject({ status: 200, body: { accepted: 400 } })
    await settled(dashboard)
    const found = await cli(dashboard, "verify", "--full", "--json")
    expect(found.notes).toContain("log: partition 0 of 2")
    expect(found.code).toBe(0)
    const report = JSON.parse(found.out) as { ok: boolean; models: { projection: string; rows: { minute: { compared: number } } }[] }
    expect(report.ok).toBe(true)
    expect(report.models.find(({ projection }) => projection === "page-views")?.rows.minute.compared).toBeGreaterThanOrEqual(15)
    expect((await cli(dashboard, "verify")).code).toBe(0)
    await expect.poll(async () => (await (await fetch(`${dashboard}metrics`)).text()).match(/^tidemark_audit_windows (\d+)$/m)?.[1], POLL).toMatch(/^[1-9]/)
    expect(await (await fetch(`${dashboard}metrics`)).text()).toMatch(/^tidemark_audit_rows_differing 0$/m)
    expect(await (await fetch(`${dashboard}readyz`)).json()).toMatchObject({ ready: true, parts: expect.arrayContaining([{ name: "audit", ready: true, detail: expect.stringMatching(/^\d+ windows recomputed, 0 differ$/) as string }]) as unknown })
  })

  it("asks for an admin key, and runs one verification at a time", async () => {
    const { dashboard = "" } = await start().ready
    const post = (query: string, key: string) => fetch(`${dashboard}v1/verify${query}`, { method: "POST", headers: { authorization: `Bearer ${key}` } })
    expect((await post("?full=1", KEYS.read)).status).toBe(403)
    expect((await post("?full=yes", KEYS.admin)).status).toBe(400)
    expect((await fetch(`${dashboard}v1/verify`)).status).toBe(405)
    const statuses = (await Promise.all([post("?full=1", KEYS.admin), post("", KEYS.admin)])).map(({ status }) => status).sort((a, b) => a - b)
    expect(statuses).toEqual([200, 409])
    await expect.poll(async () => (await post("", KEYS.admin)).status, POLL).toBe(200)
  })

  it("names a block of the stopped log that another one with a valid checksum has replaced, when it starts and when it verifies", async () => {
    const first = start()
    const { ingest = "", dashboard = "" } = await first.ready
    const { body } = await send(ingest, KEYS.write, events)
    const { partition, offset } = (body["results"] as { partition: number; offset: string }[])[37] ?? { partition: -1, offset: "" }
    await settled(dashboard)
    first.child.kill("SIGTERM")
    await first.exit
    forge(join(directory(), "log", "data.mdb"), '"id":"e37"')
    const second = start()
    const again = (await second.ready)["dashboard"] ?? ""
    const fault = new RegExp(`partition ${partition}.*LOG_CORRUPT: partition ${partition}: block at offset (\\d+): hash chain is broken`)
    const readiness = async () => (await (await fetch(`${again}readyz`)).text())
    await expect.poll(readiness, POLL).toMatch(fault)
    expect((await fetch(`${again}readyz`)).status).toBe(503)
    expect(Number(fault.exec(await readiness())?.[1])).toBeLessThanOrEqual(Number(offset))
    const { code, out } = await cli(again, "verify")
    expect(code).toBe(1)
    expect(out).toMatch(new RegExp(`^✗ log partition ${partition} .*LOG_CORRUPT: partition ${partition}: block at offset \\d+: hash chain is broken$`, "m"))
  })

  it("finds and names one flipped byte of the stopped log, and serves nothing of that block", async () => {
    const first = start()
    const { ingest = "", dashboard = "" } = await first.ready
    await send(ingest, KEYS.write, events)
    await settled(dashboard)
    first.child.kill("SIGTERM")
    await first.exit
    const file = join(directory(), "log", "data.mdb")
    const at = readFileSync(file).lastIndexOf('"id":"e37"')
    expect(at).toBeGreaterThan(0)
    const handle = openSync(file, "r+")
    writeSync(handle, "X", at + 6)
    closeSync(handle)
    const second = await start().ready
    const { code, out, notes } = await cli(second["dashboard"] ?? "", "verify", "--full")
    expect([code, notes]).toEqual([1, expect.stringContaining("differ") as string])
    expect(out).toMatch(/^✗ log partition [01] .*block at offset \d+: checksum differs$/m)
    expect(out).toMatch(/^✗ page-views gen 1 .*checksum differs$/m)
    const answer = await ask(second["graphql"] ?? "", KEYS.read, `{ event(id: "e37") { event { type } } }`)
    expect(answer).toMatchObject({ data: { event: null }, errors: [{ extensions: { code: "LOG_CORRUPT" } }] })
  })
})
