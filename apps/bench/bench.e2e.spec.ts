import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"

const main = fileURLToPath(new URL("./dist/main.js", import.meta.url))

interface Printed {
  readonly name: string
  readonly conditions: Readonly<Record<string, string | number>>
  readonly rows: readonly Readonly<Record<string, string | number>>[]
}

/** Runs the built benchmark; its JSON, whose numbers must all be finite. */
const run = (name: string, ...argv: readonly string[]): Printed & Readonly<Record<string, unknown>> => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, name, ...argv, "--json"], { encoding: "utf8", timeout: 170_000 })
  expect([status, stderr]).toEqual([0, ""])
  const printed = JSON.parse(stdout) as Printed & Record<string, unknown>
  expect(printed).toMatchObject({ name, conditions: { node: process.version } })
  expect(printed.rows.length).toBeGreaterThan(0)
  for (const row of printed.rows) for (const [field, value] of Object.entries(row)) expect(value, `${field} of ${JSON.stringify(row)}`).not.toBeNull()
  return printed
}

describe("a benchmark of tiny size", () => {
  it("says what batches and single events cost to take in", () => {
    const { rows, ...figures } = run("ingest", "--runs", "1", "--seconds", "1", "--loads", "10@20,10-1@20,1x2")
    expect(rows.map(({ load, sent }) => [load, sent])).toEqual([["batches of 10", "20 requests/s"], ["batches of 10, 1 refused", "20 requests/s"], ["single events", "on 2 connections"]])
    for (const row of rows) expect(row["eventsPerSecond"]).toBeGreaterThan(0)
    expect(figures).toMatchObject({ eventsPerSecond: rows[0]?.["eventsPerSecond"], ackP99Ms: rows[0]?.["ackP99Ms"] })
  })

  it("says how long an event takes to a subscriber", () => {
    const { rows, ...figures } = run("latency", "--seconds", "1", "--rates", "50")
    expect(rows).toMatchObject([{ "sent/s": 50, events: 50 }])
    expect(figures).toMatchObject({ p50Ms: rows[0]?.["p50Ms"], p95Ms: rows[0]?.["p95Ms"], p99Ms: rows[0]?.["p99Ms"] })
  })

  it("says how long questions take to be answered", () => {
    const { rows } = run("query", "--events", "2000", "--seconds", "0.2", "--clients", "2")
    expect(rows.map(({ question }) => question)).toEqual(expect.arrayContaining(["series, a day by hours", "top ten pages of six hours", "window, one page and minute"]))
  })

  it("says how fast a log is replayed, with one digest of all runs and threads", () => {
    const { rows, conditions } = run("rebuild", "--events", "3000", "--runs", "1", "--threads", "1,2", "--per-day", "10000000")
    expect(rows.map(({ models, threads }) => [models, threads])).toEqual([["page-views", 1], ["page-views", 2], ["all", 1], ["all", 2]])
    expect(rows[0]?.["digest"]).toBe(rows[1]?.["digest"])
    expect(conditions).toMatchObject({ events: 3_000, "events a day": 10_000_000 })
  })

  it("says what questions as of a moment within an import cost, and refuses none of a small one", () => {
    const { rows } = run("past", "--events", "2000", "--asked", "1")
    expect(rows.map((row) => [row["question"], row["refused as of then"]])).toEqual(expect.arrayContaining([["window, one page and minute", "none"], ["series, 30 days by days", "none"]]))
  })

  it("says what keeping digests costs, of the same rows", () => {
    const { rows, conditions } = run("digests", "--events", "3000", "--pairs", "2", "--models", "page-views")
    expect(rows).toMatchObject([{ models: "page-views" }])
    for (const name of ["cpu µs/event, kept", "left out", "rows/event"]) expect(rows[0]?.[name]).toBeGreaterThan(0)
    expect(conditions).toMatchObject({ events: 3_000, pairs: 2 })
  })

  it("says what live traffic feels of a rebuild, and that what was built equals what is served", () => {
    const { rows, conditions } = run("rebuild-live", "--events", "3000", "--pairs", "1", "--seconds", "1", "--rate", "5")
    expect(rows.map(({ what }) => what)).toEqual(["ingest", "queries"])
    for (const row of rows) expect(row["p99 with / without"]).toBeGreaterThan(0)
    expect(conditions).toMatchObject({ pairs: 1, "rows and digests equal": "1 of 1" })
  }, 180_000)

  it("says what events cost as the log grows", () => {
    const { rows } = run("growth", "--events", "4000", "--steps", "2")
    expect(rows.map(({ events }) => events)).toEqual([2_000, 4_000])
  })
})
