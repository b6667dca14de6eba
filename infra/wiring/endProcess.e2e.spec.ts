import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach, beforeEach, describe, expect, it } from "vitest"

/** A thread that is inside a write transaction nearly always, and a process that ends by `how` meanwhile. On the built code. */
const program = (directory: string, how: string): string => `
  import { Worker } from "node:worker_threads"
  import { endProcess } from "./dist/unsynced.js"
  const worker = new Worker(\`
    import { parentPort } from "node:worker_threads"
    import { openModelStores } from "@tidemark/infra-embedded/modelStores"
    const { root } = openModelStores(${JSON.stringify(directory)})
    setInterval(() => root.transactionSync(() => {
      parentPort.postMessage("inside")
      for (const untilMs = Date.now() + 40; Date.now() < untilMs;) root.putSync(["k"], "v")
    }), 0)
  \`, { eval: true })
  worker.once("message", () => setTimeout(() => { ${how} }, 100))
`

const LATE_MS = 15_000

describe("the end of a process with a thread inside a write transaction", () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tidemark-end-"))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  /** Exit code, or "late". */
  const run = async (how: string): Promise<number | string | null> => {
    const child = spawn(process.execPath, ["--input-type=module", "-e", program(directory, how)], { cwd: fileURLToPath(new URL(".", import.meta.url)), stdio: ["ignore", "inherit", "inherit"] })
    const ended = new Promise<number | string | null>((resolve) => child.on("exit", (code, signal) => resolve(code ?? signal)))
    const timer = setTimeout(() => child.kill("SIGKILL"), LATE_MS)
    const code = await ended
    clearTimeout(timer)
    return code
  }

  it("waits for the transaction and keeps its code", async () => {
    for (let attempt = 0; attempt < 3; attempt++) expect(await run("endProcess(74)")).toBe(74)
  }, 60_000)
})
