/** Where the engines of this checkout live: ports, data, downloads, and the file that tells others about them. */
import { createHash } from "node:crypto"
import { existsSync, readFileSync, readdirSync } from "node:fs"
import { homedir, tmpdir } from "node:os"
import { delimiter, join } from "node:path"

export const root = join(import.meta.dirname, "..", "..")

/** A reason, in one sentence, why an engine cannot run; shown as it is. */
export class EngineError extends Error {}

export const HOST = "127.0.0.1"

const OFFSETS = { postgres: 32, redis: 79, kafka: 92, kafkaController: 93, elasticsearch: 20, elasticsearchTransport: 30, eventstoredb: 13 }
const BASE_DEFAULT = 25_400

/** Base of the engines that run now, as `up` has noted it; undefined when none does. */
const runningBase = () => (existsSync(stateFile()) ? JSON.parse(readFileSync(stateFile(), "utf8")).portBase : undefined)

const wantedBase = () => {
  const text = process.env.TIDEMARK_ENGINES_PORT_BASE
  if (text === undefined) return undefined
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1024 || value > 65_000) {
    throw new EngineError(`TIDEMARK_ENGINES_PORT_BASE is "${text}": give a whole number from 1024 to 65000.`)
  }
  return value
}

/** First of the range of ports: that of the engines that run, else the one asked for, else the default. */
export const portBase = () => runningBase() ?? wantedBase() ?? BASE_DEFAULT

/** Throws when other ports are asked for than the engines that run have. */
export const checkPortBase = () => {
  const [wanted, running] = [wantedBase(), runningBase()]
  if (wanted === undefined || running === undefined || wanted === running) return
  throw new EngineError(`The engines of this checkout run from port base ${running}, and TIDEMARK_ENGINES_PORT_BASE is ${wanted}: stop them first (npm run engines -- down), or leave the variable out.`)
}

/** The TCP port of an engine. */
export const portOf = (name) => portBase() + OFFSETS[name]

/** Data, logs and PID files: outside home directories, so that an unprivileged user reaches them; one folder per checkout. */
export const dataDir = () => process.env.TIDEMARK_ENGINES_DIR ?? join(tmpdir(), `tidemark-engines-${createHash("sha256").update(root).digest("hex").slice(0, 10)}`)

const cacheParent = () => {
  // Root's home is closed to the unprivileged accounts that some engines run as.
  if (process.getuid?.() === 0) return "/var/cache"
  return process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache")
}

/** Downloads, shared by all checkouts. */
export const cacheDir = () => process.env.TIDEMARK_ENGINES_CACHE ?? join(cacheParent(), "tidemark-engines")

/** Written by `up`, removed by `down`: `{ portBase, variables, engines }`. */
export const stateFile = () => process.env.TIDEMARK_ENGINES_FILE ?? join(root, ".tidemark", "engines.json")

/** The account for engines that refuse root: `{ uid, gid }`; nothing when this process is not root. */
export const unprivileged = (engine) => {
  if (process.getuid?.() !== 0) return {}
  const accounts = readFileSync("/etc/passwd", "utf8").split("\n").map((line) => line.split(":"))
  const found = ["postgres", "nobody"].map((name) => accounts.find(([account]) => account === name)).find(Boolean)
  if (found === undefined) throw new EngineError(`${engine} refuses to run as root and there is no account "postgres" or "nobody": run this command as another user.`)
  return { uid: Number(found[2]), gid: Number(found[3]) }
}

/** The first existing executable of that name in PATH and `folders`. */
export const executable = (name, folders = []) => [...folders, ...(process.env.PATH ?? "").split(delimiter)].map((folder) => join(folder, name)).find(existsSync)

/** Folders that hold Debian's Postgres programs, newest first. */
export const postgresFolders = () => {
  const given = process.env.TIDEMARK_POSTGRES_BIN
  if (given !== undefined) return [given]
  const parent = "/usr/lib/postgresql"
  if (!existsSync(parent)) return []
  return readdirSync(parent).sort((a, b) => Number(b) - Number(a)).map((version) => join(parent, version, "bin"))
}
