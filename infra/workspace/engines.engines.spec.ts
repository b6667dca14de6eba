import { spawnSync } from "node:child_process"
import { connect } from "node:net"
import { join } from "node:path"
import { describe, expect, it } from "vitest"

const root = join(import.meta.dirname, "..", "..")
const addresses = Object.entries(process.env).filter(([name]) => /^TIDEMARK_(KAFKA_BROKERS|(POSTGRES|REDIS|ELASTICSEARCH|EVENTSTORE)_URL)$/.test(name))

const connects = (address: string): Promise<boolean> =>
  new Promise((resolve) => {
    const { hostname, port } = new URL(address.includes("://") ? address : `tcp://${address}`)
    const socket = connect({ host: hostname, port: Number(port) })
    const end = (result: boolean) => {
      socket.destroy()
      resolve(result)
    }
    socket.on("connect", () => end(true)).on("error", () => end(false))
  })

describe("the engines of this run", () => {
  it("are named by TIDEMARK_ variables and accept connections there", async () => {
    expect(addresses.length).toBeGreaterThan(0)
    for (const [name, address] of addresses) expect([name, await connects(address ?? "")]).toEqual([name, true])
  })

  it("stay the processes they are when they are brought up again", () => {
    const run = (command: string) => spawnSync(process.execPath, ["infra/dev-engines/main.mjs", command], { cwd: root, encoding: "utf8" })
    const before = run("status").stdout
    const names = [...before.matchAll(/^(\w+) .*running, process \d+$/gm)].map((match) => match[1])
    expect(names).toHaveLength(addresses.length)
    const again = spawnSync(process.execPath, ["infra/dev-engines/main.mjs", "up", "--only", names.join(",")], { cwd: root, encoding: "utf8" })
    expect(again.stderr.trim().split("\n")).toEqual(names.map((name) => expect.stringMatching(`^${name}: runs already`) as string))
    expect(run("status").stdout).toBe(before)
  })

  it("are found at their ports whatever range is asked for, and are not started at others beside", () => {
    const run = (command: string, base?: string) => spawnSync(process.execPath, ["infra/dev-engines/main.mjs", command], { cwd: root, encoding: "utf8", env: { ...process.env, TIDEMARK_ENGINES_PORT_BASE: base } })
    expect(run("status", "64000").stdout).toBe(run("status").stdout)
    const other = run("up", "64000")
    expect(other.status).toBe(1)
    expect(other.stderr).toMatch(/run from port base \d+, and TIDEMARK_ENGINES_PORT_BASE is 64000: stop them first/)
  })
})
