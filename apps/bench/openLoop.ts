/** Single requests, and requests at a steady rate whatever the answers: a server that falls behind shows in their times. */
import { Agent, request } from "node:http"

const SEND_EVERY_MS = 2
const CONNECTIONS = 64

export interface Sender {
  /** One request, on its way when this returns; the body of its answer. Rejects unless that is 200. */
  readonly send: (body: Buffer) => Promise<string>
  readonly close: () => void
}

/** Posts JSON to `url` with the key. */
export const makeSender = (url: string, key: string): Sender => {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  const send = (body: Buffer) =>
    new Promise<string>((resolve, reject) => {
      const headers = { authorization: `Bearer ${key}`, "content-type": "application/json", "content-length": body.length }
      request(url, { method: "POST", agent, headers }, (response) => {
        const chunks: Buffer[] = []
        response.on("data", (chunk: Buffer) => chunks.push(chunk))
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString()
          if (response.statusCode === 200) resolve(text)
          else reject(new Error(`a request was answered with ${response.statusCode ?? ""}: ${text.slice(0, 300)}`))
        })
      }).on("error", reject).end(body)
    })
  return { send, close: () => agent.destroy() }
}

export interface Pace {
  readonly perSecond: number
  readonly seconds: number
}

/** Calls `send` at an even pace; resolves once everything it returned has. */
export const atPace = async ({ perSecond, seconds }: Pace, send: () => Promise<void>): Promise<void> => {
  const wanted = Math.round(perSecond * seconds)
  const sent: Promise<void>[] = []
  const startMs = performance.now()
  while (sent.length < wanted) {
    const due = Math.min(wanted, Math.ceil(((performance.now() - startMs) / 1_000) * perSecond))
    while (sent.length < due) sent.push(send())
    await new Promise((resolve) => setTimeout(resolve, SEND_EVERY_MS))
  }
  await Promise.all(sent)
}
