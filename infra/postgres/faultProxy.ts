/** A TCP proxy for specs: cuts connections where a specification says, at message boundaries of Postgres' protocol. */
import { connect, createServer } from "node:net"
import type { AddressInfo, Socket } from "node:net"

export interface FaultProxy {
  /** The database behind the proxy. */
  readonly url: string
  /**
   * From now on: the next statement of that text is passed on (`after`) or not (`before`), then its connection is cut
   * once the server has answered, and the answer is lost.
   */
  readonly cutAt: (statement: string, when: "before" | "after") => void
  /** From now on: after the next statement of that text and its answer, what its connection sends is held back until `thaw`. Resolved once it is frozen. */
  readonly freezeAfter: (statement: string) => Promise<void>
  readonly thaw: () => void
  /** How many connections were cut by `cutAt`. */
  readonly cuts: () => number
  readonly close: () => Promise<void>
}

/** A proxy in front of the database at `url`. */
export const openProxy = async (url: string): Promise<FaultProxy> => {
  const target = new URL(url)
  const [host, port] = [target.hostname, Number(target.port)]
  let armed: { readonly statement: Buffer; readonly when: "before" | "after" | "frozen" } | undefined
  let thaw: () => void = () => undefined
  let onFrozen: () => void = () => undefined
  let cuts = 0
  const open = new Set<Socket>()
  const server = createServer((client) => {
    const database = connect(port, host)
    let isMuted = false
    let held: Buffer[] | undefined
    const cut = (): void => {
      client.destroy()
      database.destroy()
    }
    for (const socket of [client, database]) {
      open.add(socket)
      socket.on("error", () => undefined)
      socket.on("close", () => {
        open.delete(socket)
        cut()
      })
    }
    client.on("data", (bytes) => {
      if (held !== undefined) return void held.push(bytes)
      if (armed === undefined || !bytes.includes(armed.statement)) return void database.write(bytes)
      const { when } = armed
      armed = undefined
      if (when === "frozen") {
        held = []
        thaw = () => {
          for (const late of held ?? []) database.write(late)
          held = undefined
        }
        onFrozen()
        return void database.write(bytes)
      }
      cuts++
      if (when === "before") return cut()
      isMuted = true
      database.write(bytes)
    })
    database.on("data", (bytes) => (isMuted ? cut() : void client.write(bytes)))
  })
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
  target.port = String((server.address() as AddressInfo).port)
  target.hostname = "127.0.0.1"
  return {
    url: target.toString(),
    cutAt: (statement, when) => { armed = { statement: Buffer.from(statement), when } },
    freezeAfter: (statement) => new Promise((resolve) => {
      onFrozen = resolve
      armed = { statement: Buffer.from(statement), when: "frozen" }
    }),
    thaw: () => thaw(),
    cuts: () => cuts,
    close: () => new Promise((resolve) => {
      for (const socket of open) socket.destroy()
      server.close(() => resolve())
    })
  }
}
