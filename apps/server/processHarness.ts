/** Starts the built server as a process of its own and talks to it, for the end-to-end specifications. */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

/** Keys of tenant `default` that `startProcess` gives. */
export const KEYS = { write: "write-key-0123456789-0123456789", read: "read-key-0123456789-0123456789", admin: "admin-key-0123456789-0123456789" } as const

export interface StartedProcess {
  readonly child: ChildProcess
  /** JSON lines of stdout so far. */
  readonly lines: Record<string, unknown>[]
  /** The ready line; rejects with stderr when the process ends before it. */
  readonly ready: Promise<Record<string, string>>
  readonly exit: Promise<{ readonly code: number | null; readonly stderr: string }>
}

/** What is started: the built server, or what `npm start` runs, which prepares the workspace and becomes the server. */
const PROGRAMS = { server: "./dist/main.js", npmStart: "../../infra/workspace/start.mjs" } as const

export type Program = keyof typeof PROGRAMS

/** `environment` overrides free port, given keys and no demo. */
export const startProcess = (dataDir: string, environment: Readonly<Record<string, string>> = {}, program: Program = "server"): StartedProcess => {
  const env = {
    PATH: process.env["PATH"] ?? "",
    TIDEMARK_DATA_DIR: dataDir, TIDEMARK_PORT: "0", TIDEMARK_DEMO: "0",
    TIDEMARK_WRITE_KEY: KEYS.write, TIDEMARK_READ_KEY: KEYS.read, TIDEMARK_ADMIN_KEY: KEYS.admin,
    ...environment
  }
  const child = spawn(process.execPath, [fileURLToPath(new URL(PROGRAMS[program], import.meta.url))], { env, stdio: ["ignore", "pipe", "pipe"] })
  const lines: Record<string, unknown>[] = []
  let stderr = ""
  child.stderr.on("data", (chunk) => (stderr += String(chunk)))
  const exit = new Promise<{ code: number | null; stderr: string }>((resolve) => child.on("close", (code) => resolve({ code, stderr })))
  const ready = new Promise<Record<string, string>>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const said = JSON.parse(line) as Record<string, string>
      lines.push(said)
      if (said["event"] === "ready") resolve(said)
    })
    void exit.then(({ code }) => reject(new Error(`ended with ${code} before it was ready: ${stderr}`)))
  })
  ready.catch(() => undefined)
  return { child, lines, ready, exit }
}

/** The real command line against the server at `url`; its exit code, stdout and stderr. */
export const runCli = (url: string, key: string, ...args: readonly string[]): Promise<{ readonly code: number | null; readonly out: string; readonly notes: string }> =>
  new Promise((resolve) => {
    const cli = fileURLToPath(new URL("../cli/bin/tidemark.mjs", import.meta.url))
    const child = spawn(process.execPath, [cli, "--url", url, "--key", key, ...args], { env: { PATH: process.env["PATH"] ?? "" }, stdio: ["ignore", "pipe", "pipe"] })
    let [out, notes] = ["", ""]
    child.stdout.on("data", (chunk) => (out += String(chunk)))
    child.stderr.on("data", (chunk) => (notes += String(chunk)))
    child.on("close", (code) => resolve({ code, out, notes }))
  })

/** One GraphQL answer. */
export const ask = async (graphql: string, key: string, query: string, variables: Readonly<Record<string, unknown>> = {}): Promise<unknown> => {
  const response = await fetch(graphql, { method: "POST", headers: { authorization: `Bearer ${key}`, "content-type": "application/json" }, body: JSON.stringify({ query, variables }) })
  return response.json()
}

/** POST of events, with more headers if given; the answer's status and body. */
export const send = async (ingest: string, key: string, events: readonly object[], headers: Readonly<Record<string, string>> = {}): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> => {
  const response = await fetch(ingest, { method: "POST", headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers }, body: JSON.stringify({ events }) })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}
