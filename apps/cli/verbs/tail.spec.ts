/** `tail` against a server that speaks the protocol by hand: what it does when the connection ends. */
import type { AddressInfo } from "node:net"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { WebSocketServer } from "ws"
import type { WebSocket } from "ws"
import { makeClient } from "../client.ts"
import { tail } from "./tail.ts"

const event = (id: string) => ({ id, type: "a.b", time: "2026-11-24T12:00:00.000Z", receivedAt: "2026-11-24T12:00:00.000Z", partition: 0, offset: "1", userId: null, data: {} })

describe("tail", () => {
  let server: WebSocketServer
  /** What each connection does once it is subscribed to, in order. */
  let turns: ((socket: WebSocket, next: (id: string) => void) => void)[]
  beforeEach(async () => {
    server = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => "graphql-transport-ws" })
    await new Promise<void>((resolve) => server.once("listening", () => resolve()))
    server.on("connection", (socket) => {
      const turn = turns.shift()
      socket.on("message", (data) => {
        const said = JSON.parse(String(data)) as { readonly type: string; readonly id?: string }
        if (said.type === "connection_init") socket.send('{"type":"connection_ack"}')
        if (said.type === "subscribe") turn?.(socket, (id) => socket.send(JSON.stringify({ id: said.id, type: "next", payload: { data: { eventTail: event(id) } } })))
      })
    })
  })
  afterEach(() => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })

  const run = async () => {
    const [data, notes]: [string[], string[]] = [[], []]
    const client = makeClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, key: "k" }, {})
    const ended = await tail(client, undefined, true, { data: (line) => data.push((JSON.parse(line) as { id: string }).id), note: (line) => notes.push(line) }).catch((error: unknown) => error)
    return { data, notes, ended }
  }

  it("connects again where a connection was lost and says that something may be missing, and ends when its key is taken away", async () => {
    turns = [
      (socket, next) => { next("one"); socket.close(1012, "restart") },
      (socket, next) => { next("two"); socket.close(4403, "key is no longer valid") }
    ]
    const { data, notes, ended } = await run()
    expect(data).toEqual(["one", "two"])
    expect(notes).toEqual(["Waiting for events; Ctrl-C ends.", "The connection is lost; trying again …", expect.stringMatching(/^Connected again\. .*tidemark events find$/)])
    expect(ended).toMatchObject({ exitCode: 1, reason: "FORBIDDEN" })
  })

  it("ends with what the server has against the question", async () => {
    turns = [(socket) => socket.close(4429, "too many sockets")]
    const { notes, ended } = await run()
    expect(ended).toMatchObject({ exitCode: 1, message: expect.stringContaining("too many sockets (4429)") as string })
    expect(notes).toEqual(["Waiting for events; Ctrl-C ends."])
  })
})
