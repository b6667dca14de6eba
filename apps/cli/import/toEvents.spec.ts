import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { parseAccessLogLine } from "./accessLog.ts"
import type { ImportLine, ImportOptions } from "./toEvents.ts"
import { toEvents } from "./toEvents.ts"

describe("an access log line", () => {
  it("keeps the path without its query and turns the local time to UTC", () => {
    const entry = parseAccessLogLine('1.2.3.4 - - [17/May/2015:10:05:03 +0200] "GET /a/b?x=1&y HTTP/1.1" 200 203023 "http://x.org/" "Agent \\"7\\""')
    expect(entry).toEqual({
      time: "2015-05-17T08:05:03.000Z",
      data: { ip: "1.2.3.4", method: "GET", path: "/a/b", query: "x=1&y", status: 200, bytes: 203023, referrer: "http://x.org/", userAgent: 'Agent "7"' }
    })
  })

  it("reads a dash as null, never as 0", () => {
    const entry = parseAccessLogLine('::1 - bob [01/Jan/2020:00:00:00 +0000] "-" 408 - "-" "-"')
    expect(entry?.data).toEqual({ ip: "::1", method: null, path: null, query: null, status: 408, bytes: null, referrer: null, userAgent: null })
  })

  it("is refused when it is cut off", () => {
    expect(parseAccessLogLine('1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 203023 "http://x.org/" "Mozi')).toBeUndefined()
  })
})

describe("an import", () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tidemark-import-"))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  const lines = async (content: string | Buffer, options: Partial<ImportOptions>): Promise<ImportLine[]> => {
    const file = join(directory, "input")
    writeFileSync(file, content)
    const result: ImportLine[] = []
    for await (const line of toEvents(file, { format: "ndjson", name: "n", ...options }, () => undefined)) result.push(line)
    return result
  }

  it("splices a line's JSON into data as it stands, so that no digit changes", async () => {
    const [line] = await lines('{"t":"2020-01-01T00:00:00Z","n":9007199254740993,"u":"é"}\n', { type: "x.y", timeField: "t", userField: "u" })
    expect(line?.body).toContain('"data":{"t":"2020-01-01T00:00:00Z","n":9007199254740993,"u":"é"}')
    expect(JSON.parse(line?.body ?? "")).toMatchObject({ type: "x.y", time: "2020-01-01T00:00:00Z", userId: "é" })
  })

  it("makes the same ids for the same import and others for another name or line number", async () => {
    const ids = async (name: string, content: string) => (await lines(content, { name, type: "x.y" })).map((line) => (JSON.parse(line.body) as { id: string }).id)
    const first = await ids("a", '{"v":1}\n{"v":1}\n')
    expect(new Set(first).size).toBe(2)
    expect(await ids("a", '{"v":1}\n{"v":1}\n')).toEqual(first)
    expect(await ids("b", '{"v":1}\n{"v":1}\n')).not.toEqual(first)
  })

  it("reads gzip by its first bytes and reports an unreadable line by number without losing the others", async () => {
    const result = await lines(gzipSync('{"v":1}\nnot json\n\n{"v":2}\n'), { type: "x.y" })
    expect(result.map((line) => line.number)).toEqual([1, 2, 4])
    expect(JSON.parse(result[1]?.body ?? "")).toEqual({ unreadable: "not json", reason: result[1]?.problem })
    expect(result[1]?.problem).toMatch(/not JSON/)
  })

  it("reads CSV with types, nested targets by a map, and time and user fields", async () => {
    const map = new Map([["order.id", "id"], ["amount", "amount"]])
    const [line] = await lines("id,amount,ts,who\nA-1,12.50,2024-01-04 10:00:00,u1\n", { format: "csv", type: "order.paid", timeField: "ts", userField: "who", map })
    expect(JSON.parse(line?.body ?? "")).toMatchObject({ type: "order.paid", time: "2024-01-04T10:00:00Z", userId: "u1", data: { order: { id: "A-1" }, amount: "12.50" } })
  })
})
