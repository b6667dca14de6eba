/** Server processes of one specification, on a directory that goes with it. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach } from "vitest"
import { startProcess } from "./processHarness.ts"
import type { Program, StartedProcess } from "./processHarness.ts"

/** A directory of its own for each specification, removed after it together with every process started in it. */
export const useProcesses = (name: string): { readonly directory: () => string; readonly start: (environment?: Readonly<Record<string, string>>, dataDir?: string, program?: Program) => StartedProcess } => {
  let directory = ""
  let started: StartedProcess[] = []
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), `tidemark-${name}-`))
    started = []
  })
  afterEach(async () => {
    for (const { child, exit } of started) {
      child.kill("SIGKILL")
      await exit
    }
    rmSync(directory, { recursive: true, force: true })
  })
  const start = (environment: Readonly<Record<string, string>> = {}, dataDir = directory, program: Program = "server"): StartedProcess => {
    const one = startProcess(dataDir, environment, program)
    started.push(one)
    return one
  }
  return { directory: () => directory, start }
}
