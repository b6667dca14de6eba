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

  it("with a virtual host before it keeps that apart from the client", () => {
    const rest = '- - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 1 "-" "-"'
    expect(parseAccessLogLine(`www.example.com:80 1.2.3.4 ${rest}`)?.data).toMatchObject({ vhost: "www.example.com:80", ip: "1.2.3.4" })
    expect(parseAccessLogLine(`[2001:db8::1]:443 ::1 ${rest}`)?.data).toMatchObject({ vhost: "[2001:db8::1]:443", ip: "::1" })
    for (const ip of ["::1", "fe80::1:80", "host.example.com"]) {
      const data = parseAccessLogLine(`${ip} ${rest}`)?.data
      expect([data?.ip, data !== undefined && "vhost" in data]).toEqual([ip, false])
    }
    expect(parseAccessLogLine(`1.2.3.4:5678 ${rest}`)).toBeUndefined()
  })

  it("is refused when its time does not exist", () => {
    const timed = (time: string) => parseAccessLogLine(`1.2.3.4 - - [${time}] "GET /a HTTP/1.1" 200 1`)?.time
    expect(timed("29/Feb/2020:23:59:59 -0330")).toBe("2020-03-01T03:29:59.000Z")
    for (const time of ["31/Feb/2020:25:61:61 +0000", "29/Feb/2019:00:00:00 +0000", "00/Jan/2020:00:00:00 +0000", "01/Jan/2020:24:00:00 +0000", "01/Jan/2020:00:60:00 +0000", "01/Jan/2020:00:00:60 +0000", "01/Foo/2020:00:00:00 +0000", "01/Jan/2020:00:00:00 +2400"]) expect(timed(time), time).toBeUndefined()
  })

  it("keeps a target with spaces whole", () => {
    const target = (request: string) => {
      const { method, path, query } = parseAccessLogLine(`1.2.3.4 - - [17/May/2015:10:05:03 +0000] "${request}" 200 1`)?.data ?? {}
      return [method, path, query]
    }
    expect(target("GET /a b?x HTTP/1.1")).toEqual(["GET", "/a b", "x"])
    expect(target("GET /a HTTP/x b?q=1 2 HTTP/1.1")).toEqual(["GET", "/a HTTP/x b", "q=1 2"])
    expect(target("GET /a b")).toEqual(["GET", "/a b", null])
    expect(target("GET HTTP/1.1")).toEqual(["GET", null, null])
    expect(target("GET")).toEqual([null, null, null])
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

  it("refuses a line or row that is not UTF-8, whole, by its number and with the byte, whatever the format", async () => {
    const wrong = (before: string, after: string) => Buffer.concat([Buffer.from(before), Buffer.from([0xe9]), Buffer.from(after)])
    const request = (path: string) => `1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET ${path} HTTP/1.1" 200 1 "-" "-"\n`
    const [before = "", after = ""] = request("/|").split("|")
    const fault = (at: number) => `not valid UTF-8 at byte ${at} (0xE9): convert it to UTF-8 and try again`
    const told = async (content: Buffer, options: Partial<ImportOptions>) => (await lines(content, options)).map(({ number, problem, body }) => [number, problem, /"unreadable":"([^,"]*)/.exec(body)?.[1]])
    const log = Buffer.concat([Buffer.from(request("/é")), wrong(before, after), Buffer.from(request("/\ufffd"))])
    expect(await told(log, { format: "access-log" })).toEqual([[1, undefined, undefined], [2, fault(before.length + 1), before.replace(/".*/, "\\")], [3, undefined, undefined]])
    expect(await told(wrong('{"v":"\ufffdé', '"}\n{"v":1}\n'), { type: "x.y" })).toEqual([[1, fault(12), "{\\"], [2, undefined, undefined]])
    const csv = gzipSync(wrong('\ufeffnäme,wert\n"a\nü",1\n\n"ü', '",2\nà,3\n'))
    expect(await told(csv, { format: "csv", type: "x.y" })).toEqual([[3, undefined, undefined], [5, fault(4), "\\"], [6, undefined, undefined]])
    expect((await lines(csv, { format: "csv", type: "x.y" })).map(({ body }) => (JSON.parse(body) as { data?: unknown }).data)).toEqual([{ näme: "a\nü", wert: 1 }, undefined, { näme: "à", wert: 3 }])
    await expect(lines(wrong("n", "me,wert\na,1\n"), { format: "csv", type: "x.y" })).rejects.toMatchObject({ message: `The header is ${fault(2)}.`, exitCode: 2 })
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

  const bodies = async (content: string, options: Partial<ImportOptions>) => (await lines(content, options)).map((line) => ({ ...(JSON.parse(line.body) as { id?: string; time?: unknown }), problem: line.problem }))

  it("refuses a CSV row with more or fewer cells than the header, whole and by its line", async () => {
    const result = await lines("time,symbol,count,price\n2020-05-01T00:00:00Z,QQQ,1,234.00,o2\nt,QQQ,1,2\nt,\"Q\nQ\",1\n\n   \nt\n", { format: "csv", type: "x.y" })
    expect(result.map(({ number, problem }) => [number, problem])).toEqual([
      [2, "has 5 cells, the header has 4"], [3, undefined], [5, "has 3 cells, the header has 4"], [8, "has 1 cell, the header has 4"]
    ])
    expect(JSON.parse(result[0]?.body ?? "")).toEqual({ unreadable: "2020-05-01T00:00:00Z,QQQ,1,234.00,o2", reason: "has 5 cells, the header has 4" })
    expect(JSON.parse(result[2]?.body ?? "")).toMatchObject({ unreadable: 't,"Q\nQ",1' })
  })

  it("ends where a CSV header names a column twice: one of them would be lost", async () => {
    await expect(lines("id,amount,id\n1,2,3\n", { format: "csv", type: "x.y" })).rejects.toMatchObject({ message: expect.stringContaining("names the column `id` twice") as string, exitCode: 2 })
    await expect(lines("a,,b,\n1,2,3,4\n", { format: "csv", type: "x.y" })).rejects.toMatchObject({ exitCode: 2 })
  })

  it("makes the id of a CSV row from the row as it is in the file, whatever the map and the line ends", async () => {
    const ids = async (content: string, options: Partial<ImportOptions> = {}) => (await bodies(content, { format: "csv", type: "x.y", ...options })).map(({ id }) => id)
    const first = await ids('a,b\n1,2\n\n1,"2"\n')
    expect(new Set(first).size).toBe(2)
    expect(await ids('a,b\n1,2\n\n1,"2"\n', { map: new Map([["v", "b"]]) })).toEqual(first)
    expect(await ids('a,b\r\n1,2\r\n\r\n1,"2"')).toEqual(first)
    expect(await ids('a,b\n1,3\n\n1,"2"\n')).not.toEqual(first)
  })

  it("takes time, user and id from the named fields of lines that have a type of their own, and changes no digit of data", async () => {
    const line = '{"type":"page.viewed","at":"2020-01-01 00:00:00","who":7,"key":"k1","time":"2026-01-01T00:00:00Z","data":{"n":9007199254740993}} '
    const [read] = await lines(line, { timeField: "at", userField: "who", idField: "key" })
    expect(read?.body).toContain('"data":{"n":9007199254740993}')
    expect(JSON.parse(read?.body ?? "")).toMatchObject({ type: "page.viewed", time: "2020-01-01T00:00:00Z", userId: "7", id: "k1" })
    expect(read?.body.match(/"(?:time|id|userId)":/g)).toHaveLength(3)
    const [mapped] = await bodies(line, { map: new Map([["page", "key"]]) })
    expect(mapped).toMatchObject({ type: "page.viewed", data: { page: "k1" }, time: "2026-01-01T00:00:00Z" })
    expect((await lines(line, { map: new Map([["page", "key"]]) }))[0]?.body).not.toContain("90071992547409")
    const own = '{"type":"a.b","id":"i","userId":"u","time":"2020-01-01T00:00:00Z"}'
    expect((await lines(own, { timeField: "time", userField: "none", idField: "none" }))[0]?.body).toBe(own)
    expect(await bodies('{"type":"a.b","time":"2020-01-01T00:00:00Z"}', { timeField: "at" })).toMatchObject([{ problem: "no time at at, which --time-field names" }])
  })

  it("refuses a number of --time-field that can only be seconds, unless the unit is said", async () => {
    const timed = async (value: string, timeUnit?: "ms" | "s") =>
      (await bodies(`{"t":${value}}`, { type: "x.y", timeField: "t", ...(timeUnit === undefined ? {} : { timeUnit }) })).map(({ problem, time: read }) => problem ?? read)[0]
    for (const value of ["1590000000", '"1590000000"', "99999999999", "0", "-1"]) expect(await timed(value), value).toMatch(/^looks like seconds; Unix milliseconds are meant/)
    expect([await timed("100000000000"), await timed('"1590000000000"'), await timed("-200000000000")]).toEqual([100_000_000_000, 1_590_000_000_000, -200_000_000_000])
    expect([await timed("1590000000", "s"), await timed("1590000000.123", "s"), await timed('"1590000000.5"', "s"), await timed('"2020-01-01T00:00:00Z"', "s")]).toEqual([1_590_000_000_000, 1_590_000_000_123, 1_590_000_000_500, "2020-01-01T00:00:00Z"])
    expect(await timed("1590000000000", "s")).toMatch(/^looks like milliseconds/)
    expect(await timed("1590000000", "ms")).toBe(1_590_000_000)
    const [row] = await bodies("t\n1590000000\n", { format: "csv", type: "x.y", timeField: "t" })
    expect(row).toMatchObject({ unreadable: "1590000000", problem: expect.stringMatching(/^looks like seconds/) as string })
  })
})
