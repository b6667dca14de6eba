/**
 * Installs from the lockfile and builds, each only when something changed. Shared by every command that needs a ready workspace.
 *
 * Uses Node alone: it runs before anything is installed.
 */
import { spawn } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const NODE_MIN = [20, 20, 2]
const SOURCE_ENDINGS = /\.(ts|tsx|css|html|json|mjs)$/
const NOT_SOURCE = new Set(["node_modules", "dist", ".git", ".nx", ".tidemark", "docs", "fixtures"])

export const root = join(import.meta.dirname, "..", "..")
const stampFile = join(root, "node_modules", ".tidemark-build")

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

const newestMs = (folder) => {
  let newest = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (NOT_SOURCE.has(entry.name)) continue
    const path = join(folder, entry.name)
    if (entry.isDirectory()) newest = Math.max(newest, newestMs(path))
    else if (SOURCE_ENDINGS.test(entry.name)) newest = Math.max(newest, statSync(path).mtimeMs)
  }
  return newest
}

const timeOf = (file) => (existsSync(file) ? statSync(file).mtimeMs : 0)

/** Brings node_modules and every dist up to date; `report` gets one short line per step. */
export const prepare = async (report) => {
  if (timeOf(join(root, "node_modules", ".package-lock.json")) < timeOf(join(root, "package-lock.json"))) {
    report("installing packages from the lockfile")
    // Not `npm ci`: it refuses a lock without the optional packages of platforms that a registry does not carry.
    // `--no-save` keeps every locked version and leaves the lock as it is.
    await run("npm", ["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"])
  }
  const startedAt = new Date()
  if (timeOf(stampFile) < newestMs(root)) {
    report("building")
    await run(join(root, "node_modules", ".bin", "nx"), ["run-many", "-t", "build", "--parallel=2", "--outputStyle=stream"])
    mkdirSync(join(root, "node_modules"), { recursive: true })
    writeFileSync(stampFile, startedAt.toISOString() + "\n")
  }
}
