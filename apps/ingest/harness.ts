/** Ingest on a real server of this process, over in-memory ports, for the specifications. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as Effect from "effect/Effect"
import { emptyIndex, makeFakeLog, makeFakeRejectedLog } from "@tidemark/commands/accept-events/fakes"
import { decodeRecord } from "@tidemark/domain/events/envelope"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import { RateLimiter } from "@tidemark/domain/ports/RateLimiter"
import type { RateLimiterShape } from "@tidemark/domain/ports/RateLimiter"
import { RejectedLog } from "@tidemark/domain/ports/RejectedLog"
import type { EventCount, IngestKey, IngestOptions } from "./context.ts"
import { makeIngestHandlers } from "./makeIngestHandlers.ts"

export const WRITE = "tm_wk_write"
export const READ = "tm_rk_read"
export const ADMIN = "tm_ak_admin"

const KEYS: Readonly<Record<string, IngestKey>> = {
  [WRITE]: { tenantId: "acme", kind: "write", keyPrefix: "tm_wk_w" },
  [READ]: { tenantId: "acme", kind: "read", keyPrefix: "tm_rk_r" },
  [ADMIN]: { tenantId: "acme", kind: "admin", keyPrefix: "tm_ak_a" },
  tm_wk_strict: { tenantId: "strict", kind: "write", keyPrefix: "tm_wk_s", strict: true },
  tm_wk_site: { tenantId: "acme", kind: "write", keyPrefix: "tm_wk_o", allowedOrigins: ["https://shop.example"] }
}

/** Ends with `close`. `events` decodes what the log holds, partition by partition. */
export const startIngest = async (more: Partial<IngestOptions> = {}, partitions = 1, limiter?: RateLimiterShape) => {
  const log = makeFakeLog(partitions)
  const rejected = makeFakeRejectedLog()
  const counted: EventCount[] = []
  const statuses: number[] = []
  const outcomes: string[] = []
  const ackSeconds: (number | undefined)[] = []
  const failures: unknown[] = []
  const options: IngestOptions = {
    resolveKey: (text) => (Object.hasOwn(KEYS, text) ? KEYS[text] : undefined),
    schemas: [{ type: "page.viewed", version: 1, schema: { type: "object", properties: { ms: { type: "integer" } } } }],
    metrics: {
      eventsAnswered: (counts, seconds) => {
        counted.push(...counts)
        ackSeconds.push(seconds)
      },
      requestAnswered: (status, outcome) => {
        statuses.push(status)
        outcomes.push(`${status} ${outcome}`)
      },
      failed: (error) => failures.push(error)
    },
    ...more
  }
  const making = makeIngestHandlers(options)
  const handlers = await Effect.runPromise(
    (limiter === undefined ? making : Effect.provideService(making, RateLimiter, limiter)).pipe(
      Effect.provideService(EventLog, log.shape), Effect.provideService(PartitionIndex, emptyIndex), Effect.provideService(RejectedLog, rejected.shape)
    )
  )
  const server = createServer((req, res) => {
    void handlers.handle(req, res).then((ours) => (ours ? undefined : res.writeHead(404).end()))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const events = () =>
    log.stored.flat().map((bytes) => {
      const decoded = decodeRecord(bytes)
      if (decoded.kind !== "event") throw new Error(decoded.kind)
      return decoded.event
    })
  const post = async (body: string | Uint8Array<ArrayBuffer>, headers: Readonly<Record<string, string>> = {}, query = "") => {
    const response = await fetch(`${url}/v1/events${query}`, { method: "POST", body, headers: { authorization: `Bearer ${WRITE}`, "content-type": "application/json", ...headers } })
    const answer = (await response.json()) as Record<string, unknown>
    return { status: response.status, headers: response.headers, answer }
  }
  const close = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { handlers, url, port, log, rejected, counted, statuses, outcomes, ackSeconds, failures, events, post, close }
}

export type TestIngest = Awaited<ReturnType<typeof startIngest>>
