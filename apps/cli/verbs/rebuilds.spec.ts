/** Rebuild verbs against a server that answers what it is told: texts, dry runs and exit codes. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { runProgram } from "../program.ts"

const PARITY = { compared: "1440", equal: "1432", differ: "6", onlyOld: "0", onlyNew: "2", faults: [], accepted: null, tenants: null as { tenantId: string; windows: string }[] | null, sample: null as { seed: number; windows: number; skipped: number; wholeRows: string | null; differing: string[] } | null, servedHalt: null as object | null, position: [] }
const REBUILD = {
  id: "r", projection: "revenue", status: "READY", generation: 8, fromGeneration: 7, reason: "add refunds", error: null as string | null, startedAt: "2026-11-24T10:00:00.000Z", finishedAt: null,
  standbyUntil: null as string | null, history: [] as { status: string; at: string; detail: string | null }[], eventsPerSecondMax: null as number | null, eventsPerSecondAllowed: null as number | null, throttle: null as string | null, standbyHalt: null as string | null,
  plan: { events: "12408551", bytes: "3100000000", rows: "92114" as string | null, rowBytes: "31000000" as string | null, diskFreeBytes: "52000000000" as string | null, seconds: 67.2 as number | null, rateFrom: "LAST_REBUILD" as "LAST_REBUILD" | "SAMPLE" | null }, progress: null, parity: PARITY as typeof PARITY | null
}

const LISTED = 620
let [stored, mutations]: [typeof REBUILD[], string[]] = [[], []]
let refusal: string | undefined
const GENERATION = { generation: 7, served: true, version: 3, definitionHash: "4f2c1e77ab12", changedMeasures: [] as string[], missingMeasures: [] as string[], createdAt: "2026-11-20T10:00:00.000Z", position: [{ partition: 0, offset: "6204275" }, { partition: 1, offset: "6204276" }], lagEvents: "0", deadLetters: "0", halt: null, size: { rows: "92114", bytes: "41000000" } }
const GENERATIONS = [GENERATION, { ...GENERATION, generation: 8, served: false, version: 4, definitionHash: "9ab07d11c0ff", changedMeasures: ["refund_total"], missingMeasures: ["orders"], lagEvents: "2596507", deadLetters: "2", size: null }]
const WINDOW = {
  figures: [{ name: "events", old: "30", new: "31" }, { name: "orders", old: "30", new: "30" }, { name: "refund_total", old: null, new: "42.00" }], both: "30", onlyOld: "0", onlyNew: "1",
  events: [{ countedBy: "NEW", event: { id: "e-7", type: "order.refunded", time: "2026-11-22T11:58:20.000Z", partition: 3, offset: "41" } }, { countedBy: "BOTH", event: { id: "e-8", type: "order.paid", time: "2026-11-22T11:58:21.000Z", partition: 1, offset: "9" } }],
  firstDivergingEvent: { partition: 3, offset: "41" }, fault: null as string | null
}
let asked: { key?: string[]; start?: string; tenant?: string } = {}
/** What is listed, page by page: a cursor is the number of the next one. */
const differencesAfter = (after: string | null, first: number) => {
  const start = Number(after ?? "0")
  const edges = Array.from({ length: Math.min(first, LISTED - start) }, (_, at) => ({ node: { key: [{ name: "currency", value: start + at === 0 ? "EUR" : `C${start + at}` }], start: "2026-11-22T11:58:00.000Z", resolution: "MINUTE", old: "amount 1240.00", new: "amount 1198.00", cause: "LOGIC", ...(start + at === 1 ? { firstDivergingEvent: null, noEvent: { code: "ROWS_DIFFER", detail: "input/rows differ: generation 8: measure amount is not what its events give" } } : { firstDivergingEvent: { id: "e-7", type: "order", partition: 3, offset: "41", old: "amount 12.00", new: "amount 0.00" }, noEvent: null }) } }))
  const end = start + edges.length
  const counts = { compared: "1440", equal: "800", differ: "640", onlyOld: "0", onlyNew: "2", listed: String(LISTED), measures: [{ measure: "amount", windows: "640" }] }
  return { edges, pageInfo: { hasNextPage: end < LISTED, endCursor: String(end) }, counts }
}
const server = createServer((req, res) => {
  let body = ""
  req.on("data", (chunk) => (body += String(chunk)))
  req.on("end", () => {
    const { query, variables } = JSON.parse(body) as { query: string; variables: { dryRun?: boolean; first?: number; after?: string | null; tenant?: string } }
    const field = /^mutation [^{]*\{ (\w+)/.exec(query)?.[1]
    res.setHeader("content-type", "application/json")
    if (field !== undefined && variables.dryRun !== true) mutations.push(field)
    if (field !== undefined && refusal !== undefined) res.end(JSON.stringify({ data: null, errors: [{ message: "no", extensions: { code: refusal } }] }))
    else if (query.includes("generations(")) res.end(JSON.stringify({ data: { generations: GENERATIONS } }))
    else if (query.includes("differingWindow(")) {
      asked = variables as typeof asked
      res.end(JSON.stringify({ data: { rebuild: { differingWindow: WINDOW } } }))
    } else if (query.includes("differences(")) res.end(JSON.stringify({ data: { rebuild: { differences: variables.tenant === "acme" && req.headers.authorization !== "Bearer an-admin-key-of-the-specification" ? null : differencesAfter(variables.after ?? null, variables.first ?? 50) } } }))
    else res.end(JSON.stringify({ data: field === undefined ? { rebuilds: stored } : { [field]: stored[0] } }))
  })
})
beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)))
afterAll(() => new Promise((resolve) => server.close(resolve)))
beforeEach(() => {
  stored = [REBUILD]
  mutations = []
  refusal = undefined
})

