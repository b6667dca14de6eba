/** The real server as a process of its own, to be killed. */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"

export const KEYS = { write: "write-key-0123456789-0123456789", read: "read-key-0123456789-0123456789", admin: "admin-key-0123456789-0123456789" } as const

/** Keys of a campaign's tenant; those of `default` are what every start is given. */
export const keysOf = (tenant: string): Readonly<Record<"write" | "read" | "admin", string>> =>
  tenant === "default" ? KEYS : { write: `${KEYS.write}-${tenant}`, read: `${KEYS.read}-${tenant}`, admin: `${KEYS.admin}-${tenant}` }

export interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly stderr: string
}

export interface ServerProcess {
  /** Base URL without a slash at its end; rejects when the process ends before it is ready. */
  readonly ready: Promise<string>
  readonly exit: Promise<Ended>
  /** -1 when it could not be started. */
  readonly pid: number
  readonly kill: (signal: "SIGKILL" | "SIGTERM") => void
  /** Completes with the first line written from now on, on either output, that contains the text. */
  readonly said: (text: string) => Promise<string>
}

const STDERR_MAX = 20_000

export interface ServerOptions {
  /** The built server's main module. */
  readonly entry: string
  readonly dataDir: string
  readonly environment?: Readonly<Record<string, string>>
  /** Program and arguments that run Node, such as a shell that sets limits first; Node itself when absent. */
  readonly command?: readonly string[]
  /** Gets every line of stdout and stderr. */
  readonly onLine?: (line: string) => void
}

export const startServer = ({ entry, dataDir, environment = {}, command = [process.execPath], onLine }: ServerOptions): ServerProcess => {
  const env = {
    PATH: process.env["PATH"] ?? "", TIDEMARK_DATA_DIR: dataDir, TIDEMARK_PORT: "0", TIDEMARK_DEMO: "0",
    TIDEMARK_WRITE_KEY: KEYS.write, TIDEMARK_READ_KEY: KEYS.read, TIDEMARK_ADMIN_KEY: KEYS.admin, ...environment
  }
  const [program = process.execPath, ...args] = command
  const child = spawn(program, [...args, entry], { env, stdio: ["ignore", "pipe", "pipe"] })
  let stderr = ""
  const said = (text: string): Promise<string> => new Promise((resolve) => {
    for (const input of [child.stdout, child.stderr]) createInterface({ input }).on("line", (line) => { if (line.includes(text)) resolve(line) })
  })
  child.stderr.on("data", (chunk) => (stderr = (stderr + String(chunk)).slice(-STDERR_MAX)))
  if (onLine !== undefined) createInterface({ input: child.stderr }).on("line", onLine)
  const exit = new Promise<Ended>((resolve) => child.on("close", (code, signal) => resolve({ code, signal, stderr })))
  const ready = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      onLine?.(line)
      const { event, dashboard = "" } = JSON.parse(line) as { event?: string; dashboard?: string }
      if (event === "ready") resolve(dashboard.replace(/\/$/, ""))
    })
    void exit.then((ended) => reject(new Error(`the server ended before it was ready (${ended.code ?? ended.signal ?? ""}): ${ended.stderr}`)))
  })
  ready.catch(() => undefined)
  return { ready, exit, pid: child.pid ?? -1, kill: (signal) => void child.kill(signal), said }
}
