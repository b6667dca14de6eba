/** How command lines end: exit codes, and errors as text or as one JSON document. */
import { describe, expect, it } from "vitest"
import { runProgram } from "./program.ts"

const run = async (...argv: string[]) => {
  const lines: { readonly data: string[]; readonly notes: string[] } = { data: [], notes: [] }
  const exitCode = await runProgram(argv, {
    environment: { TIDEMARK_URL: "http://127.0.0.1:1", TIDEMARK_READ_KEY: "a-read-key-of-the-specification", TIDEMARK_DATA_DIR: "/nowhere" },
    output: { data: (line) => lines.data.push(line), note: (line) => lines.notes.push(line) },
    readStdin: async () => "",
    explain: () => [],
    logs: () => {
      throw new Error("not asked for")
    }
  })
  return { exitCode, ...lines }
}

describe("a command line that fails", () => {
  it("says so in words", async () => {
    expect(await run("projections", "ls")).toMatchObject({ exitCode: 5, data: [], notes: [expect.stringMatching(/does not answer/)] })
    expect(await run("nonsense")).toMatchObject({ exitCode: 2, data: [], notes: [expect.stringMatching(/unknown command/)] })
  })

  it("is one JSON document on stderr with --json, wherever the flag stands", async () => {
    for (const [argv, code, exitCode] of [
      [["--json", "projections", "ls"], "unreachable", 5],
      [["nonsense", "--json"], "usage", 2],
      [["import", "no-such-file", "--format", "ndjson", "--json"], "usage", 2],
      [["query", "page-views", "--json"], "usage", 2],
      [["events", "find", "--first", "0", "--json"], "usage", 2]
    ] as const) {
      const { notes, data, exitCode: ended } = await run(...argv)
      expect([ended, data, notes.length], argv.join(" ")).toEqual([exitCode, [], 1])
      expect(JSON.parse(notes[0] ?? "")).toMatchObject({ error: { code, exitCode, message: expect.any(String) } })
    }
  })

  it("ends well when help is asked for", async () => {
    expect(await run("--help")).toMatchObject({ exitCode: 0, notes: [] })
  })
})
