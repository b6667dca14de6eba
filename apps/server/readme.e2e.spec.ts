/** The commands of the README, typed exactly, against a real server. */
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import { KEYS, startProcess } from "./processHarness.ts"
import type { StartedProcess } from "./processHarness.ts"

const ROOT = fileURLToPath(new URL("../..", import.meta.url))
/** First cells of the table's rows. */
const COMMANDS = [...readFileSync(join(ROOT, "README.md"), "utf8").matchAll(/^\| `(npx tidemark [^`]+)` \|/gm)].map(([, command = ""]) => command)

let directory: string
let server: StartedProcess
let url: string
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "tidemark-readme-"))
  server = startProcess(directory)
  url = new URL((await server.ready)["ingest"] ?? "").origin
})
afterAll(async () => {
  server.child.kill("SIGTERM")
  await server.exit
  rmSync(directory, { recursive: true, force: true })
})

/** In a shell in the repository, as somebody types it; `npx` would only look for the same program. */
const type = (command: string): Promise<{ readonly code: number | null; readonly out: string; readonly notes: string }> =>
  new Promise((resolve) => {
    const line = command.replace(/^npx tidemark/, `'${process.execPath}' apps/cli/bin/tidemark.mjs`)
    const child = spawn("sh", ["-c", line], { cwd: ROOT, env: { PATH: process.env["PATH"] ?? "", TIDEMARK_URL: url, TIDEMARK_ADMIN_KEY: KEYS.admin }, stdio: ["ignore", "pipe", "pipe"] })
    let [out, notes] = ["", ""]
    child.stdout.on("data", (chunk) => (out += String(chunk)))
    child.stderr.on("data", (chunk) => (notes += String(chunk)))
    child.on("close", (code) => resolve({ code, out, notes }))
  })

describe("the README", () => {
  it("names commands that work as they are typed, one after the other", async () => {
    expect(COMMANDS.length).toBeGreaterThanOrEqual(8)
    for (const command of COMMANDS) {
      // What was just sent is folded a moment later.
      const isQuestion = /^npx tidemark (query|why|changes) /.test(command)
      const answer = await vi.waitFor(async () => {
        const found = await type(command)
        if (isQuestion) expect([found.code, found.out], command).toEqual([0, expect.stringMatching(/\S/)])
        return found
      }, { timeout: 30_000, interval: 500 })
      expect([command, answer.code, answer.out], answer.notes).toEqual([command, 0, expect.stringMatching(/\S/)])
    }
  }, 120_000)
})
