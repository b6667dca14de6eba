/** The built server as a process of its own on a directory that goes with it, and what it costs the machine. */
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { KEYS, startServer } from "@tidemark/server/crash/serverProcess"
import { engineVariables, freshNamespace } from "./engineSettings.ts"

export interface ServerUnderTest {
  readonly url: string
  readonly keys: typeof KEYS
  readonly pid: number
  readonly dataDir: string
}

export interface ServerOptions {
  /** Prepares the data directory before the server starts. */
  readonly prepare?: (dataDir: string) => Promise<unknown>
  /** Directory for CPU profiles, one a thread. */
  readonly profileDir?: string | undefined
  /** `distributed` runs on the engines that the environment or \`.tidemark/engines.json\` names, in a namespace of its own. */
  readonly mode?: "embedded" | "distributed"
  /** Further settings. */
  readonly environment?: Readonly<Record<string, string>>
}

/** What a server needs to run in the mode. */
const environmentOf = (mode: "embedded" | "distributed"): Readonly<Record<string, string>> => {
  if (mode === "embedded") return {}
  return { ...engineVariables(), TIDEMARK_MODE: "distributed", TIDEMARK_NAMESPACE: freshNamespace() }
}

/** Starts the server, lets `use` work with it, stops it and removes its data. Throws when it does not end well. */
export const withServer = async <A>({ prepare, profileDir, mode = "embedded", environment = {} }: ServerOptions, use: (server: ServerUnderTest) => Promise<A>): Promise<A> => {
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-bench-"))
  try {
    await prepare?.(dataDir)
    const entry = fileURLToPath(import.meta.resolve("@tidemark/server/main"))
    const profiling = profileDir === undefined ? {} : { command: [process.execPath, "--cpu-prof", "--cpu-prof-dir", profileDir] }
    const server = startServer({ entry, dataDir, environment: { ...environmentOf(mode), ...environment }, ...profiling })
    const stop = () => {
      server.kill("SIGTERM")
      return server.exit
    }
    const result = await server.ready.then((url) => use({ url, keys: KEYS, pid: server.pid, dataDir })).catch(async (error: unknown) => {
      await stop()
      throw error
    })
    const { code, signal, stderr } = await stop()
    if (code !== 0) throw new Error(`the server ended with ${code ?? signal ?? ""}: ${stderr}`)
    return result
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}

const TICKS_PER_SECOND = 100

const readProc = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}

export interface CpuSeconds {
  readonly all: number
  /** Of the main thread alone. */
  readonly main: number
}

const secondsIn = (stat: string | undefined): number => {
  if (stat === undefined) return NaN
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** CPU time that a process has used so far; NaN where the system does not tell. */
export const cpuSecondsOf = (pid: number): CpuSeconds => ({ all: secondsIn(readProc(`/proc/${pid}/stat`)), main: secondsIn(readProc(`/proc/${pid}/task/${pid}/stat`)) })

/** Memory of a process that is its own (not pages of files), bytes; NaN where the system does not tell. */
export const memoryBytesOf = (pid: number): number => Number(/^RssAnon:\s+(\d+) kB/m.exec(readProc(`/proc/${pid}/status`) ?? "")?.[1] ?? NaN) * 1024

/** Bytes of all files below a directory. */
export const bytesBelow = (directory: string): number =>
  readdirSync(directory, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(directory, entry.name)
    return sum + (entry.isDirectory() ? bytesBelow(path) : statSync(path).size)
  }, 0)

interface ReadyPart {
  readonly name: string
  readonly detail: string
}

/** Records that the slowest projection has still to fold. */
export const lagOf = async (url: string): Promise<number> => {
  const { parts } = (await (await fetch(`${url}/readyz`)).json()) as { readonly parts: readonly ReadyPart[] }
  return Math.max(...parts.filter(({ name }) => name.startsWith("projection ")).map(({ detail }) => {
    const [, behind] = /(\d+) records behind/.exec(detail) ?? []
    if (behind === undefined) throw new Error(detail)
    return Number(behind)
  }))
}

const LOOK_EVERY_MS = 20

/** Waits until every projection has folded the whole log; answers how long it took, ms. Throws when a projection halts. */
export const untilFolded = async (url: string): Promise<number> => {
  const startMs = performance.now()
  while ((await lagOf(url)) > 0) await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  return performance.now() - startMs
}
