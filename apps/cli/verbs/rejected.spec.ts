/** Rejected verbs against a server that answers what it is told: texts, paging, dry runs and exit codes. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { runProgram } from "../program.ts"

const ENTRY = { id: "entry-1", receivedAt: "2026-03-01T00:00:00.000Z", eventId: "e-1", type: "page.viewed", code: "schema", pointer: "/data/page", detail: "expected string, got number", origin: null as string | null, body: "{}", redrive: null as object | null }
const PAGE = 120
let listed: (typeof ENTRY)[] = []
let sent: { readonly ids: readonly string[]; readonly dryRun: boolean; readonly reason: string; readonly body: string | null }[] = []
const refusal = { code: "schema", pointer: "/data/page", detail: "is required", hint: "send it" }

const server = createServer((req, res) => {
  let body = ""
  req.on("data", (chunk) => (body += String(chunk)))
  req.on("end", () => {
    const { query, variables } = JSON.parse(body) as { query: string; variables: (typeof sent)[number] & { first: number; after: string | null } }
    res.setHeader("content-type", "application/json")
    if (query.startsWith("mutation")) {
      sent.push(variables)
      const entries = variables.ids.map((id) => ({
        id, eventId: `event of ${id}`, verdict: id === "bad" ? "REJECTED" : id === "old" ? "DONE" : "APPEND", place: id !== "bad" && !variables.dryRun ? { partition: 1, offset: "7" } : null, refusal: id === "bad" ? refusal : null
      }))
      return void res.end(JSON.stringify({ data: { redriveRejected: { appended: 0, entries } } }))
    }
    const start = Number(variables.after ?? "0")
    const end = Math.min(listed.length, start + Math.min(variables.first, PAGE))
    res.end(JSON.stringify({ data: { rejectedEvents: { edges: listed.slice(start, end).map((node) => ({ node })), pageInfo: { hasNextPage: end < listed.length, endCursor: String(end) } } } }))
  })
})
beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)))
afterAll(() => new Promise((resolve) => server.close(resolve)))
beforeEach(() => {
  sent = []
  listed = [ENTRY, { ...ENTRY, id: "entry-2", origin: "march:17", pointer: "", redrive: { wasThere: false, place: { partition: 1, offset: "7" } } }, { ...ENTRY, id: "entry-3", code: "time", redrive: { wasThere: true, place: null } }]
})

const run = async (...argv: string[]) => {
  const [data, notes]: [string[], string[]] = [[], []]
  const exitCode = await runProgram(["rejected", ...argv], {
    environment: { TIDEMARK_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, TIDEMARK_ADMIN_KEY: "an-admin-key-of-the-specification", TIDEMARK_DATA_DIR: "/nowhere" },
    output: { data: (line) => data.push(line), note: (line) => notes.push(line) },
    readStdin: async () => '{"type":"t"}', explain: () => [], logs: () => { throw new Error("not asked for") }
  })
  return { exitCode, out: data.join("\n"), notes: notes.join("\n") }
}

describe("tidemark rejected", () => {
  it("lists what was refused and why, and what became of it since, page by page", async () => {
    expect(await run("ls")).toEqual({
      exitCode: 0, notes: "",
      out: [
        "entry-1  2026-03-01T00:00:00.000Z  page.viewed  schema /data/page: expected string, got number  {}",
        "entry-2  2026-03-01T00:00:00.000Z  march:17  schema: expected string, got number  → sent again, at 1/7  {}",
        "entry-3  2026-03-01T00:00:00.000Z  page.viewed  time /data/page: expected string, got number  → was in the log already  {}"
      ].join("\n")
    })
    const first = await run("ls", "--first", "1", "--json")
    expect([JSON.parse(first.out), first.notes]).toMatchObject([{ id: "entry-1" }, "There are more: --after 1"])
    expect((await run("ls", "--after", "1", "--json")).out.split("\n").map((line) => (JSON.parse(line) as typeof ENTRY).id)).toEqual(["entry-2", "entry-3"])
    listed = []
    expect(await run("ls")).toEqual({ exitCode: 0, out: "", notes: "No refused event is kept." })
  })

  it("says what would become of what is sent again, and sends nothing without --yes", async () => {
    const planned = await run("redrive", "entry-1", "old", "--reason", "schema mended")
    expect(planned).toEqual({
      exitCode: 0, notes: "Would append 1 event. Nothing was changed: add --yes to do it.",
      out: ["ENTRY    EVENT             OUTCOME            PLACE  WHY", "entry-1  event of entry-1  would be taken     –      –", "old      event of old      sent again before  –      –"].join("\n")
    })
    expect(sent).toMatchObject([{ dryRun: true, reason: "schema mended", body: null }])
    const done = await run("redrive", "entry-1", "--data", "-", "--reason", "schema mended", "--yes")
    expect([done.exitCode, done.out.split("\n")[1], done.notes]).toEqual([0, "entry-1  event of entry-1  taken    1/7    –", "Appended 1 event."])
    expect(sent.at(-1)).toMatchObject({ dryRun: false, body: '{"type":"t"}' })
  })

  it("sends again with --all what was not yet, the oldest first, a hundred at a time, of one code if wanted", async () => {
    listed = Array.from({ length: 250 }, (_, at) => ({ ...ENTRY, id: `n-${at}`, code: at === 3 ? "time" : "schema", redrive: at === 7 ? {} : null }))
    const { exitCode, out } = await run("redrive", "--all", "--reason", "x", "--yes", "--json")
    expect([exitCode, (JSON.parse(out) as { appended: number }).appended, sent.map(({ ids }) => ids.length), sent[0]?.ids[0]]).toEqual([0, 249, [100, 100, 49], "n-249"])
    sent = []
    await run("redrive", "--all", "--code", "time", "--reason", "x")
    expect(sent.map(({ ids }) => ids)).toEqual([["n-3"]])
    listed = []
    expect(await run("redrive", "--all", "--reason", "x")).toEqual({ exitCode: 0, out: "", notes: "There is nothing to send again." })
  })

  it("ends with 1 when one is refused again, saying why, and with 2 for a question that makes no sense", async () => {
    const refused = await run("redrive", "entry-1", "bad", "--reason", "x", "--yes")
    expect(refused).toMatchObject({ exitCode: 1, notes: "Appended 1 event.\n1 event of 2 is not taken: see the list." })
    expect(refused.out).toMatch(/bad .* refused again .* schema \/data\/page: is required \(send it\)$/)
    for (const wrong of [["entry-1"], ["--reason", "x"], ["entry-1", "--all", "--reason", "x"], ["a", "b", "--data", "{}", "--reason", "x"], ["a", "--code", "time", "--reason", "x"]]) expect((await run("redrive", ...wrong)).exitCode).toBe(2)
  })
})
