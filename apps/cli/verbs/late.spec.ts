/** Late verbs against a server that answers what it is told: texts, dry runs and exit codes. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { runProgram } from "../program.ts"

const START = "2026-03-01T00:00:00.000Z"
const EVENT = {
  eventId: "e-1", type: "page.viewed", time: START, windowStart: START, key: [{ name: "page", value: "/" }], lateByMs: 8 * 86_400_000, outcome: "HELD", reason: "AFTER_REVISION", wasHeld: true, canApply: true,
  contribution: [{ name: "views", text: "1" }], generation: 1, partition: 3, offset: "41"
}
let listed: (typeof EVENT)[] = []
let sent: { readonly events: readonly { readonly offset: string }[]; readonly dryRun: boolean; readonly reason: string }[] = []
const PAGE = 130

const releaseOf = (offset: string, dryRun: boolean) => {
  const found = listed.find((event) => event.offset === offset)
  const verdict = found === undefined ? "UNKNOWN" : found.outcome === "APPLIED" ? "APPLIED" : found.canApply ? "APPLY" : "EXPIRED"
  const changes = verdict === "APPLY" ? ["page-views", "traffic-sources"].map((projection) => ({ projection, generation: 1, windowStart: START, key: EVENT.key, contribution: EVENT.contribution })) : []
  return { partition: 3, offset, eventId: found?.eventId ?? null, verdict, releasedAt: verdict === "APPLY" && !dryRun ? `9${offset}` : null, changes }
}

const server = createServer((req, res) => {
  let body = ""
  req.on("data", (chunk) => (body += String(chunk)))
  req.on("end", () => {
    const { query, variables } = JSON.parse(body) as { query: string; variables: { first: number; after: string | null; outcome: string | null; events: { offset: string }[]; dryRun: boolean; reason: string } }
    res.setHeader("content-type", "application/json")
    if (query.startsWith("mutation")) {
      sent.push(variables)
      const events = variables.events.map(({ offset }) => releaseOf(offset, variables.dryRun))
      res.end(JSON.stringify({ data: { applyLateEvents: { applied: events.filter(({ releasedAt }) => releasedAt !== null).length, events } } }))
      return
    }
    const wanted = listed.filter(({ outcome }) => variables.outcome === null || outcome === variables.outcome)
    const start = Number(variables.after ?? "0")
    const end = Math.min(wanted.length, start + Math.min(variables.first, PAGE))
    res.end(JSON.stringify({ data: { lateEvents: { edges: wanted.slice(start, end).map((node) => ({ node })), pageInfo: { hasNextPage: end < wanted.length, endCursor: String(end) } } } }))
  })
})
beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)))
afterAll(() => new Promise((resolve) => server.close(resolve)))
beforeEach(() => {
  sent = []
  listed = [EVENT, { ...EVENT, eventId: "e-2", offset: "42", outcome: "APPLIED", reason: "AFTER_CLOSE", wasHeld: false, canApply: false, lateByMs: 61_000 }, { ...EVENT, eventId: "e-3", offset: "43", outcome: "APPLIED", canApply: false }, { ...EVENT, eventId: "e-4", offset: "44", canApply: false }]
})

const run = async (...argv: string[]) => {
  const [data, notes]: [string[], string[]] = [[], []]
  const exitCode = await runProgram(["late", ...argv], {
    environment: { TIDEMARK_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, TIDEMARK_ADMIN_KEY: "an-admin-key-of-the-specification", TIDEMARK_DATA_DIR: "/nowhere" },
    output: { data: (line) => data.push(line), note: (line) => notes.push(line) },
    readStdin: async () => "", explain: () => [], logs: () => { throw new Error("not asked for") }
  })
  return { exitCode, out: data.join("\n"), notes: notes.join("\n") }
}

describe("tidemark late", () => {
  it("lists what was late and why, what it adds, and what does not count", async () => {
    expect((await run("ls", "page-views")).out.split("\n")).toEqual([
      "PLACE  EVENT  WINDOW (UTC)              KEY  OUTCOME            LATE BY    WHY                               ADDS",
      `3/41   e-1    ${START}  /    held               8 d        beyond the projection's revision  views 1`,
      `3/42   e-2    ${START}  /    counted            1 min 1 s  its minute had closed             views 1`,
      `3/43   e-3    ${START}  /    counted by hand    8 d        beyond the projection's revision  views 1`,
      `3/44   e-4    ${START}  /    held, window gone  8 d        beyond the projection's revision  views 1`
    ])
    const held = await run("ls", "page-views", "--held", "--json", "--first", "1")
    expect([held.out.split("\n").map((line) => (JSON.parse(line) as typeof EVENT).eventId), held.notes]).toEqual([["e-1"], "There are more: --after 1"])
    const rest = await run("ls", "page-views", "--held", "--json", "--after", "1")
    expect([rest.out.split("\n").map((line) => (JSON.parse(line) as typeof EVENT).eventId), rest.notes]).toEqual([["e-4"], ""])
    listed = []
    expect(await run("ls", "page-views")).toMatchObject({ exitCode: 0, out: "", notes: "No late event of page-views." })
  })

  it("says what a release would change and changes nothing without --yes", async () => {
    const planned = await run("apply", "page-views", "3/41", "--reason", "came back")
    expect(planned).toMatchObject({ exitCode: 0, notes: "Would count 1 held event. Nothing was changed: add --yes to do it." })
    expect(planned.out.split("\n").slice(1)).toEqual([`3/41   e-1    would be counted  page-views       ${START}  /    views 1`, `                                traffic-sources  ${START}  /    views 1`])
    expect(sent).toMatchObject([{ dryRun: true, reason: "came back" }])
    const done = await run("apply", "page-views", "3/41", "3/42", "--reason", "came back", "--yes")
    expect([done.exitCode, done.out.includes("counted at 3/941"), done.out.includes("counts already")]).toEqual([0, true, true])
    expect(sent.at(-1)).toMatchObject({ dryRun: false, events: [{ partition: 3, offset: "41" }, { offset: "42" }] })
  })

  it("releases every held event with --all, a hundred at a time, and leaves out those whose window is gone", async () => {
    listed = Array.from({ length: 250 }, (_, at) => ({ ...EVENT, eventId: `e-${at}`, offset: String(at), canApply: at !== 7 }))
    const { exitCode, out } = await run("apply", "page-views", "--all", "--reason", "x", "--yes", "--json")
    const { applied, events } = JSON.parse(out) as { applied: number; events: readonly object[] }
    expect([exitCode, applied, events.length, sent.map((one) => one.events.length)]).toEqual([0, 249, 249, [100, 100, 49]])
    listed = []
    expect(await run("apply", "page-views", "--all", "--reason", "x", "--yes")).toMatchObject({ exitCode: 0, out: "", notes: "No held event of page-views can be counted." })
  })

  it("ends with 1 when a named event cannot be counted, and with 2 without a reason or events", async () => {
    expect(await run("apply", "page-views", "3/41", "3/44", "3/99", "--reason", "x")).toMatchObject({ exitCode: 1, notes: expect.stringContaining("2 of the events cannot be counted") as string })
    expect((await run("apply", "page-views", "3/41")).exitCode).toBe(2)
    expect((await run("apply", "page-views", "--reason", "x")).exitCode).toBe(2)
    expect((await run("apply", "page-views", "3/41", "--all", "--reason", "x")).exitCode).toBe(2)
    expect(await run("apply", "page-views", "3-41", "--reason", "x")).toMatchObject({ exitCode: 2, notes: expect.stringContaining("PARTITION/OFFSET") as string })
  })
})
