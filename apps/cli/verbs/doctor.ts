/** doctor: checks of this machine before or while Tidemark runs. Changes nothing. */
import { accessSync, constants, existsSync, statfsSync } from "node:fs"
import { connect, createServer } from "node:net"
import { dirname } from "node:path"
import type { Client } from "../client.ts"
import { CliError } from "../client.ts"
import type { Output } from "../output.ts"
import { plain } from "../output.ts"

interface Check {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
}

interface Setting {
  readonly name: string
  readonly value: string
}

const FREE_GIB_MIN = 1
const CONNECT_MS_MAX = 2_000

const node = (): Check => {
  const [major = 0, minor = 0, patch = 0] = process.versions.node.split(".").map(Number)
  const ok = major > 20 || (major === 20 && (minor > 20 || (minor === 20 && patch >= 2)))
  return { name: "node", ok, detail: ok ? process.versions.node : `${process.versions.node}: install 20.20.2 or newer` }
}

/** The directory, or the nearest one above it that exists. */
const existing = (directory: string): string => (existsSync(directory) || dirname(directory) === directory ? directory : existing(dirname(directory)))

const dataDirectory = (directory: string): Check => {
  const name = "data directory"
  const place = existing(directory)
  try {
    accessSync(place, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    return { name, ok: false, detail: `${place} cannot be written (${(error as NodeJS.ErrnoException).code ?? String(error)}): make it writable, or set TIDEMARK_DATA_DIR` }
  }
  const { bavail, bsize } = statfsSync(place)
  const freeGiB = (bavail * bsize) / 2 ** 30
  if (freeGiB < FREE_GIB_MIN) return { name, ok: false, detail: `${directory} has ${freeGiB.toFixed(1)} GiB free: make room for at least ${FREE_GIB_MIN} GiB, or set TIDEMARK_DATA_DIR` }
  return { name, ok: true, detail: `${directory}${place === directory ? "" : ", made at the first start"}, ${freeGiB.toFixed(1)} GiB free` }
}

const portFree = (host: string, port: number): Promise<boolean> =>
  new Promise((done) => {
    const probe = createServer()
    probe.once("error", () => done(false))
    probe.listen(port, host, () => probe.close(() => done(true)))
  })

const server = async (client: Client, host: string, port: number): Promise<Check> => {
  const name = "server"
  if (await client.request("/healthz").then((response) => response.ok, () => false)) return { name, ok: true, detail: `answers at ${client.url}` }
  const free = await portFree(host, port)
  return { name, ok: free, detail: free ? `not running; port ${port} is free` : `port ${port} on ${host} is taken by a program that is not Tidemark at ${client.url}: stop it, or set TIDEMARK_PORT` }
}

/** Host and port of an engine's address, such as `127.0.0.1:9092,…` or `postgres://user@host/name`. */
const placesOf = (address: string): readonly { readonly host: string; readonly port: number }[] => {
  const ports: Readonly<Record<string, number>> = { "postgres:": 5_432, "postgresql:": 5_432, "redis:": 6_379, "rediss:": 6_379, "https:": 443, "http:": 80, "esdb:": 2_113 }
  return (address.includes("://") ? [address] : address.split(",").map((one) => `kafka://${one.trim()}`)).flatMap((text) => {
    if (!URL.canParse(text)) return []
    const { hostname, port, protocol } = new URL(text)
    return [{ host: hostname, port: port === "" ? (ports[protocol] ?? 9_092) : Number(port) }]
  })
}

const answers = (host: string, port: number): Promise<boolean> =>
  new Promise((done) => {
    const socket = connect({ host, port })
    const end = (ok: boolean) => {
      socket.destroy()
      done(ok)
    }
    socket.setTimeout(CONNECT_MS_MAX, () => end(false))
    socket.once("connect", () => end(true))
    socket.once("error", () => end(false))
  })

const engine = async ({ name, value }: Setting): Promise<Check> => {
  for (const { host, port } of placesOf(value)) {
    if (await answers(host, port)) return { name, ok: true, detail: `${host}:${port} answers` }
  }
  return { name, ok: false, detail: `${value} does not answer: start that engine, or name another one (npm run engines -- up starts all of them here)` }
}

const ENGINES = /_(BROKERS|URL)$/

/** Every check that the settings allow for; a wrong setting is a finding too. */
const checksOf = async (client: Client, explain: () => readonly Setting[]): Promise<readonly Check[]> => {
  let settings: readonly Setting[]
  try {
    settings = explain()
  } catch (error) {
    return [node(), { name: "configuration", ok: false, detail: (error as Error).message }]
  }
  const value = (name: string): string => settings.find((setting) => setting.name === name)?.value ?? ""
  const mode = value("TIDEMARK_MODE")
  return [
    node(),
    { name: "configuration", ok: true, detail: `${mode} mode; tidemark config explain shows every setting` },
    dataDirectory(value("TIDEMARK_DATA_DIR")),
    ...(mode === "distributed" ? await Promise.all(settings.filter(({ name }) => ENGINES.test(name)).map(engine)) : []),
    await server(client, value("TIDEMARK_HOST"), Number(value("TIDEMARK_PORT")))
  ]
}

/** Exit 1 when something stands in the way. */
export const doctor = async (client: Client, explain: () => readonly Setting[], json: boolean, output: Output): Promise<void> => {
  const checks = await checksOf(client, explain)
  if (json) output.data(JSON.stringify(checks))
  else for (const check of checks) output.data(`${check.ok ? "✓" : "✗"} ${plain(`${check.name}  ${check.detail}`)}`)
  if (checks.some((check) => !check.ok)) throw new CliError("Something stands in the way: see the lines marked ✗.")
}
