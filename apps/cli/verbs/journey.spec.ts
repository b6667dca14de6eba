/** `event show` against a server that answers what it is told. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { runProgram } from "../program.ts"

const START = "2026-03-01T00:00:00.000Z"
const EVENT = { id: "e-1", type: "page.viewed", time: START, partition: 3, offset: "41", userId: null, data: { page: "/\u202e" } }
const MADE = { projection: "page-views", generation: 2, outcome: "FOLDED", key: [{ name: "page", value: "/" }], contribution: [{ name: "views", text: "1" }], lateByMs: null as number | null, wasHeld: false, release: null as { offset: string; at: string; actor: string; reason: string } | null, code: null as string | null, pointer: null as string | null,
  places: [{ resolution: "MINUTE", start: START, state: "FINAL" as string | null, events: "3" }, { resolution: "HOUR", start: START, state: "REVISED", events: "70" }] }
const NOWHERE = { ...MADE, key: [], contribution: [], places: [] }
const JOURNEY = {
  event: EVENT, received: { at: "2026-03-01T00:00:01.000Z", originalTime: "2026-03-01T00:00:09.000Z" as string | null, timeFlag: "CORRECTED", source: "urn:web", backfill: "old" as string | null },
  validated: { checked: true, schemaVersion: 2 }, appended: { partition: 3, offset: "41", partitionKey: "t:u" }, repetitions: [{ ...EVENT, offset: "44" }], repetitionsTruncated: true,
  windows: [
    MADE, { ...MADE, projection: "late", outcome: "APPLIED", lateByMs: 61_000 }, { ...MADE, projection: "held", outcome: "HELD", lateByMs: 8 * 86_400_000 }, { ...MADE, projection: "released", outcome: "APPLIED", lateByMs: 8 * 86_400_000, wasHeld: true, release: { offset: "50", at: START, actor: "tm_admin", reason: "came back" } },
    { ...NOWHERE, projection: "dead", outcome: "DEAD_LETTER", code: "EXPRESSION", pointer: "/data/amount" }, { ...NOWHERE, projection: "other", outcome: "FILTERED" }
  ]
}
let stored: typeof JOURNEY | null = JOURNEY
let refused: object[] = []
const asked: unknown[] = []
const server = createServer((req, res) => {
  let body = ""
  req.on("data", (chunk) => (body += String(chunk)))
  req.on("end", () => {
    const { query, variables } = JSON.parse(body) as { query: string; variables: unknown }
    asked.push(variables)
    const data = query.includes("rejectedEvents") ? { rejectedEvents: { edges: refused.map((node) => ({ node })) } } : { event: stored }
    res.setHeader("content-type", "application/json").end(JSON.stringify({ data }))
  })
})
beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)))
afterAll(() => new Promise((resolve) => server.close(resolve)))

const run = async (...argv: string[]) => {
  const [data, notes]: [string[], string[]] = [[], []]
  const exitCode = await runProgram(["event", "show", ...argv], {
    environment: { TIDEMARK_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, TIDEMARK_READ_KEY: "a-read-key-of-the-specification", TIDEMARK_DATA_DIR: "/nowhere" },
    output: { data: (line) => data.push(line), note: (line) => notes.push(line) },
    readStdin: async () => "", explain: () => [], logs: () => { throw new Error("not asked for") }
  })
  return { exitCode, out: data.join("\n"), notes: notes.join("\n") }
}

describe("tidemark event show", () => {
  it("tells how it came in, and what every projection made of it", async () => {
    const { exitCode, out } = await run("e-1")
    expect(exitCode).toBe(0)
    expect(out.split("\n")).toEqual([
      `${START}  3/41  page.viewed  e-1  {"page":"/\\u202e"}`,
      `happened   ${START}, sent as 2026-03-01T00:00:09.000Z: corrected`,
      "received   2026-03-01T00:00:01.000Z from urn:web, import old",
      "validated  by version 2 of the schema of page.viewed",
      "appended   3/41, partition key t:u",
      `released   3/50, ${START} by tm_admin: came back`,
      `again      3/44, ${START}`,
      "again      more often than is listed",
      "PROJECTION  GEN  OUTCOME                               WINDOW (UTC)              KEY  ADDED    EVENTS THERE NOW",
      `page-views  2    counted                               ${START}  /    views 1  minute 3 final · hour 70 revised`,
      `late        2    counted, late by 1 min 1 s            ${START}  /    views 1  minute 3 final · hour 70 revised`,
      `held        2    held, late by 8 d                     ${START}  /    views 1  minute 3 final · hour 70 revised`,
      `released    2    counted by hand at 3/50, late by 8 d  ${START}  /    views 1  minute 3 final · hour 70 revised`,
      "dead        2    dead letter EXPRESSION /data/amount   –                         –    –        –",
      "other       2    filtered                              –                         –    –        –"
    ])
  })

  it("is one JSON document with --json, takes a place, and refuses what is none", async () => {
    expect(JSON.parse((await run("e-1", "--json", "--at", "3/41")).out)).toEqual(JOURNEY)
    expect(asked.at(-1)).toEqual({ id: "e-1", at: { partition: 3, offset: "41" } })
    expect(await run("e-1", "--at", "3-41")).toMatchObject({ exitCode: 2, notes: expect.stringContaining("PARTITION/OFFSET") as string })
  })

  it("ends with 1 when there is no such event, and says why when it was refused", async () => {
    stored = null
    expect(await run("e-1")).toMatchObject({ exitCode: 1, out: "", notes: expect.stringContaining("No event with id e-1") as string })
    refused = [{ receivedAt: START, code: "schema", pointer: "/data/page", detail: "expected text, got number", body: '{"page":1}' }]
    expect(await run("e-1")).toMatchObject({ exitCode: 1, out: `received   ${START}  {"page":1}\nrefused    schema /data/page: expected text, got number`, notes: expect.stringContaining("was refused") as string })
    expect(JSON.parse((await run("e-1", "--json")).out)).toEqual({ refused })
    refused = []
    stored = JOURNEY
  })
})
