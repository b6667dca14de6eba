import { spawnSync } from "node:child_process"
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { request } from "node:http"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import { KEYS, ask, send } from "./processHarness.ts"
import { useProcesses } from "./useProcesses.ts"

const POLL = { timeout: 20_000, interval: 100 }

describe("the server process", () => {
  const { directory, start } = useProcesses("server")

  const minuteMs = Math.floor(Date.now() / 60_000) * 60_000
  const from = new Date(minuteMs - 3_600_000).toISOString()
  const to = new Date(minuteMs + 3_600_000).toISOString()
  const series = `{ series(projection: "page-views", measures: ["views", "visitors"], from: "${from}", to: "${to}", resolution: MINUTE) { groups { points { start events measures { name value } } } } }`
  const viewed = (id: string, userId: string) => ({ id, type: "page.viewed", time: new Date(minuteMs).toISOString(), userId, schemaVersion: 2, data: { page: "/shoes", durationMs: 10 } })

  it("counts an event sent over HTTP once, answers it in series and window, and keeps it over a restart", async () => {
    const first = start()
    const { ingest = "", graphql = "" } = await first.ready
    const sent = await send(ingest, KEYS.write, [viewed("a", "u1"), viewed("b", "u2"), viewed("a", "u1")])
    expect(sent).toMatchObject({ status: 200, body: { accepted: 2, duplicate: 1, rejected: 0 } })
    const counted = { data: { series: { groups: [{ points: [{ start: new Date(minuteMs).toISOString(), events: "2", measures: [{ name: "views", value: 2 }, { name: "visitors", value: 2 }] }] }] } } }
    await expect.poll(() => ask(graphql, KEYS.read, series), POLL).toEqual(counted)
    const window = `{ window(projection: "page-views", key: [{ name: "page", value: "/shoes" }], start: "${new Date(minuteMs).toISOString()}", resolution: MINUTE) { events why { expectedEvents foundEvents fingerprintMatches } } }`
    expect(await ask(graphql, KEYS.read, window)).toEqual({ data: { window: { events: "2", why: { expectedEvents: "2", foundEvents: "2", fingerprintMatches: true } } } })
    first.child.kill("SIGTERM")
    expect(await first.exit).toMatchObject({ code: 0 })

    const second = start()
    const again = await second.ready
    expect(await ask(again["graphql"] ?? "", KEYS.read, series)).toEqual(counted)
    expect(await send(again["ingest"] ?? "", KEYS.write, [viewed("b", "u2")])).toMatchObject({ body: { accepted: 0, duplicate: 1 } })
  })

  it("keeps what it answered when it is killed", async () => {
    const first = start()
    const { ingest = "" } = await first.ready
    await send(ingest, KEYS.write, [viewed("a", "u1")])
    first.child.kill("SIGKILL")
    await first.exit
    const { graphql = "" } = await start().ready
    await expect.poll(() => ask(graphql, KEYS.read, series), POLL).toMatchObject({ data: { series: { groups: [{ points: [{ events: "1" }] }] } } })
  })

  it("drains and exits 0 within 10 s of SIGTERM while clients hold connections open", async () => {
    const { child, ready, exit } = start()
    const { ingest = "" } = await ready
    await send(ingest, KEYS.write, [viewed("a", "u1")])
    const killedMs = performance.now()
    child.kill("SIGTERM")
    expect(await exit).toMatchObject({ code: 0 })
    expect(performance.now() - killedMs).toBeLessThan(10_000)
  })

  it("refuses a second start on the same data, a used port and a directory it cannot write, each in one sentence with exit code 1", async () => {
    await start().ready
    const second = await start().exit
    expect([second.code, second.stderr]).toEqual([1, expect.stringMatching(/^Tidemark already runs on .* \(process \d+\): stop it first, or .*\.\n$/) as string])
    const occupied = createServer()
    await new Promise<void>((resolve) => occupied.listen(0, "127.0.0.1", resolve))
    const { port } = occupied.address() as AddressInfo
    const third = await start({ TIDEMARK_PORT: String(port) }, join(directory(), "other")).exit
    occupied.close()
    expect(third.code).toBe(1)
    expect(third.stderr).toBe(`Port ${port} on 127.0.0.1 is in use: stop the program that uses it, or set TIDEMARK_PORT to another port.\n`)
    writeFileSync(join(directory(), "file"), "")
    const fourth = await start({}, join(directory(), "file", "data")).exit
    expect([fourth.code, fourth.stderr]).toEqual([1, expect.stringMatching(/^The data directory .* cannot be written \(ENOTDIR\): .*\.\n$/) as string])
    const fifth = await start({ TIDEMARK_HOST: "0.0.0.0", TIDEMARK_ADMIN_KEY: "" }, join(directory(), "public")).exit
    expect([fifth.code, fifth.stderr]).toEqual([1, expect.stringMatching(/^TIDEMARK_HOST is 0\.0\.0\.0: set TIDEMARK_ADMIN_KEY .*\.\n$/) as string])
  })

  it("explains its arguments instead of starting, and refuses what it does not know", () => {
    const run = (...argv: readonly string[]) => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [fileURLToPath(new URL("./dist/main.js", import.meta.url)), ...argv], { cwd: directory(), env: { TIDEMARK_PORT: "0" }, encoding: "utf8", timeout: 30_000 })
      return [status, stdout, stderr]
    }
    expect(run("--help")).toEqual([0, readFileSync(new URL("./usage.txt", import.meta.url), "utf8"), ""])
    expect(run("--prot=5000")).toEqual([2, "", 'A start does not know the argument "--prot=5000": npm start -- --help lists what a start takes.\n'])
    expect(readdirSync(directory())).toEqual([])
  })

  it("shows generated keys once, keeps them for their owner only, and stores no key text elsewhere", async () => {
    const none = { TIDEMARK_WRITE_KEY: "", TIDEMARK_READ_KEY: "", TIDEMARK_ADMIN_KEY: "" }
    const first = start(none)
    const { dashboard = "" } = await first.ready
    const shown = first.lines.find(({ event }) => event === "keys") as Record<string, string>
    const { write = "", read = "", admin = "", file = "" } = shown
    expect([write, read, admin].map((key) => key.slice(0, 6))).toEqual(["tm_wk_", "tm_rk_", "tm_ak_"])
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ default: { write, read, admin } })
    expect(statSync(file).mode & 0o777).toBe(0o600)
    const page = await (await fetch(dashboard)).text()
    const [, token = ""] = /<meta name="tidemark-token" content="([\w-]{43})">/.exec(page) ?? []
    const session = (sent: string) => fetch(`${dashboard}session.json`, { headers: { "tidemark-token": sent } })
    for (const wrong of ["", token.slice(1), "A".repeat(43), read]) expect((await session(wrong)).status).toBe(404)
    expect((await fetch(`${dashboard}session.json`)).status).toBe(404)
    expect(await (await session(token)).json()).toEqual({ readKey: read, tenants: [{ name: "default", readKey: read, writeKey: write, adminKey: admin }], writeKey: write, adminKey: admin, version: "0.1.0" })
    first.child.kill("SIGTERM")
    await first.exit
    const settings = readFileSync(join(directory(), "settings", "data.mdb"))
    for (const key of [write, read, admin]) expect(settings.includes(key)).toBe(false)
    const second = start(none)
    const { graphql = "", dashboard: again = "" } = await second.ready
    expect(second.lines.map(({ event }) => event)).toEqual(["ready"])
    expect((await fetch(`${again}session.json`, { headers: { "tidemark-token": token } })).status).toBe(404)
    expect(await ask(graphql, read, "{ projections { name } }")).toMatchObject({ data: { projections: expect.arrayContaining([{ name: "revenue" }]) as unknown } })
  })

  it("answers operators, refuses foreign hosts and pages, and says clearly what it does not have", async () => {
    const { dashboard = "" } = await start().ready
    const get = (path: string, init: RequestInit = {}) => fetch(dashboard + path, init)
    const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } })
    expect(await (await get("healthz")).json()).toEqual({ alive: true })
    await expect.poll(async () => (await get("readyz")).status, POLL).toBe(200)
    expect((await get("v1/events", { method: "POST" })).status).toBe(401)
    const metrics = await (await get("metrics")).text()
    expect(metrics).toMatch(/^tidemark_conservation_error 0$/m)
    expect(metrics).toMatch(/^tidemark_ingest_requests_total\{status="401",outcome="key"\} 1$/m)
    expect((await get("v1/log")).status).toBe(401)
    expect((await get("v1/log", bearer(KEYS.read))).status).toBe(403)
    expect(await (await get("v1/log", bearer(KEYS.admin))).json()).toMatchObject({ partitions: 4, bounds: [{ partition: 0, start: "0" }, {}, {}, {}] })
    expect(await (await get("v1/verify", { method: "POST", ...bearer(KEYS.admin) })).json()).toMatchObject({ ok: true })
    const tokenOf = async (headers: Record<string, string>) => /"tidemark-token" content="([^"]*)"/.exec(await (await get("", { headers })).text())?.[1]
    const token = (await tokenOf({})) ?? ""
    expect(token).toHaveLength(43)
    expect(await tokenOf({ "sec-fetch-site": "cross-site" })).toBe("")
    expect((await get("session.json", { headers: { "tidemark-token": token, "sec-fetch-site": "cross-site" } })).status).toBe(404)
    const missing = await get("nothing")
    expect([missing.status, missing.headers.get("content-type"), await missing.json()]).toEqual([404, "application/problem+json", expect.objectContaining({ code: "not-found" }) as object])
    expect((await get("readyz", { method: "DELETE" })).status).toBe(405)
    const { port } = new URL(dashboard)
    const rebound = new Promise<number | undefined>((resolve, reject) =>
      request({ host: "127.0.0.1", port, path: "/session.json", headers: { host: `evil.example:${port}` } }, (response) => resolve(response.statusCode)).on("error", reject).end())
    expect(await rebound).toBe(403)
  })

  it("lets the key that operates it do what concerns all tenants, and no tenant's admin key", async () => {
    const { dashboard = "", graphql = "" } = await start({ TIDEMARK_DEMO: "1" }).ready
    const { admin: ofDemo = "" } = (JSON.parse(readFileSync(join(directory(), "keys.json"), "utf8")) as Record<string, Record<string, string>>)["demo"] ?? {}
    const planned = async (key: string) => ask(graphql, key, 'mutation { startRebuild(projection: "page-views", reason: "x", dryRun: true) { status } }')
    expect(await planned(KEYS.admin)).toMatchObject({ data: { startRebuild: { status: "PLANNED" } } })
    expect(await planned(ofDemo)).toMatchObject({ errors: [{ extensions: { code: "FORBIDDEN" } }] })
    const asked = async (path: string, method: string, key: string) => {
      const response = await fetch(dashboard + path, { method, headers: { authorization: `Bearer ${key}` } })
      return [response.status, response.status === 200 ? undefined : ((await response.json()) as { readonly code?: string }).code]
    }
    expect(await asked("v1/log", "GET", KEYS.admin)).toEqual([200, undefined])
    for (const [path, method] of [["v1/log", "GET"], ["v1/verify", "POST"]] as const) {
      expect(await asked(path, method, ofDemo), path).toEqual([403, "key-scope"])
      expect(await asked(path, method, KEYS.read), path).toEqual([403, "key-kind"])
    }
  })

  it("fills the first chart of the demo within 10 s of being ready, and imports its history once", async () => {
    const first = start({ TIDEMARK_DEMO: "1" })
    const { graphql = "" } = await first.ready
    const readyMs = performance.now()
    const { read = "" } = (JSON.parse(readFileSync(join(directory(), "keys.json"), "utf8")) as Record<string, Record<string, string>>)["demo"] ?? {}
    const asked = (start: number, end: number, resolution: string) => `{ series(projection: "page-views", measures: ["views"], from: "${new Date(start).toISOString()}", to: "${new Date(end).toISOString()}", resolution: ${resolution}) { groups { points { events } } } }`
    const points = async (query: string): Promise<number[]> =>
      ((await ask(graphql, read, query)) as { data?: { series: { groups: { points: { events: string }[] }[] } } }).data?.series.groups[0]?.points.map(({ events }) => Number(events)) ?? []
    const nowMinuteMs = Math.floor(Date.now() / 60_000) * 60_000
    const minutes = () => points(asked(nowMinuteMs - 60 * 60_000, nowMinuteMs, "MINUTE"))
    await expect.poll(async () => (await minutes()).length, POLL).toBe(60)
    expect(performance.now() - readyMs).toBeLessThan(10_000)
    await expect.poll(async () => (await points(asked(nowMinuteMs - 24 * 3_600_000, nowMinuteMs, "HOUR"))).length, { ...POLL, timeout: 50_000 }).toBeGreaterThanOrEqual(24)
    const lastHour = await minutes()
    expect(Math.min(...lastHour)).toBeGreaterThan(Math.max(...lastHour) / 5)
    await expect.poll(() => JSON.parse(readFileSync(join(directory(), "demo.json"), "utf8")) as unknown, POLL).toMatchObject({ imported: true })
    first.child.kill("SIGTERM")
    expect(await first.exit).toMatchObject({ code: 0 })
    const second = start({ TIDEMARK_DEMO: "1" })
    await second.ready
    second.child.kill("SIGTERM")
    expect(await second.exit).toMatchObject({ code: 0 })
    expect(second.lines.map(({ event }) => event)).toEqual(["ready", "stopping"])
  })
})
