import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { IncomingHttpHeaders, Server } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { gzipSync } from "node:zlib"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { makeClient } from "../client.ts"
import type { Client } from "../client.ts"
import { importFile } from "./importFile.ts"
import type { ImportOptions } from "./toEvents.ts"

interface Request {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

describe("importFile", () => {
  let directory: string
  let server: Server
  let client: Client
  let requests: Request[]
  /** Statuses of the next answers; 200 when there is none. */
  let statuses: number[]

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "tidemark-import-"))
    requests = []
    statuses = []
    server = createServer((req, res) => {
      void text(req).then((body) => {
        requests.push({ headers: req.headers, body })
        const results = body.split("\n").filter((line) => line !== "").map((line) => (line.startsWith('{"unreadable"') ? { status: "rejected", code: "unreadable", detail: "unreadable" } : { status: "accepted" }))
        const count = (status: string) => results.filter((result) => result.status === status).length
        const status = statuses.shift() ?? 200
        res.writeHead(status, { "content-type": "application/json", "retry-after": "0" })
        res.end(JSON.stringify(status === 200 ? { accepted: count("accepted"), duplicate: 0, rejected: count("rejected"), results } : { code: "log-not-writable", detail: "no" }))
      })
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    client = makeClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, key: "k" }, {})
  })
  afterEach(() => {
    server.closeAllConnections()
    server.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const importOf = async (content: string | Buffer, options: Partial<ImportOptions> = {}) => {
    const file = join(directory, "input")
    writeFileSync(file, content)
    const notes: string[] = []
    const report = await importFile(client, file, { format: "ndjson", name: "n", type: "a", ...options }, (note) => notes.push(note))
    return { report, notes }
  }
  const sent = () => requests.map(({ headers, body }) => [Number(headers["tidemark-backfill-line"]), body.split("\n")] as const)

  it("sends the import's name and lines so that each keeps the number it has in the file", async () => {
    const { report, notes } = await importOf('\n{"v":1}\n\n\nnot json\r\n{"v":2}\n', { name: "März 1" })
    expect(requests[0]?.headers).toMatchObject({ authorization: "Bearer k", "content-type": "application/x-ndjson", "tidemark-backfill": "M%C3%A4rz%201", "tidemark-backfill-line": "2" })
    const [[, lines] = [0, []]] = sent()
    expect(lines).toHaveLength(5)
    expect([lines[1], lines[2]]).toEqual(["", ""])
    expect(lines[0]).toContain('"data":{"v":1}')
    expect(JSON.parse(lines[3] ?? "")).toEqual({ unreadable: "not json", reason: expect.stringMatching(/^not JSON/) as string })
    expect(report).toMatchObject({ lines: 3, accepted: 2, rejected: 1, problems: [{ line: 5, code: "unreadable" }] })
    expect(notes).toContainEqual(expect.stringMatching(/^line 5: unreadable: not JSON/))
  })

  it("never sends an unreadable line as an event, whatever it holds", async () => {
    await importOf('{"type":"evil"}\n', { format: "access-log" })
    expect(requests[0]?.body).toBe('{"unreadable":"{\\"type\\":\\"evil\\"}","reason":"not in the combined log format"}')
    await importOf(`${"\u0001".repeat(2_000_000)}\n{"v":1}`)
    expect(requests[1]?.body.split("\n")[0]?.length).toBeLessThan(32_768)
    expect(requests[1]?.body.split("\n")[1]).toContain('"v":1')
  })

  it("splits lines at line feeds only, and tells those that are not UTF-8", async () => {
    await importOf(Buffer.concat([Buffer.from('\ufeff{"v":"a\u2028b"}\n{"v":"'), Buffer.from([0xe9]), Buffer.from('"}\n{"v":"é"}')]))
    const [[, lines] = [0, []]] = sent()
    expect(lines).toHaveLength(3)
    expect(lines[0]).toContain('"v":"a\u2028b"')
    expect(JSON.parse(lines[1] ?? "")).toMatchObject({ reason: "not valid UTF-8 at byte 7 (0xE9): convert it to UTF-8 and try again" })
    expect(lines[2]).toContain('"v":"é"')
  })

  it("keeps batches below 500 lines and the limit in bytes, also of text that is longer in bytes", async () => {
    await importOf(Array.from({ length: 1_001 }, (_, i) => JSON.stringify({ i })).join("\n"))
    expect(sent().map(([first, lines]) => [first, lines.length])).toEqual([[1, 500], [501, 500], [1_001, 1]])
    requests = []
    await importOf(Array.from({ length: 300 }, () => JSON.stringify({ v: "é".repeat(10_000) })).join("\n"))
    for (const { body } of requests) expect(Buffer.byteLength(body)).toBeLessThan(4_194_304)
    expect(requests.length).toBeGreaterThan(2)
    requests = []
    await importOf(`{"v":1}${"\n".repeat(50_000)}{"v":2}`)
    expect(sent()).toMatchObject([[1, { length: 1 }], [50_001, { length: 1 }]])
  })

  it("numbers CSV records by their lines, over several lines and with quotes inside, and keeps one whose quote never closes", async () => {
    const { report } = await importOf('id,note\n1,"two\nlines"\n2,x"y"z\n\n5,"c\n6,d\n', { format: "csv" })
    const records = sent().flatMap(([first, lines]) => lines.flatMap((line, i) => (line === "" ? [] : [[first + i, line] as const])))
    expect(records.filter(([, line]) => !line.startsWith('{"unreadable"')).map(([number, line]) => [number, (JSON.parse(line) as { data: { id: number } }).data.id])).toEqual([[3, 1], [4, 2]])
    expect(report).toMatchObject({ accepted: 2, rejected: 1, problems: [{ line: 7, detail: expect.stringMatching(/^not CSV: Quote Not Closed/) as string }] })
    expect(records.at(-1)).toMatchObject([7, expect.stringContaining('{"unreadable":"5,\\"c\\n6,d","reason":"not CSV') as string])
    await expect(importOf(`id\n"${"x\n".repeat(1_000_000)}`, { format: "csv" })).rejects.toThrow(/Max Record Size/)
  })

  it("waits and repeats when the log is not writable, and says where it stopped when a file breaks off", async () => {
    statuses = [503, 429]
    expect((await importOf('{"v":1}')).report.accepted).toBe(1)
    expect(requests.map(({ body }) => body)).toEqual(Array.from({ length: 3 }, () => requests[0]?.body))
    const broken = gzipSync(Array.from({ length: 20_000 }, () => JSON.stringify({ v: Math.random() })).join("\n")).subarray(0, 100_000)
    await expect(importOf(broken)).rejects.toThrow(/cannot be read beyond line \d+: unexpected end of file/)
    expect(requests.length).toBeGreaterThan(4)
    await expect(importFile(client, directory, { format: "ndjson", name: "n", type: "a" }, () => undefined)).rejects.toThrow(/cannot be read beyond line 0/)
  })
})
