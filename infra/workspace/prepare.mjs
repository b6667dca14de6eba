/**
 * Installs from the lockfile and builds, each only when something changed. Shared by every command that needs a ready workspace.
 *
 * Uses Node alone: it runs before anything is installed.
 */
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const NODE_MIN = [20, 20, 2]
const SOURCE_ENDINGS = /\.(ts|tsx|css|html|json|mjs)$/
const NOT_SOURCE = new Set(["node_modules", "dist", ".git", ".nx", ".tidemark", "docs"])

export const root = join(import.meta.dirname, "..", "..")

/** One sentence why this Node cannot run Tidemark, or undefined. */
export const nodeTooOld = (version = process.versions.node) => {
  const parts = version.split(".").map(Number)
  for (let i = 0; i < 3; i++) {
    if (parts[i] > NODE_MIN[i]) return undefined
    if (parts[i] < NODE_MIN[i]) return `Node ${version} is too old: install Node ${NODE_MIN.join(".")} or newer, then start again.`
  }
  return undefined
}

const run = (command, args, onLine) =>
  new Promise((resolve, reject) => {
    const env = { ...process.env, NX_DAEMON: "false", NX_TUI: "false" }
    const child = spawn(command, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    const take = (chunk) => {
      output += chunk
      onLine?.(String(chunk).trim().split("\n").at(-1))
    }
    child.stdout.on("data", take)
    child.stderr.on("data", take)
    child.on("error", reject)
    child.on("close", (code) =>
      code === 0 ? resolve() : reject(new Error(`${command} ${args.join(" ")} ended with code ${code}:\n${output.slice(-6000)}`)))
  })

const readJson = (file) => JSON.parse(readFileSync(file, "utf8"))

/** Folders of the workspaces that are there, from the root. */
const workspacesOf = (folder) =>
  readJson(join(folder, "package.json")).workspaces.flatMap((entry) => {
    if (!entry.endsWith("/*")) return [entry]
    const parent = entry.slice(0, -2)
    return existsSync(join(folder, parent)) ? readdirSync(join(folder, parent)).map((name) => `${parent}/${name}`) : []
  }).filter((workspace) => existsSync(join(folder, workspace, "package.json")))

/** Paths of the sources in a folder, from `root`; only of the folder itself when it is the root, which workspaces lie in. */
const sourcesIn = (root, folder) =>
  readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (NOT_SOURCE.has(entry.name)) return []
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory()) return folder === "" ? [] : sourcesIn(root, path)
    return SOURCE_ENDINGS.test(entry.name) ? [path] : []
  })

/** The first file that a workspace's build writes and that is not there. */
const missingOutput = (root, workspace) => {
  const build = readJson(join(root, workspace, "package.json")).scripts?.build
  if (build === undefined) return undefined
  const outputs = build.startsWith("tsc")
    ? sourcesIn(root, workspace).filter((path) => /(?<!\.d)\.ts$/.test(path)).map((path) => path.slice(workspace.length + 1, -2) + "js")
    : ["index.html"]
  return outputs.map((path) => `${workspace}/dist/${path}`).find((path) => !existsSync(join(root, path)))
}

const stampOf = (root) => join(root, "node_modules", ".tidemark-build")

/**
 * What a build of the tree under `root` would have to do now: `why` is undefined when everything is built.
 *
 * `incomplete` are the workspaces whose output has gaps. The compiler does not see them, since it believes its own record.
 * `sources` is a digest of the paths, by which the next look sees that one was removed.
 */
export const lookForWork = (root) => {
  const workspaces = workspacesOf(root)
  const paths = ["", ...workspaces].flatMap((folder) => sourcesIn(root, folder)).sort()
  const sources = createHash("sha256").update(paths.join("\n")).digest("hex")
  const gaps = workspaces.map((workspace) => [workspace, missingOutput(root, workspace)]).filter(([, path]) => path !== undefined)
  const incomplete = gaps.map(([workspace]) => workspace)
  const found = (why) => ({ why, incomplete, sources })
  if (!existsSync(stampOf(root))) return found("nothing is built yet")
  const [startedAt, builtSources] = readFileSync(stampOf(root), "utf8").trim().split(" ")
  if (gaps.length > 0) return found(`${gaps[0][1]} is missing`)
  if (builtSources !== sources) return found("a source was added or removed")
  const changed = paths.find((path) => statSync(join(root, path)).mtimeMs >= Date.parse(startedAt))
  return found(changed === undefined ? undefined : `${changed} changed`)
}

/** Notes that what `lookForWork` found has been built. `startedAt`: when the build began, so that a change during it is seen. */
export const noteBuilt = (root, startedAt, { sources }) => {
  mkdirSync(join(root, "node_modules"), { recursive: true })
  writeFileSync(stampOf(root), `${startedAt.toISOString()} ${sources}\n`)
}

const timeOf = (file) => (existsSync(file) ? statSync(file).mtimeMs : 0)

const isInstalled = () => timeOf(join(root, "node_modules", ".package-lock.json")) >= timeOf(join(root, "package-lock.json"))

/** Why `prepare` would install or build now; undefined when it would do nothing. */
export const unprepared = () => (isInstalled() ? lookForWork(root).why : "packages are not installed from the lockfile")

/** Brings node_modules and every dist up to date; `report` gets one short line per step. */
export const prepare = async (report) => {
  if (!isInstalled()) {
    report("installing packages from the lockfile")
    // Not `npm ci`: it refuses a lock without the optional packages of platforms that a registry does not carry.
    // `--no-save` keeps every locked version and leaves the lock as it is.
    await run("npm", ["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"])
  }
  const startedAt = new Date()
  const work = lookForWork(root)
  if (work.why === undefined) return
  report(`building: ${work.why}`)
  for (const workspace of work.incomplete) rmSync(join(root, workspace, "dist"), { recursive: true, force: true })
  await run(join(root, "node_modules", ".bin", "nx"), ["run-many", "-t", "build", "--parallel=2", "--outputStyle=stream"])
  noteBuilt(root, startedAt, work)
}
