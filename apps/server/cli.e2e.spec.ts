/** The command line against a real server: what it says and how it ends, with right and wrong arguments. */
import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { runProgram } from "@tidemark/cli/program"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import { KEYS, startProcess } from "./processHarness.ts"
import type { StartedProcess } from "./processHarness.ts"

const MINUTE = "2026-01-31T12:00:00.000Z"
const DAY = ["--from", "2026-01-31", "--to", "2026-02-01"] as const

let directory: string
let server: StartedProcess
let url: string
/** The program in this process: a process for each of them would take most of the time. */
const cliAt = async (place: string, key: string, ...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly notes: string }> => {
  const [data, notes]: [string[], string[]] = [[], []]
  const code = await runProgram(["--url", place, "--key", key, ...args], {
    environment: {}, output: { data: (line) => data.push(line), note: (line) => notes.push(line) }, readStdin: async () => "", explain: () => [],
    logs: () => { throw new Error("not asked for") }
  })
  return { code, out: data.join("\n"), notes: notes.join("\n") }
}
const cli = (...args: readonly string[]) => cliAt(url, KEYS.admin, ...args)

const view = (page: string, second: number) => ({ type: "page.viewed", time: `2026-01-31T12:00:${String(second).padStart(2, "0")}Z`, data: { page } })
const call = (path: string, status: number) => ({ type: "http.request", time: MINUTE, data: { ip: "10.0.0.1", method: "GET", path, query: null, status, bytes: 5, referrer: null, userAgent: null } })

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "tidemark-cli-"))
  server = startProcess(join(directory, "data"))
  const ready = await server.ready
  url = new URL(ready["ingest"] ?? "").origin
  const pages = Array.from({ length: 60 }, (_, i) => view(`/p${i}`, i))
  const history = join(directory, "history.ndjson")
  writeFileSync(history, [...pages, view("/a=1,b", 1), view("/", 2), view("/", 3), call("/x,y", 200), call("/x,y", 404)].map((event) => JSON.stringify(event)).join("\n"))
  expect(await cli("import", history, "--format", "ndjson")).toMatchObject({ code: 0, out: expect.stringContaining("65 accepted") as string })
  await vi.waitFor(async () => {
    const found = JSON.parse((await cli("projections", "ls", "--json")).out) as { readonly lagEvents: string }[]
    expect(found.every(({ lagEvents }) => lagEvents === "0")).toBe(true)
  }, { timeout: 20_000, interval: 200 })
})
afterAll(async () => {
  server.child.kill("SIGTERM")
  await server.exit
  rmSync(directory, { recursive: true, force: true })
})

