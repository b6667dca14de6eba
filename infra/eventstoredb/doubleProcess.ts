/** The double as a process of a specification's own, which it may kill and start again at the same address, its data kept. */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"

const MAIN = join(import.meta.dirname, "double", "main.mjs")

export class DoubleProcess {
  private readonly directory = mkdtempSync(join(tmpdir(), "tidemark-eventstore-"))
  private child: ChildProcess | undefined
  /** 0 until the first start has chosen one. */
  port = 0

  static async start(): Promise<DoubleProcess> {
    const double = new DoubleProcess()
    await double.up()
    return double
  }

  get url(): string {
    return `esdb://127.0.0.1:${this.port}?tls=false`
  }

  async up(): Promise<void> {
    const child = spawn(process.execPath, [MAIN], { env: { ...process.env, PORT: String(this.port), DATA: join(this.directory, "events") }, stdio: ["ignore", "pipe", "inherit"] })
    this.child = child
    const [line] = (await Promise.race([
      once(createInterface({ input: child.stdout }), "line"),
      once(child, "exit").then(() => { throw new Error("the double did not start") })
    ])) as [string]
    this.port = Number(new URL(line.slice(line.indexOf("esdb:"))).port)
  }

  /** Ends the process at once. */
  async kill(): Promise<void> {
    const { child } = this
    this.child = undefined
    if (child === undefined || child.exitCode !== null) return
    const exited = once(child, "exit")
    child.kill("SIGKILL")
    await exited
  }

  async dispose(): Promise<void> {
    await this.kill()
    rmSync(this.directory, { recursive: true, force: true })
  }
}