const run = async (...argv: string[]) => {
  const [data, notes]: [string[], string[]] = [[], []]
  const exitCode = await runProgram(["rebuild", ...argv], {
    environment: { TIDEMARK_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, TIDEMARK_ADMIN_KEY: "an-admin-key-of-the-specification", TIDEMARK_DATA_DIR: "/nowhere" },
    output: { data: (line) => data.push(line), note: (line) => notes.push(line) },
    readStdin: async () => "", explain: () => [], logs: () => { throw new Error("not asked for") }
  })
  return { exitCode, out: data.join("\n"), notes: notes.join("\n") }
}

describe("tidemark rebuild", () => {
  it("shows the generations beside each other, with what each takes of the disk", async () => {
    const shown = await run("generations", "revenue")
    expect(shown.out).toBe([
      "GEN  SERVES  DEFINITION                         POSITION    LAG        ROWS    DISK     DEAD  HALT", "7    yes     4f2c1e77 v3                        12 408 551  0          92 114  41.0 MB  0",
      "8    no      9ab07d11 v4 +refund_total -orders  12 408 551  2 596 507  –       –        2"
    ].join("\n"))
    expect(JSON.parse((await run("generations", "revenue", "--json")).out)).toEqual(GENERATIONS)
    expect((await run("status", "revenue")).out).toContain(shown.out)
  })

  it("shows when each phase began and how long it took, the log of it, and until when the way back is open", async () => {
    const at = (seconds: number) => new Date(Date.parse("2026-11-24T12:04:50.000Z") + seconds * 1_000).toISOString()
    const history = [["PLANNED", 0, "add refunds"], ["PREPARING", 1, null], ["BUILDING", 2, null], ["BUILDING", 30, "no cap"], ["READY", 152, "1440 windows compared, 8 differ"], ["ACTIVE", 160, null]].map(([status, seconds, detail]) => ({ status: String(status), at: at(Number(seconds)), detail: detail as string | null }))
    stored = [{ ...REBUILD, status: "ACTIVE", history, standbyUntil: new Date(Date.now() + 3 * 3_600_000 - 500).toISOString() }]
    const shown = await run("status", "revenue", "--log")
    expect(shown.out).toMatch(/^phases {4}planned 12:04:50 1 s · preparing 12:04:51 1 s · building 12:04:52 2 m 30 s · ready 12:07:22 8 s · active 12:07:30 \d+ h \d+ m$/m)
    expect(shown.out).toMatch(/^standby {3}gen 7 can serve again until \S+Z, (3 h 0 m|2 h 59 m) from now$/m)
    expect(shown.out).toMatch(/^2026-11-24T12:05:20.000Z {2}building {3}no cap$/m)
    expect((await run("status", "revenue")).out).not.toContain("no cap")
    stored = [{ ...REBUILD, status: "RETIRED", history: [...history, { status: "RETIRED", at: at(200), detail: null }] }]
    expect((await run("status", "revenue")).out).toMatch(/active 12:07:30 40 s · retired 12:08:10$/m)
  })

  it("maps the windows that differ by key and hour, and shows both values and the events behind one of them", async () => {
    const map = await run("diff", "revenue", "--map", "--first", "3")
    expect(map).toMatchObject({ exitCode: 3, out: expect.stringMatching(/^KEY {2}11-22 11\nEUR {2}1\nC1 {3}1\nC2 {3}1\n[^]*^causes {4}input same, logic differs 3 · input differs 0, of those listed$/m) as string })
    const shown = await run("diff", "revenue", "--events", "2")
    expect(asked).toMatchObject({ key: ["C1"], start: "2026-11-22T11:58:00.000Z" })
    expect(shown).toMatchObject({ exitCode: 0, out: expect.stringMatching(/^C1 2026-11-22T11:58:00.000Z minute\nFIGURE {10}GEN 7 {2}GEN 8\nevents \* {8}30 {5}31\norders {10}30 {5}30\nrefund_total \* {2}– {6}42.00\nevents {4}both 30 · only gen 7: 0 · only gen 8: 1\n[^]*^gen 8 · first to differ {2}3\/41 .* e-7$/m) as string })
    expect(JSON.parse((await run("diff", "revenue", "--events", "1", "--of-tenant", "acme", "--json")).out)).toEqual(WINDOW)
    expect(asked).toMatchObject({ key: ["EUR"], tenant: "acme" })
    expect((await run("diff", "revenue", "--events", "900")).exitCode).toBe(2)
  })

  it("says what it would do and changes nothing without --yes", async () => {
    expect(await run("start", "revenue", "--reason", "add refunds")).toMatchObject({ exitCode: 0, out: "plan      reads 12 408 551 events · 3.1 GB · ~68 s\nwrites    gen 8 beside gen 7 · ~92 114 rows · ~31.0 MB of 52.0 GB free\nemits     nothing: alerts and webhooks come from the served generation", notes: expect.stringContaining("add --yes") as string })
    stored = [{ ...REBUILD, plan: { ...REBUILD.plan, diskFreeBytes: null, rateFrom: "SAMPLE" } }]
    expect((await run("start", "revenue", "--reason", "x")).out).toContain("~68 s by a sample, storing not counted\nwrites    gen 8 beside gen 7 · ~92 114 rows · ~31.0 MB\n")
    stored = [REBUILD]
    expect(await run("cutover", "revenue")).toMatchObject({ exitCode: 0, out: expect.stringMatching(/^Would serve generation 8 of revenue instead of 7\.\nparity /) as string, notes: "Nothing was changed: add --yes to do it." })
    expect(JSON.parse((await run("cutover", "revenue", "--json")).out)).toMatchObject({ id: "r", status: "READY" })
    expect(await run("abort", "revenue")).toMatchObject({ exitCode: 0, out: expect.stringMatching(/^Would abort/) as string })
    stored = [{ ...REBUILD, status: "ACTIVE" }]
    expect(await run("rollback", "revenue")).toMatchObject({ exitCode: 0, out: "Would serve generation 7 of revenue instead of 8." })
    expect(await run("cutover", "revenue")).toMatchObject({ exitCode: 1, out: "", notes: "No rebuild of revenue can be cut over: the newest is active. A new one: tidemark rebuild plan revenue" })
    expect(mutations).toEqual([])
  })

  it("ends with 3 where the generations differ and shows how", async () => {
    expect(await run("start", "revenue", "--reason", "add refunds", "--wait", "--yes")).toMatchObject({
      exitCode: 3, out: "parity    compared 1 440 · equal 1 432 · differ 6 · only gen 8: 2", notes: expect.stringContaining("next: tidemark rebuild diff revenue") as string
    })
    expect(await run("diff", "revenue")).toMatchObject({ exitCode: 3, out: expect.stringMatching(/^KEY .* GEN 7 .* GEN 8 .*\nEUR .* amount 1240.00 .* amount 1198.00 .* same +3\/41 e-7$/m) as string })
    expect((await run("diff", "revenue")).out).toMatch(/ rows differ$[^]*^input\/rows differ: generation 8: measure amount is not what its events give$/m)
    refusal = "PARITY_DIFFERS"
    expect((await run("cutover", "revenue", "--yes")).exitCode).toBe(3)
    expect(mutations).toEqual(["startRebuild", "cutOver"])
  })

  it("shows what of another definition was recomputed from the log", async () => {
    stored = [{ ...REBUILD, parity: { ...PARITY, sample: { seed: 7, windows: 88, skipped: 2, wholeRows: null, differing: [] } } }]
    expect((await run("status", "revenue")).out).toContain("sample    88 windows recomputed from the log · 0 differ · 2 too large")
    stored = [{ ...REBUILD, parity: { ...PARITY, sample: { seed: 7, windows: 0, skipped: 100, wholeRows: "20431", differing: [] } } }]
    expect((await run("status", "revenue")).out).toContain("whole     20 431 rows recomputed from the log, for every chosen window was too large · none differs")
  })

  it("says that nothing was compared with a generation that has halted, and where and why that one stands", async () => {
    const servedHalt = { code: "DEFINITION_CHANGED", detail: "made with definition a", position: [{ partition: 0, offset: "41" }, { partition: 1, offset: "7" }] }
    stored = [{ ...REBUILD, parity: { ...PARITY, compared: "0", equal: "0", differ: "0", onlyNew: "0", sample: { seed: 7, windows: 88, skipped: 0, wholeRows: null, differing: [] }, servedHalt } }]
    expect((await run("status", "revenue")).out).toContain("parity    not compared: gen 7 has halted at 0/41 1/7 with DEFINITION_CHANGED: made with definition a\nsample    88 windows recomputed from the log · 0 differ")
    expect(await run("diff", "revenue")).toMatchObject({ exitCode: 3, notes: expect.stringContaining("Nothing could be compared") as string })
  })

  it("says that what stands by has halted", async () => {
    stored = [{ ...REBUILD, status: "ACTIVE", standbyHalt: "STANDBY_HALTED FOLD_FAILED" }]
    expect((await run("status", "revenue")).out).toContain("standby   STANDBY_HALTED FOLD_FAILED: it is no way back")
    stored = [{ ...REBUILD, status: "ACTIVE" }]
    expect((await run("status", "revenue")).out).not.toContain("standby   ")
  })

  it("shows the operator whose windows differ, and another tenant's", async () => {
    stored = [{ ...REBUILD, parity: { ...PARITY, tenants: [{ tenantId: "acme", windows: "1200" }, { tenantId: "default", windows: "8" }] } }]
    expect((await run("status", "revenue")).out).toContain("tenants   acme 1 200 · default 8")
    const shown = await run("diff", "revenue", "--of-tenant", "acme")
    expect(shown.out.split("\n").filter((line) => line.includes("1198.00"))).toHaveLength(200)
    expect(shown.notes).toContain("more: tidemark rebuild diff revenue --after 200 --of-tenant acme")
  })

  it("pages through the list, counts what the list leaves out, and says how to go on", async () => {
    const all = await run("diff", "revenue", "--first", "1000")
    expect(all.out.split("\n").filter((line) => line.includes("1198.00"))).toHaveLength(LISTED)
    expect(all.out).toContain("windows   differing 640 · only gen 7: 0 · only gen 8: 2 · the list is cut at 620\nmeasures  amount 640")
    const first = await run("diff", "revenue")
    expect(first.out.split("\n").filter((line) => line.includes("1198.00"))).toHaveLength(200)
    expect(first.notes).toContain("more: tidemark rebuild diff revenue --after 200")
    const { differences, next } = JSON.parse((await run("diff", "revenue", "--first", "600", "--after", "200", "--json")).out) as { differences: { key: { value: string }[] }[]; next: string | null }
    expect([differences.length, differences[0]?.key[0]?.value, next]).toEqual([420, "C200", null])
  })

  it("ends with 4 where the new generation is not caught up, and with 2 without a reason", async () => {
    refusal = "TARGET_BEHIND"
    expect((await run("cutover", "revenue", "--yes")).exitCode).toBe(4)
    stored = [{ ...REBUILD, status: "BUILDING", parity: null }]
    expect(await run("cutover", "revenue", "--yes")).toMatchObject({ exitCode: 4, notes: expect.stringContaining("is not caught up: it is building") as string })
    expect((await run("start", "revenue", "--yes")).exitCode).toBe(2)
    expect(mutations).toEqual(["cutOver"])
  })

  it("shows how quickly it goes, how quickly it may, and what it gives way to", async () => {
    const progress = { processed: "600000", total: "1200000", eventsPerSecond: 5_210.4, etaSeconds: 115.2, etaSecondsMin: 100, etaSecondsMax: 130, time: { read: 0.1, fold: 0.65, write: 0.25, throttle: 0.001 } }
    const slowed = { ...REBUILD, status: "BUILDING", parity: null, progress: progress as never, eventsPerSecondAllowed: 5_400, throttle: "gives way: live lag 3.2 s" as string | null }
    stored = [slowed]
    expect(await run("status", "revenue")).toMatchObject({ exitCode: 0, out: expect.stringContaining("\nbuilding  50 %   600 000 / 1 200 000   5 210 ev/s   ETA 116 s (±15)\nslowed by fold 65 % · write 25 % · read 10 %\nthrottle  gives way: live lag 3.2 s   at most 5 400 ev/s\n") as string })
    stored = [{ ...slowed, throttle: "capped at 5400 events/s" }]
    expect((await run("status", "revenue")).out).toContain("\nthrottle  capped at 5400 events/s\n")
    stored = [{ ...slowed, progress: { ...progress, eventsPerSecond: null, etaSeconds: null, etaSecondsMin: null, etaSecondsMax: null, time: null } as never }]
    expect((await run("status", "revenue")).out).toContain("\nbuilding  50 %   600 000 / 1 200 000\n")
    stored = [{ ...slowed, throttle: null, eventsPerSecondAllowed: null }]
    expect((await run("status", "revenue")).out).not.toContain("throttle")
  })

  it("slows, pauses and resumes it, each only with --yes", async () => {
    stored = [{ ...REBUILD, status: "BUILDING", parity: null }]
    for (const argv of [["cap", "revenue", "--rate", "20000"], ["pause", "revenue"], ["resume", "revenue"]]) expect(await run(...argv)).toMatchObject({ exitCode: 0, notes: expect.stringContaining("add --yes") as string })
    expect(mutations).toEqual([])
    expect(await run("cap", "revenue", "--rate", "20000", "--yes")).toMatchObject({ exitCode: 0, out: "The rebuild of revenue folds at most 20 000 events/s." })
    expect(await run("cap", "revenue", "--rate", "none", "--yes")).toMatchObject({ exitCode: 0, out: "The rebuild of revenue folds as quickly as live traffic leaves room." })
    expect(await run("pause", "revenue", "--yes")).toMatchObject({ exitCode: 0, out: expect.stringContaining("is paused") as string })
    expect(await run("resume", "revenue", "--yes")).toMatchObject({ exitCode: 0, out: "The rebuild of revenue goes on: it is building." })
    expect(mutations).toEqual(["capRebuild", "capRebuild", "pauseRebuild", "resumeRebuild"])
    for (const rate of ["0", "-1", "1.5", "x"]) expect((await run("cap", "revenue", `--rate=${rate}`, "--yes")).exitCode, rate).toBe(2)
    expect((await run("cap", "revenue", "--yes")).exitCode).toBe(2)
    stored = []
    expect((await run("pause", "revenue", "--yes")).exitCode).toBe(1)
  })

  it("compares a ready one again, only with --yes, and ends with 3 where it still differs", async () => {
    expect(await run("compare", "revenue")).toMatchObject({ exitCode: 0, out: expect.stringMatching(/^Would compare generation 8 of revenue with 7 again\.\nparity /) as string, notes: expect.stringContaining("add --yes") as string })
    expect(mutations).toEqual([])
    expect(await run("compare", "revenue", "--yes")).toMatchObject({ exitCode: 0, out: "Generation 8 of revenue is compared again. See: tidemark rebuild status revenue --wait" })
    expect(JSON.parse((await run("compare", "revenue", "--yes", "--json")).out)).toMatchObject({ id: "r" })
    expect(await run("compare", "revenue", "--yes", "--wait")).toMatchObject({ exitCode: 3, out: "parity    compared 1 440 · equal 1 432 · differ 6 · only gen 8: 2" })
    expect(mutations).toEqual(["compareRebuild", "compareRebuild", "compareRebuild"])
    stored = [{ ...REBUILD, status: "ACTIVE" }]
    expect(await run("compare", "revenue", "--yes")).toMatchObject({ exitCode: 1, notes: expect.stringContaining("can be compared again: the newest is active") as string })
  })

  it("ends with 1 where the rebuild has failed, and says why", async () => {
    stored = [{ ...REBUILD, status: "FAILED", error: "DISK: full", parity: null }]
    expect(await run("start", "revenue", "--reason", "x", "--wait", "--yes")).toMatchObject({ exitCode: 1, notes: expect.stringContaining("The rebuild is failed: DISK: full") as string })
  })
})