describe("a query", () => {
  it("says when it shows only a part of the values, and shows all when told", async () => {
    const part = await cli("query", "page-views", "--measure", "views", ...DAY, "--by", "page", "--first", "10")
    expect([part.code, part.out.trim().split("\n").length]).toEqual([0, 11])
    expect(part.out.split("\n")[0]).toMatch(/^WINDOW \(UTC\) +PAGE +VIEWS +EVENTS +STATE$/)
    expect((await cli("query", "page-views", "--measure", "views", ...DAY, "--resolution", "day")).out).toMatch(/^WINDOW \(UTC\) +VIEWS +EVENTS +STATE\n2026-01-31T00:00:00.000Z +63 +63 +\w+$/)
    expect(part.notes).toContain("Only the 10 values of page with the most events are shown")
    const all = await cli("query", "page-views", "--measure", "views", ...DAY, "--by", "page", "--first", "100")
    expect([all.code, all.out.trim().split("\n").length, all.notes]).toEqual([0, 63, expect.not.stringContaining("Only the") as string])
  })

  it("takes several values of a dimension as alternatives, and measures separated by commas", async () => {
    const found = await cli("query", "page-views", "--measure", "views,visitors", ...DAY, "--where", "page=/", "--where", "page=/a=1,b", "--json")
    const { groups } = JSON.parse(found.out) as { groups: { points: { events: string; measures: { name: string }[] }[] }[] }
    expect(groups.flatMap(({ points }) => points).map(({ events, measures }) => [events, measures.map(({ name }) => name)])).toEqual([["3", ["views", "visitors"]]])
  })

  it("can be narrowed by what facets lists: the values of a dimension with their events", async () => {
    const found = await cli("facets", "page-views", "--by", "page", ...DAY, "--text", "/P5", "--first", "3")
    expect(found).toMatchObject({ code: 0, out: expect.stringMatching(/^PAGE +EVENTS\n\/p5 +1\n\/p50 +1\n\/p51 +1$/) as string, notes: expect.stringContaining("Only the 3 values") as string })
    const narrowed = await cli("facets", "requests", "--by", "status", ...DAY, "--where", "path=/x,y", "--json")
    expect(JSON.parse(narrowed.out)).toMatchObject({ values: [{ value: "200", events: "1" }, { value: "404", events: "1" }], truncated: false, exact: true })
    expect(await cli("facets", "page-views", "--by", "page", ...DAY, "--text", "nowhere")).toMatchObject({ code: 0, out: "", notes: expect.stringContaining('No value of page with "nowhere" in it') as string })
    expect(await cli("facets", "page-views", "--by", "colour", ...DAY)).toMatchObject({ code: 2, out: "" })
  })

  it("tells when there is nothing, and ends with 2 where the question is wrong", async () => {
    expect(await cli("query", "page-views", "--measure", "views", "--from", "2020-01-01", "--to", "2020-01-02")).toMatchObject({ code: 0, out: "", notes: expect.stringContaining("No window of page-views has data") as string })
    for (const [args, words] of [
      [["nope", "--measure", "views", ...DAY], /There are: .*page-views.* \(UNKNOWN_PROJECTION\)/],
      [["page-views", "--measure", "nope", ...DAY], /It has: .*views.* \(UNKNOWN_MEASURE\)/],
      [["page-views", "--measure", "views", ...DAY, "--by", "nope"], /It has: page\. \(UNKNOWN_DIMENSION\)/],
      [["page-views", "--measure", "views", "--from", "2026-02-01", "--to", "2026-01-31"], /later than --from/],
      [["page-views", "--measure", "views", "--from", "2026-02-31", "--to", "2026-03-31"], /is no time/],
      [["page-views", "--measure", "views", ...DAY, "--where", "page"], /name=value/],
      [["page-views", ...DAY], /--measure/]
    ] as const) expect(await cli("query", ...args), args.join(" ")).toMatchObject({ code: 2, out: "", notes: expect.stringMatching(words) as string })
  })
})

describe("why", () => {
  it("finds a key by its values or its names, whatever they hold", async () => {
    for (const [projection, key, events] of [["page-views", "/a=1,b", 1], ["page-views", "page=/a=1,b", 1], ["page-views", "/", 2], ["requests", "path=/x,y,status=404", 1], ["requests", "status=200,path=/x,y", 1]] as const) {
      expect(await cli("why", projection, key, "2026-01-31T12:00"), key).toMatchObject({ code: 0, out: expect.stringContaining(`${events} of ${events} events`) as string })
    }
  })

  it("names the window's start, the key's parts, or where to look, where the question is wrong", async () => {
    expect(await cli("why", "page-views", "/", "2026-01-31T12:00:07Z")).toMatchObject({ code: 2, notes: expect.stringContaining(MINUTE) as string })
    expect(await cli("why", "requests", "/x", MINUTE)).toMatchObject({ code: 2, notes: expect.stringContaining("path=…,status=…") as string })
    expect(await cli("why", "requests", "nope=/x,status=200", MINUTE, "--json")).toMatchObject({ code: 1 })
    expect(await cli("why", "page-views", "/nowhere", MINUTE)).toMatchObject({ code: 1, notes: expect.stringContaining("tidemark query page-views") as string })
  })
})

