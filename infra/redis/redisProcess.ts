/** A Redis server of a specification's own, which it may kill, pause and start again at the same address. */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { connect, createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { setTimeout as pause } from "node:timers/promises"

const HOST = "127.0.0.1"
const START_MAX_MS = 10_000
const LOOK_EVERY_MS = 10

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, HOST)
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, "close")
  return port
}

const answers = async (port: number): Promise<boolean> => {
  const socket = connect(port, HOST)
  try {
    await once(socket, "connect")
    socket.write("PING\r\n")
    const [reply] = (await once(socket, "data")) as [Buffer]
    return reply.toString().startsWith("+PONG")
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

export class RedisProcess {
  readonly url: string
  private readonly port: number
  private child: ChildProcess | undefined

  private constructor(port: number) {
    this.port = port
    this.url = `redis://${HOST}:${port}`
  }

  /** A server that answers, on a free port. */
  static async start(): Promise<RedisProcess> {
    const server = new RedisProcess(await freePort())
    await server.up()
    return server
  }

  async up(): Promise<void> {
    const child = spawn("redis-server", ["--bind", HOST, "--port", String(this.port), "--save", "", "--appendonly", "no"], { stdio: "ignore" })
    let failure: Error | undefined
    child.on("error", (error) => {
      failure = error
    })
    this.child = child
    const untilMs = Date.now() + START_MAX_MS
    while (!(await answers(this.port))) {
      if (failure !== undefined) throw failure
      if (Date.now() > untilMs) throw new Error(`redis-server does not answer at ${this.url}`)
      await pause(LOOK_EVERY_MS)
    }
  }

  /** Ends the process at once, like a power cut. */
  async kill(): Promise<void> {
    await this.end("SIGKILL")
  }

  /** Stops the process without ending it: it keeps its connections and answers nothing. */
  freeze(): void {
    this.child?.kill("SIGSTOP")
  }

  thaw(): void {
    this.child?.kill("SIGCONT")
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const { child } = this
    this.child = undefined
    if (child === undefined || child.exitCode !== null) return
    const exited = once(child, "exit")
    child.kill(signal)
    await exited
  }
}
