/** One writer process per log: a lock file that names the owner; a dead owner's lock is taken over. */
import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

export type LockOutcome = { readonly held: true; readonly release: () => void } | { readonly held: false; readonly pid: number }

/** Start time of a process in clock ticks, so that a reused pid is told from the old one; "" where unknown. */
const startOf = (pid: number): string => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? ""
  } catch {
    return ""
  }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}

const ownerOf = (path: string): { readonly pid: number; readonly start: string } => {
  const [pid = "", start = ""] = readFileSync(path, "utf8").trim().split(" ")
  return { pid: Number(pid), start }
}

/** Takes `<directory>/writer.lock`, or says which process holds it. */
export const takeWriterLock = (directory: string): LockOutcome => {
  const path = join(directory, "writer.lock")
  const draft = `${path}.${process.pid}`
  writeFileSync(draft, `${process.pid} ${startOf(process.pid)}\n`, { mode: 0o600 })
  try {
    return takeFrom(path, draft)
  } finally {
    rmSync(draft, { force: true })
  }
}

const takeFrom = (path: string, draft: string): LockOutcome => {
  for (;;) {
    try {
      // Linked into place whole, so that nobody ever reads a lock without its owner.
      linkSync(draft, path)
      return { held: true, release: () => rmSync(path, { force: true }) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
    }
    const owner = ownerOf(path)
    if (Number.isInteger(owner.pid) && owner.pid > 0 && isAlive(owner.pid) && startOf(owner.pid) === owner.start) return { held: false, pid: owner.pid }
    rmSync(path, { force: true })
  }
}