describe("events and what became of them", () => {
  it("are found by user, text and field; nothing is found by an empty user", async () => {
    expect((await cli("events", "find", "--where", "data.page=/a=1,b", "--json")).out.trim().split("\n")).toHaveLength(1)
    expect(await cli("events", "find", "--user", "")).toMatchObject({ code: 0, out: "", notes: expect.stringContaining("No event matches") as string })
    expect(await cli("events", "find", "--first", "2")).toMatchObject({ code: 0, notes: expect.stringContaining("raise --first (now 2)") as string })
    expect((await cli("events", "find", "--first", "1000")).out.trim().split("\n")).toHaveLength(65)
  })

  it("were refused with a reason that is said, kept and listed", async () => {
    const refused = await cli("send", "page.viewed", '{"page":7}')
    expect(refused).toMatchObject({ code: 1, out: "", notes: expect.stringMatching(/^\/data\/page: expected string, got number \(schema\)\. Correct the event/) as string })
    const asJson = await cli("--json", "send", "page.viewed", '{"page":7}')
    expect(JSON.parse(asJson.notes)).toMatchObject({ error: { code: "failed", reason: "schema", exitCode: 1 } })
    expect((await cli("rejected", "ls", "--first", "1")).out).toContain("schema /data/page: expected string, got number")
    expect((await cli("rejected", "ls", "--json")).out.trim().split("\n").length).toBeGreaterThan(1)
  })

  it("stand in the projection with its definition", async () => {
    const shown = await cli("projections", "show", "page-views")
    expect(shown).toMatchObject({ code: 0, out: expect.stringMatching(/^page-views\n  generation +1, .*\n  status +live\n(.*\n)*late events: 0\ndead letters: 0$/m) as string })
    expect(JSON.parse((await cli("projections", "show", "requests", "--json")).out)).toMatchObject({ name: "requests", dimensions: ["path", "status"], newestDeadLetters: [] })
    expect(await cli("projections", "show", "nope")).toMatchObject({ code: 2, notes: expect.stringContaining("projections ls") as string })
  })
})

describe("a rebuild", () => {
  it("of no projection is usage, and without one the verbs say how to begin", async () => {
    for (const verb of ["plan", "status", "diff", "cutover", "abort"]) expect(await cli("rebuild", verb, "nope"), verb).toMatchObject({ code: 2, out: "", notes: expect.stringContaining("no projection") as string })
    expect(await cli("rebuild", "status", "requests")).toMatchObject({ code: 0, out: "", notes: "No rebuild of requests was ever started." })
    expect(await cli("rebuild", "cutover", "requests", "--yes")).toMatchObject({ code: 1, notes: "No rebuild of requests can be cut over: none was ever started. A new one: tidemark rebuild plan requests" })
  })
})

describe("a wrong key or address", () => {
  const VERBS = [["send", "page.viewed", "{}"], ["tail"], ["events", "find"], ["projections", "ls"], ["log", "info"], ["verify"], ["verify", "--full"], ["rebuild", "plan", "page-views"]] as const

  it.each(VERBS.map((args) => ({ name: args.join(" "), args })))("is told by: $name", async ({ args }) => {
    const { code, out, notes } = await cliAt(url, "no-key-of-this-server-0123456789", ...args)
    expect([code, out]).toEqual([1, ""])
    expect(notes).toMatch(/key.* with --key/)
    const away = await cliAt("http://127.0.0.1:9", KEYS.admin, "--json", ...args)
    expect(away.code).toBe(5)
    expect(JSON.parse(away.notes.trim().split("\n").at(-1) ?? "")).toMatchObject({ error: { code: "unreachable", exitCode: 5 } })
  })

  it("is usage when it is no address, and unreachable when something else answers there", async () => {
    expect(await cliAt("localhost:4000", KEYS.admin, "health")).toMatchObject({ code: 2, notes: expect.stringContaining("http://127.0.0.1:4000") as string })
    const other = createServer((_req, res) => res.end("<html>"))
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve))
    try {
      const place = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
      for (const args of [["health"], ["projections", "ls"], ["log", "info"]]) expect(await cliAt(place, KEYS.admin, ...args)).toMatchObject({ code: 5, notes: expect.stringContaining("is not Tidemark") as string })
      expect(await cliAt(`${url}/graphql`, KEYS.admin, "health")).toMatchObject({ code: 5, notes: expect.stringContaining("is not Tidemark") as string })
    } finally {
      other.close()
    }
  })
})

