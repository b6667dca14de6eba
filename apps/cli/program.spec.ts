/** How command lines end: exit codes, and errors as text or as one JSON document. */
import { existsSync } from "node:fs"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { describe, expect, it } from "vitest"
import { runProgram } from "./program.ts"

type Settings = readonly { readonly name: string; readonly value: string; readonly source: string }[]

const runWith = async (explain: () => Settings, ...argv: string[]) => {
  const lines: { readonly data: string[]; readonly notes: string[] } = { data: [], notes: [] }
  const exitCode = await runProgram(argv, {
    environment: { TIDEMARK_URL: "http://127.0.0.1:1", TIDEMARK_READ_KEY: "a-read-key-of-the-specification", TIDEMARK_DATA_DIR: "/nowhere" },
    output: { data: (line) => lines.data.push(line), note: (line) => lines.notes.push(line) },
    readStdin: async () => "",
    explain,
    logs: () => {
      throw new Error("not asked for")
    }
  })
  return { exitCode, ...lines }
}
const run = (...argv: string[]) => runWith(() => [], ...argv)

describe("a command line that fails", () => {
  it("says so in words", async () => {
    expect(await run("projections", "ls")).toMatchObject({ exitCode: 5, data: [], notes: [expect.stringMatching(/does not answer/)] })
    expect(await run("nonsense")).toMatchObject({ exitCode: 2, data: [], notes: [expect.stringMatching(/^unknown command/), expect.stringContaining("--help")] })
  })

  it("is one JSON document on stderr with --json, wherever the flag stands", async () => {
    for (const [argv, code, exitCode] of [
      [["--json", "projections", "ls"], "unreachable", 5],
      [["nonsense", "--json"], "usage", 2],
      [["--json"], "usage", 2],
      [["--json", "--url", "localhost", "health"], "usage", 2],
      [["import", "no-such-file", "--format", "ndjson", "--json"], "usage", 2],
      [["query", "page-views", "--json"], "usage", 2],
      [["events", "find", "--first", "0", "--json"], "usage", 2]
    ] as const) {
      const { notes, data, exitCode: ended } = await run(...argv)
      expect([ended, data, notes.length], argv.join(" ")).toEqual([exitCode, [], 1])
      expect(JSON.parse(notes[0] ?? "")).toMatchObject({ error: { code, exitCode, message: expect.any(String) } })
    }
  })

  it("says how a key of the tenant is given where there is none", async () => {
    expect(await run("rebuild", "plan", "page-views")).toMatchObject({ exitCode: 2, notes: [expect.stringContaining("set TIDEMARK_ADMIN_KEY, give --key")] })
    expect(await run("--tenant", "shop", "projections", "ls")).toMatchObject({ exitCode: 2, notes: ['No read key for tenant "shop": give --key, or run in the folder that holds .tidemark.'] })
  })

  it("is usage where a setting is wrong, and the doctor finds it", async () => {
    expect(await run("config", "explain")).toMatchObject({ exitCode: 0 })
    const wrong = () => { throw Object.assign(new Error("TIDEMARK_PORT is \"x\": give a number."), { name: "ConfigurationError" }) }
    expect(await runWith(wrong, "config", "explain")).toMatchObject({ exitCode: 2, notes: [expect.stringContaining("give a number")] })
    expect(await runWith(wrong, "doctor")).toMatchObject({ exitCode: 1, data: [expect.stringContaining("✓ node"), '✗ configuration  TIDEMARK_PORT is "x": give a number.'] })
  })

  it("ends well when help is asked for", async () => {
    expect(await run("--help")).toMatchObject({ exitCode: 0, notes: [] })
  })
})

describe("the doctor", () => {
  const settings = (more: Readonly<Record<string, string>>): Settings =>
    Object.entries({ TIDEMARK_MODE: "embedded", TIDEMARK_HOST: "127.0.0.1", TIDEMARK_PORT: "0", TIDEMARK_DATA_DIR: "/tmp/no/such/directory", ...more }).map(([name, value]) => ({ name, value, source: "default" }))

  it("makes nothing where there is no data directory yet", async () => {
    const { exitCode, data } = await runWith(() => settings({}), "doctor")
    expect([exitCode, data]).toEqual([0, [expect.stringContaining("node"), expect.stringContaining("embedded mode"), expect.stringMatching(/^✓ data directory  \/tmp\/no\/such\/directory, made at the first start, [\d.]+ GiB free$/), expect.stringContaining("not running")]])
    expect(existsSync("/tmp/no")).toBe(false)
  })

  it("asks every engine of the distributed mode", async () => {
    const engine = createServer()
    await new Promise<void>((resolve) => engine.listen(0, "127.0.0.1", resolve))
    const { port } = engine.address() as AddressInfo
    const { exitCode, data } = await runWith(() => settings({ TIDEMARK_MODE: "distributed", TIDEMARK_KAFKA_BROKERS: `127.0.0.1:1,127.0.0.1:${port}`, TIDEMARK_POSTGRES_URL: "postgres://tidemark:********@127.0.0.1:1/tidemark" }), "--json", "doctor")
    engine.close()
    expect(exitCode).toBe(1)
    expect(JSON.parse(data[0] ?? "")).toEqual(expect.arrayContaining([
      { name: "TIDEMARK_KAFKA_BROKERS", ok: true, detail: `127.0.0.1:${port} answers` },
      { name: "TIDEMARK_POSTGRES_URL", ok: false, detail: expect.stringMatching(/^postgres:\/\/tidemark:\*+@127\.0\.0\.1:1\/tidemark does not answer/) as string }
    ]))
  })
})
