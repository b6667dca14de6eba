/**
 * Processes that outlive this command, known by PID files.
 *
 * One counts as running when its PID exists and its command line holds the engine's mark: a PID alone may belong to
 * somebody else by now, and a zombie has no command line.
 */
import { spawn } from "node:child_process"
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { EngineError, HOST } from "./places.mjs"

const POLL_MS = 100
const LOG_TAIL_LINES = 5

const commandLine = (pid) => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")
  } catch {
    return ""
  }
}

/** PID of a running engine, undefined when it is not running. `engine`: { name, folder, mark }. */
export const pidOf = ({ name, folder, mark }) => {
  const file = join(folder, `${name}.pid`)
  if (!existsSync(file)) return undefined
  const pid = Number(readFileSync(file, "utf8"))
  return pid > 1 && commandLine(pid).includes(mark) ? pid : undefined
}

/** Does anything accept connections there? */
export const answers = (port) =>
  new Promise((resolve) => {
    const socket = connect({ host: HOST, port, timeout: 1_000 })
    const end = (result) => {
      socket.destroy()
      resolve(result)
    }
    socket.on("connect", () => end(true)).on("error", () => end(false)).on("timeout", () => end(false))
  })

/** Sends `text` and resolves with the first answer, "" when there is none. */
export const ask = (port, text) =>
  new Promise((resolve) => {
    const socket = connect({ host: HOST, port, timeout: 1_000 })
    const end = (answer) => {
      socket.destroy()
      resolve(answer)
    }
    socket.on("connect", () => socket.write(text)).on("data", (data) => end(String(data))).on("error", () => end("")).on("timeout", () => end(""))
  })

const logTail = (file) => (existsSync(file) ? readFileSync(file, "utf8").trim().split("\n").slice(-LOG_TAIL_LINES).join("\n") : "")

/** Starts an engine detached, its output in `<name>.log`; resolves when `ready()` is true. */
export const start = async (engine, { command, args, account, environment, ready, seconds }) => {
  const { name, folder, port } = engine
  if (await answers(port)) throw new EngineError(`Port ${port} for ${name} is taken by another process: end it, or set TIDEMARK_ENGINES_PORT_BASE to another range.`)
  const logFile = join(folder, `${name}.log`)
  const log = openSync(logFile, "w")
  const child = spawn(command, args, { cwd: folder, detached: true, stdio: ["ignore", log, log], env: { ...process.env, ...environment }, ...account })
  closeSync(log)
  let ended
  child.on("error", (error) => (ended = error.message)).on("exit", (code, signal) => (ended = `it ended with ${signal ?? `code ${code}`}`))
  if (child.pid !== undefined) writeFileSync(join(folder, `${name}.pid`), `${child.pid}\n`)
  const deadline = Date.now() + seconds * 1_000
  while (ended === undefined && Date.now() < deadline) {
    if (await ready(logFile)) {
      child.unref()
      return
    }
    await pause(POLL_MS)
  }
  if (ended === undefined) await stop(engine, { signal: "SIGTERM", seconds: 10 })
  throw new EngineError(`${name} did not start: ${ended ?? `not ready after ${seconds} s`}. Its log, ${logFile}, ends with:\n${logTail(logFile)}`)
}

const signalled = (pid, signal) => {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (error.code !== "ESRCH") throw error
  }
}

/** Ends an engine that this command started; kills it after `seconds`. Answers whether it ran. */
export const stop = async (engine, { signal, seconds }) => {
  const pid = pidOf(engine)
  if (pid !== undefined) {
    signalled(pid, signal)
    const deadline = Date.now() + seconds * 1_000
    while (pidOf(engine) !== undefined && Date.now() < deadline) await pause(POLL_MS)
    if (pidOf(engine) !== undefined) signalled(pid, "SIGKILL")
    while (pidOf(engine) !== undefined && Date.now() < deadline + 5_000) await pause(POLL_MS)
    if (pidOf(engine) !== undefined) throw new EngineError(`${engine.name} (process ${pid}) does not end: end it by hand.`)
  }
  rmSync(join(engine.folder, `${engine.name}.pid`), { force: true })
  return pid !== undefined
}