describe("streams", () => {
  const start = (...args: readonly string[]) => spawn(process.execPath, [fileURLToPath(new URL("../cli/bin/tidemark.mjs", import.meta.url)), "--url", url, "--key", KEYS.admin, ...args], { env: { PATH: process.env["PATH"] ?? "" }, stdio: ["pipe", "pipe", "pipe"] })

  it("end well when the reader stops early", async () => {
    const child = start("events", "find", "--first", "1000")
    child.stdout.once("data", () => child.stdout.destroy())
    expect(await new Promise((resolve) => child.once("close", resolve))).toBe(0)
  })

  it("import what comes on standard input", async () => {
    const child = start("import", "-", "--format", "ndjson", "--name", "piped", "--json")
    child.stdin.end('{"type":"piped.in","data":{"n":1}}\n{"type":"piped.in","data":{"n":2}}\n')
    let out = ""
    child.stdout.on("data", (chunk) => (out += String(chunk)))
    expect(await new Promise((resolve) => child.once("close", resolve))).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ name: "piped", lines: 2, accepted: 2 })
  })

  it("keep out of standard input what is not UTF-8, by its line and with its reason, and send no event of it", async () => {
    const fed = (input: Buffer, ...args: readonly string[]): Promise<{ readonly code: unknown; readonly out: string; readonly notes: string }> => {
      const child = start(...args)
      let [out, notes] = ["", ""]
      child.stdout.on("data", (chunk) => (out += String(chunk)))
      child.stderr.on("data", (chunk) => (notes += String(chunk)))
      child.stdin.end(input)
      return new Promise((resolve) => child.once("close", (code) => resolve({ code, out, notes })))
    }
    const rows = await fed(Buffer.from("name\ncafé\ncaf\xe9\n", "latin1"), "import", "-", "--format", "csv", "--type", "latin.row", "--name", "latin")
    expect([rows.code, rows.notes]).toEqual([1, expect.stringMatching(/^line 2: .*\nline 3: unreadable: not valid UTF-8 at byte 4 \(0xE9\): convert it to UTF-8 and try again\n/) as string])
    const mixed = await fed(Buffer.concat([Buffer.from("name\ncafé\n"), Buffer.from("caf\xe9\n", "latin1")]), "import", "-", "--format", "csv", "--type", "latin.row", "--name", "mixed", "--json")
    expect([mixed.code, JSON.parse(mixed.out)]).toEqual([0, expect.objectContaining({ lines: 2, accepted: 1, rejected: 1, problems: [{ line: 3, code: "unreadable", detail: "not valid UTF-8 at byte 4 (0xE9): convert it to UTF-8 and try again" }] })])
    expect((await cli("rejected", "ls", "--json")).out).toContain("not valid UTF-8 at byte 4 (0xE9)")
    expect(await fed(Buffer.from('{"name":"caf\xe9"}', "latin1"), "send", "latin.row", "-")).toEqual({ code: 2, out: "", notes: "Standard input is not valid UTF-8 at byte 13 (0xE9): convert it to UTF-8 and try again.\n" })
  })

  it("tail waits for events, prints them as they come, and ends on an interrupt", async () => {
    const child = start("tail", "--type", "tailed.one", "--json")
    let [out, notes] = ["", ""]
    child.stdout.on("data", (chunk) => (out += String(chunk)))
    child.stderr.on("data", (chunk) => (notes += String(chunk)))
    await expect.poll(() => notes, { timeout: 10_000 }).toContain("Waiting for events")
    await expect.poll(async () => {
      await cli("send", "tailed.one", '{"n":1}')
      return out
    }, { timeout: 10_000 }).toContain('"tailed.one"')
    child.kill("SIGINT")
    expect(await new Promise((resolve) => child.once("close", (code, signal) => resolve(code ?? signal)))).toBe("SIGINT")
  })
})

