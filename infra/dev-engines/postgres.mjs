/** Postgres 15 or later: a cluster of its own on loopback, fsync on. */
import { spawnSync } from "node:child_process"
import { chownSync, existsSync, mkdirSync } from "node:fs"
import { dirname, join } from "node:path"
import { EngineError, HOST, executable, portOf, postgresFolders, unprivileged } from "./places.mjs"
import { start, stop } from "./processes.mjs"

const VERSION_MIN = 15
const USER = "tidemark"

const binaries = () => {
  const folders = postgresFolders()
  const postgres = executable("postgres", folders)
  if (postgres === undefined || executable("initdb", folders) === undefined) {
    throw new EngineError(`Postgres ${VERSION_MIN} or later is not installed: install it (Debian: \`apt-get install postgresql\`), run \`up --install\` as root, or set TIDEMARK_POSTGRES_BIN to the folder of its programs.`)
  }
  const version = Number(/(\d+)/.exec(String(spawnSync(postgres, ["--version"]).stdout))?.[1] ?? 0)
  if (version < VERSION_MIN) throw new EngineError(`Postgres ${version} at ${dirname(postgres)} is too old: ${VERSION_MIN} or later is needed.`)
  return { postgres, initdb: executable("initdb", folders), ready: executable("pg_isready", folders) }
}

const run = (what, command, args, account) => {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: "/", encoding: "utf8", ...account })
  if (status !== 0) throw new EngineError(`${what} failed: ${error?.message ?? `${stdout}${stderr}`.trim().split("\n").at(-1)}`)
}

const initialise = (data, { initdb }, account) => {
  if (existsSync(join(data, "PG_VERSION"))) return
  run("initdb", initdb, ["-D", data, "-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"], account)
}

const createDatabase = (programs, port) => {
  const psql = executable("psql", [dirname(programs.initdb)])
  if (psql === undefined) throw new EngineError("psql is not installed: install Postgres' client programs (Debian: `apt-get install postgresql-client`).")
  const connection = ["-h", HOST, "-p", String(port), "-U", USER, "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-tAc"]
  const found = spawnSync(psql, [...connection, `SELECT 1 FROM pg_database WHERE datname = '${USER}'`], { encoding: "utf8" })
  if (found.stdout.trim() !== "1") run("creating the database", psql, [...connection, `CREATE DATABASE ${USER}`], {})
}

/** Engine record for a data directory. */
export const postgres = (folder) => {
  const data = join(folder, "postgres")
  const port = portOf("postgres")
  const engine = { name: "postgres", packages: executable("initdb", postgresFolders()) === undefined ? ["postgresql"] : [], folder, port, mark: data }
  return {
    ...engine,
    variables: { TIDEMARK_POSTGRES_URL: `postgres://${USER}@${HOST}:${port}/${USER}` },
    up: async () => {
      const programs = binaries()
      const account = unprivileged("Postgres")
      mkdirSync(data, { recursive: true, mode: 0o700 })
      if (account.uid !== undefined) chownSync(data, account.uid, account.gid)
      initialise(data, programs, account)
      const settings = [`listen_addresses=${HOST}`, `port=${port}`, "unix_socket_directories=", "max_connections=100", "shared_buffers=256MB", "max_wal_size=4GB"]
      const ready = async () => spawnSync(programs.ready, ["-q", "-h", HOST, "-p", String(port), "-U", USER]).status === 0
      await start(engine, { command: programs.postgres, args: ["-D", data, ...settings.flatMap((setting) => ["-c", setting])], account, ready, seconds: 60 })
      createDatabase(programs, port)
    },
    down: () => stop(engine, { signal: "SIGINT", seconds: 20 })
  }
}
