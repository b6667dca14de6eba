/** A Postgres server of a specification's own, made by the programs of the one that runs, to be stopped without mercy. */
import { spawn, spawnSync } from "node:child_process"
import { chownSync, mkdtempSync, rmSync, statSync } from "node:fs"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { withClient } from "./testDatabase.ts"

export interface TestCluster {
  readonly url: string
  readonly start: () => void
  /** Ends all server processes at once, as a crash does; returns while that goes on, resolved when it is done. */
  readonly stopImmediately: () => Promise<void>
  readonly dispose: () => void
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer()
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

/** Programs of the running server and the account it runs as. The server is on this machine. */
const programs = (): Promise<{ readonly folder: string; readonly uid: number; readonly gid: number }> =>
  withClient(async (client) => {
    const { rows } = await client.query<{ folder: string; data: string }>("SELECT (SELECT setting FROM pg_config WHERE name = 'BINDIR') AS folder, current_setting('data_directory') AS data")
    const { folder = "", data = "" } = rows[0] ?? {}
    const { uid, gid } = statSync(data)
    return { folder, uid, gid }
  })

/** A running, empty server with its defaults, but for `settings` (`name=value`). */
export const startCluster = async (settings: readonly string[] = []): Promise<TestCluster> => {
  const { folder, uid, gid } = await programs()
  const port = await freePort()
  const parent = mkdtempSync(join(tmpdir(), "tidemark-cluster-"))
  const data = join(parent, "data")
  chownSync(parent, uid, gid)
  const account = process.getuid?.() === 0 ? { uid, gid } : {}
  const run = (program: string, args: readonly string[]): void => {
    const { status, stderr, error } = spawnSync(join(folder, program), args, { cwd: parent, encoding: "utf8", stdio: ["ignore", "ignore", "pipe"], ...account })
    if (status !== 0) throw new Error(`${program} failed: ${error?.message ?? stderr}`)
  }
  run("initdb", ["-D", data, "-U", "tidemark", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-instructions"])
  const options = ["listen_addresses=127.0.0.1", `port=${port}`, "unix_socket_directories=", ...settings].map((setting) => `-c ${setting}`).join(" ")
  const start = (): void => run("pg_ctl", ["-D", data, "-l", join(parent, "log"), "-w", "-o", options, "start"])
  const stop = ["-D", data, "-m", "immediate", "stop"]
  const stopImmediately = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const stopping = spawn(join(folder, "pg_ctl"), stop, { cwd: parent, stdio: "ignore", ...account })
      stopping.on("error", reject)
      stopping.on("exit", (code) => (code === 0 ? resolve() : reject(new Error(`pg_ctl stop ended with ${code}`))))
    })
  start()
  return {
    url: `postgres://tidemark@127.0.0.1:${port}/postgres`,
    start,
    stopImmediately,
    dispose: () => {
      run("pg_ctl", stop)
      rmSync(parent, { recursive: true, force: true })
    }
  }
}
