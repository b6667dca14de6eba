/** The engines by name, and starting, stopping and describing several of them. */
import { spawnSync } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { EngineError, HOST, checkPortBase, dataDir, portBase, stateFile } from "./places.mjs"
import { answers, pidOf } from "./processes.mjs"
import { elasticsearch } from "./elasticsearch.mjs"
import { eventstoredb, hasEventstoredb } from "./eventstoredb.mjs"
import { kafka } from "./kafka.mjs"
import { postgres } from "./postgres.mjs"
import { redis } from "./redis.mjs"

const MAKERS = { postgres, redis, kafka, elasticsearch, ...(hasEventstoredb ? { eventstoredb } : {}) }

/** Names that `--only` takes. */
export const engineNames = Object.keys(MAKERS)

/** The engines asked for, all when `names` is undefined. */
export const enginesOf = (names) => {
  const folder = dataDir()
  mkdirSync(folder, { recursive: true })
  chmodSync(folder, 0o755)
  return (names ?? engineNames).map((name) => MAKERS[name](folder))
}

const install = (engines) => {
  const packages = [...new Set(engines.flatMap((engine) => engine.packages))]
  if (packages.length === 0) return
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) throw new EngineError(`--install needs root and apt-get: install ${packages.join(" and ")} by hand.`)
  // A run level in which packages do not start their services, and no cluster but ours.
  mkdirSync("/etc/postgresql-common", { recursive: true })
  if (!existsSync("/etc/postgresql-common/createcluster.conf")) writeFileSync("/etc/postgresql-common/createcluster.conf", "create_main_cluster = false\n")
  spawnSync("apt-get", ["update", "-qq"])
  const { status, stderr } = spawnSync("apt-get", ["install", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", ...packages], {
    env: { ...process.env, RUNLEVEL: "1", DEBIAN_FRONTEND: "noninteractive" }, encoding: "utf8"
  })
  if (status !== 0) throw new EngineError(`apt-get could not install ${packages.join(" and ")}: ${stderr.trim().split("\n").at(-1)}.`)
}

/** What runs now, for people and for `.tidemark/engines.json`. */
const running = () => enginesOf(undefined).filter((engine) => pidOf(engine) !== undefined)

const writeState = () => {
  const engines = running()
  if (engines.length === 0) return rmSync(stateFile(), { force: true })
  const variables = Object.assign({}, ...engines.map((engine) => engine.variables))
  mkdirSync(dirname(stateFile()), { recursive: true })
  writeFileSync(stateFile(), `${JSON.stringify({ portBase: portBase(), variables, engines: Object.fromEntries(engines.map((engine) => [engine.name, { port: engine.port, pid: pidOf(engine) }])) }, null, 2)}\n`)
}

/** Starts what is not running. `report` gets one line per engine. */
export const up = async (names, report, { installing = false } = {}) => {
  checkPortBase()
  const engines = enginesOf(names)
  const missing = engines.filter((engine) => pidOf(engine) === undefined)
  if (installing) install(missing)
  try {
    for (const engine of engines) {
      if (!missing.includes(engine)) {
        report(`${engine.name}: runs already on ${HOST}:${engine.port}`)
        continue
      }
      const startedAt = Date.now()
      await engine.up()
      report(`${engine.name}: ready on ${HOST}:${engine.port} after ${((Date.now() - startedAt) / 1_000).toFixed(1)} s`)
    }
  } finally {
    writeState()
  }
}

/** Stops what `up` started. */
export const down = async (names, report) => {
  for (const engine of enginesOf(names).reverse()) report(`${engine.name}: ${(await engine.down()) ? "stopped" : "was not running"}`)
  writeState()
}

/** Forgets the data of stopped engines. */
export const wipe = (report) => {
  if (running().length > 0) throw new EngineError(`${running().map(({ name }) => name).join(", ")} still runs: data is removed only when all engines are down.`)
  rmSync(dataDir(), { recursive: true, force: true })
  report(`data in ${dataDir()} removed`)
}

/** `[{ name, port, pid, answers }]`. */
export const status = (names) =>
  Promise.all(enginesOf(names).map(async (engine) => ({ name: engine.name, port: engine.port, pid: pidOf(engine), answers: await answers(engine.port) })))

/** TIDEMARK_* of what runs. */
export const variables = () => (existsSync(stateFile()) ? JSON.parse(readFileSync(stateFile(), "utf8")).variables : {})
