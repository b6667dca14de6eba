/**
 * An HTTP proxy in front of Elasticsearch for specifications: decides of each item of a bulk request whether it reaches
 * the engine, and loses answers. It keeps what was sent through it.
 */
import { once } from "node:events"
import { createServer } from "node:http"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export interface BulkFaults {
  /** A status: the item is answered with it and does not reach the engine. */
  readonly item?: (source: string) => 400 | 429 | 503 | 409 | undefined
  /** The request takes effect and its connection ends without an answer. */
  readonly loseAnswer?: () => boolean
  /** The whole request is answered with it and does not reach the engine. */
  readonly request?: () => 429 | 503 | undefined
}

export interface FaultProxy {
  readonly url: string
  faults: BulkFaults
  /** Verbs and action names of everything that was written. */
  readonly actions: Set<string>
  readonly close: () => Promise<void>
}

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts).toString("utf8")
}

const FAULT_ERROR = { type: "simulated_exception", reason: "simulated" }

interface Split {
  readonly passed: string
  /** By place: the status an item is answered with; undefined for one that is passed on. */
  readonly faults: readonly (number | undefined)[]
}

const split = (body: string, item: NonNullable<BulkFaults["item"]>): Split => {
  const lines = body.split("\n")
  const passed: string[] = []
  const faults: (number | undefined)[] = []
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const [action = "", source = ""] = [lines[at], lines[at + 1]]
    const fault = item(source)
    faults.push(fault)
    if (fault === undefined) passed.push(action, source)
  }
  return { passed: passed.map((line) => `${line}\n`).join(""), faults }
}

/** A proxy in front of the engine at `target`, without faults at first; on a free port when none is named. */
export const openFaultProxy = async (target: string, port = 0): Promise<FaultProxy> => {
  const actions = new Set<string>()
  const forward = (request: IncomingMessage, body: string): Promise<Response> =>
    fetch(target + (request.url ?? "/"), {
      method: request.method ?? "GET", headers: { "content-type": request.headers["content-type"] ?? "application/json", accept: request.headers.accept ?? "*/*" },
      ...(body === "" ? {} : { body })
    })
  const send = (response: ServerResponse, status: number, body: string): void => {
    response.writeHead(status, { "content-type": "application/vnd.elasticsearch+json;compatible-with=8", "x-elastic-product": "Elasticsearch" }).end(body)
  }
  const bulk = async (request: IncomingMessage, response: ServerResponse, body: string): Promise<void> => {
    for (const line of body.split("\n").filter((_, at) => at % 2 === 0 && _ !== "")) actions.add(`bulk ${Object.keys(JSON.parse(line) as object).join()}`)
    const { passed, faults } = split(body, proxy.faults.item ?? (() => undefined))
    const items = passed === "" ? [] : ((await (await forward(request, passed)).json()) as { readonly items: readonly object[] }).items
    if (proxy.faults.loseAnswer?.() === true) return void request.socket.destroy()
    let next = 0
    send(response, 200, JSON.stringify({ items: faults.map((status) => (status === undefined ? items[next++] : { index: { status, error: FAULT_ERROR } })) }))
  }
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(request)
    const isBulk = request.url?.startsWith("/_bulk") === true
    const refused = isBulk ? proxy.faults.request?.() : undefined
    if (refused !== undefined) return send(response, refused, JSON.stringify({ error: FAULT_ERROR, status: refused }))
    if (isBulk) return bulk(request, response, body)
    if (request.method === "DELETE") actions.add(`DELETE ${request.url?.includes("/_doc") === true ? "document" : "index"}`)
    const answer = await forward(request, body)
    send(response, answer.status, await answer.text())
  }
  const server = createServer((request, response) => void handle(request, response).catch(() => request.socket.destroy())).listen(port, "127.0.0.1")
  await once(server, "listening")
  const proxy: FaultProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults: {},
    actions,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, "close")
    }
  }
  return proxy
}