describe("an import that cannot be right", () => {
  const fileOf = (name: string, content: string): string => {
    const path = join(directory, name)
    writeFileSync(path, content)
    return path
  }

  it("ends with 2 and says what to do", async () => {
    const rows = fileOf("rows.csv", "a\n1\n")
    const [folder, broken, list] = [join(directory, "folder"), fileOf("broken.yaml", "a: ["), fileOf("list.yaml", "- 1\n")]
    mkdirSync(folder)
    for (const [args, words] of [
      [[folder, "--format", "csv"], /is a directory/], [[rows, "--format", "csv"], /needs --type/], [[`${rows}.no`, "--format", "csv"], /There is no file/],
      [["-", "--format", "ndjson"], /--name/], [[rows, "--format", "csv", "--type", "a", "--name", ""], /1 to 128 bytes/],
      [[rows, "--format", "csv", "--type", "a", "--map", broken], /^The map .*broken\.yaml cannot be read: [^\n]+$/], [[rows, "--format", "csv", "--type", "a", "--map", list], /is not one/], [[rows, "--format", "csv", "--type", "a", "--map", "/nowhere.yaml"], /cannot be read: ENOENT/],
      ...(["--time-field", "--user-field", "--id-field", "--map"] as const).map((flag) => [[rows, "--format", "access-log", flag, "a"], new RegExp(`${flag} has no meaning with --format access-log`)] as const),
      [[rows, "--format", "ndjson", "--time-unit", "s"], /--time-unit needs --time-field/], [[rows, "--format", "ndjson", "--time-field", "a", "--time-unit", "h"], /Allowed choices are ms, s/],
      [[fileOf("twice.csv", "a,b,a\n1,2,3\n"), "--format", "csv", "--type", "a"], /The header names the column `a` twice/]
    ] as const) expect(await cli("import", ...args), args.join(" ")).toMatchObject({ code: 2, out: "", notes: expect.stringMatching(words) as string })
  })

  it("ends with 1 when every line was refused, names the first ones only and keeps them all", async () => {
    const lines = fileOf("wrong.log", Array.from({ length: 50 }, (_, i) => `line ${i}`).join("\n"))
    const { code, out, notes } = await cli("import", lines, "--format", "access-log")
    expect([code, out]).toEqual([1, expect.stringContaining("50 lines, 0 accepted, 0 already there, 50 rejected") as string])
    expect(notes.match(/^line \d+: unreadable/gm)).toHaveLength(20)
    expect(notes).toContain("Every line was refused: is --format access-log right?")
  })

  it("sets time, user, id and data of lines that have a type of their own, in place of what they have", async () => {
    const file = fileOf("own.ndjson", '{"type":"own.one","id":"a","time":"2026-02-01T00:00:00Z","at":1577836800,"who":"u9","key":"own-1","data":{"v":1}}\n')
    const { code, out, notes } = await cli("import", file, "--format", "ndjson", "--time-field", "at", "--time-unit", "s", "--user-field", "who", "--id-field", "key", "--map", fileOf("own.yaml", "w: data.v\n"))
    expect([code, out, notes]).toEqual([0, expect.stringContaining("1 lines, 1 accepted, 0 already there, 0 rejected") as string, expect.not.stringContaining("line 1") as string])
    const shown = await cli("event", "show", "own-1")
    expect(shown.out).toMatch(/2020-01-01T00:00:00/)
    expect(shown.out).toContain("u9")
  })

  it("refuses lines without the time that was named: now would be a wrong one", async () => {
    const file = fileOf("times.ndjson", '{"at":"2026-01-01T00:00:00Z","v":1}\n{"v":2}\n')
    const { code, out, notes } = await cli("import", file, "--format", "ndjson", "--type", "timed.one", "--time-field", "at")
    expect([code, out]).toEqual([0, expect.stringContaining("2 lines, 1 accepted, 0 already there, 1 rejected") as string])
    expect(notes).toContain("line 2: unreadable: no time at at, which --time-field names")
  })
})
