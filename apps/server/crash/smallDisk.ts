/** A small disk in memory for the specifications that fill one: a tmpfs in a mount namespace of its own, as any user may make it. */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"

export interface SmallDisk {
  /** Where other processes of this user find it. */
  readonly directory: string
  /** Gives the disk and all that is on it back. */
  readonly dispose: () => Promise<void>
}

const UNSHARE = "/usr/bin/unshare"

/** Mounts a disk of `bytes`, or says why this machine does not let it. `at`: an existing directory, covered by the disk within the namespace alone. */
export const makeSmallDisk = (at: string, bytes: number): Promise<SmallDisk | { readonly unavailable: string }> => {
  if (process.platform !== "linux") return Promise.resolve({ unavailable: "mount namespaces exist on Linux only" })
  // A process holds the namespace until its input ends; its view of the files is open to this user under /proc.
  const script = `mount -t tmpfs -o size=${bytes} tmpfs "$0" && echo mounted && read -r end`
  const holder = spawn(UNSHARE, ["--user", "--map-root-user", "--mount", "/bin/sh", "-c", script, at], { stdio: ["pipe", "pipe", "pipe"] })
  let said = ""
  holder.stderr.on("data", (chunk) => (said += String(chunk)))
  const exit = new Promise<void>((resolve) => {
    holder.on("error", (error) => {
      said += error.message
      resolve()
    })
    holder.on("close", () => resolve())
  })
  const dispose = () => {
    holder.stdin.end()
    return exit
  }
  return new Promise((resolve) => {
    createInterface({ input: holder.stdout }).on("line", () => resolve({ directory: `/proc/${holder.pid}/root${at}`, dispose }))
    void exit.then(() => resolve({ unavailable: said.trim() || `${UNSHARE} ended` }))
  })
}
