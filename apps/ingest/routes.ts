/** Every HTTP route of a running Tidemark, once: `/openapi.json` and `/docs` are made from this table. */

export interface RouteAnswer {
  readonly status: number
  readonly description: string
  readonly contentType?: string
  /** Name of a schema of the OpenAPI document. */
  readonly schema?: string
}

export interface RouteParameter {
  readonly name: string
  readonly place: "query" | "header"
  readonly description: string
  readonly schema: object
}

export interface Route {
  readonly method: "get" | "post"
  readonly path: string
  readonly operationId: string
  readonly summary: string
  readonly description: string
  /** Kinds of key that may use it; empty = none needed. */
  readonly keys: readonly ("write" | "read" | "admin")[]
  readonly parameters: readonly RouteParameter[]
  /** Request bodies: content type → name of a schema. */
  readonly bodies: Readonly<Record<string, string>>
  readonly answers: readonly RouteAnswer[]
}

const problem = (status: number, description: string): RouteAnswer => ({ status, description, contentType: "application/problem+json", schema: "Problem" })
const text = { type: "string" }

const ceHeader = (name: string, description: string): RouteParameter => ({ name: `ce-${name}`, place: "header", description: `${description} (CloudEvents binary mode, percent-encoded)`, schema: text })

const EVENTS: Route = {
  method: "post",
  path: "/v1/events",
  operationId: "appendEvents",
  summary: "Append events to the log",
  description:
    "Answers once every accepted event is durable. A batch answers 200 with one result per event, in order, even when some are rejected; a single rejected event answers 422. Rejected events are kept with their reasons. Sending an event with the same id again within 24 h answers `duplicate`. The body may be gzip, told by content-encoding or by its first bytes.",
  keys: ["write", "admin"],
  parameters: [
    { name: "dryRun", place: "query", description: "1 checks the events and appends nothing", schema: { type: "string", enum: ["0", "1", "false", "true"] } },
    { name: "writeKey", place: "query", description: "A write key, for beacons that cannot set headers", schema: text },
    { name: "Tidemark-Backfill", place: "header", description: "Marks the events as part of the import of this name, percent-encoded; admin keys only. Importing the same again adds nothing", schema: text },
    { name: "Tidemark-Backfill-Line", place: "header", description: "Number, in the import's file, of the first line of an NDJSON body", schema: { type: "integer", minimum: 1 } },
    ceHeader("specversion", "1.0"), ceHeader("id", "The event's id"), ceHeader("source", "The event's source"), ceHeader("type", "The event's type"), ceHeader("time", "RFC 3339")
  ],
  bodies: {
    "application/json": "EventsBody",
    "text/plain": "EventsBody",
    "application/x-ndjson": "EventLines",
    "application/cloudevents+json": "CloudEvent",
    "application/cloudevents-batch+json": "CloudEvents"
  },
  answers: [
    { status: 200, description: "Every event was judged; `results` says how", contentType: "application/json", schema: "EventsAnswer" },
    problem(400, "The body or a header cannot be read: code `json`, `utf-8`, `gzip`, `time`, `header`, `query`"),
    problem(401, "No valid key was sent: code `key`"),
    problem(403, "The key may not do this: code `key-kind`, `key-in-url`, `backfill-key`, `origin`"),
    problem(405, "Only POST is taken: code `method`"),
    problem(408, "The body did not arrive in time: code `too-slow`"),
    problem(413, "The body or batch is too large: code `too-large`, `too-many-events`; `limit` says what is allowed"),
    problem(415, "The content type or encoding is not taken: code `content-type`, `content-encoding`"),
    problem(422, "The single event was rejected; `code` and `pointer` say why"),
    problem(429, "Over the limit of this key or address: code `rate`; see Retry-After and RateLimit-*. Or more live events came within 24 hours than duplicates can be told from: code `dedupe-full`; nothing was stored, send the same again after Retry-After"),
    problem(500, "Something failed inside: code `internal`"),
    problem(503, "The log cannot be written: code `log-not-writable`, `storage-full`, `outcome-unknown`; or too much is being received at once: code `busy`. Send the same again after Retry-After")
  ]
}

const page = (path: string, operationId: string, summary: string, description: string, ...answers: readonly RouteAnswer[]): Route => ({
  method: "get", path, operationId, summary, description, keys: [], parameters: [], bodies: {}, answers
})

const GRAPHQL: Route = {
  method: "post",
  path: "/graphql",
  operationId: "query",
  summary: "Ask the read models",
  description: "GraphQL over HTTP. The same path takes WebSockets with the subprotocol graphql-transport-ws; the key is then sent in connection_init as authorization.",
  keys: ["read", "admin"],
  parameters: [],
  bodies: { "application/json": "GraphqlRequest" },
  answers: [
    { status: 200, description: "Data or errors; errors carry extensions.code", contentType: "application/json", schema: "GraphqlAnswer" },
    { status: 400, description: "Refused before execution", contentType: "application/json", schema: "GraphqlAnswer" },
    { status: 401, description: "No valid key", contentType: "application/json", schema: "GraphqlAnswer" },
    { status: 403, description: "A write key cannot read", contentType: "application/json", schema: "GraphqlAnswer" }
  ]
}

export const ROUTES: readonly Route[] = [
  EVENTS,
  GRAPHQL,
  page("/healthz", "isAlive", "Is the process alive?", "Answers as long as the process serves.", { status: 200, description: "Alive" }),
  page("/readyz", "isReady", "Is every part ready?", "Each part with what it lacks, and which projection is behind.", { status: 200, description: "Ready" }, { status: 503, description: "Not ready; the body says which part" }),
  page("/metrics", "metrics", "Metrics for Prometheus", "Counters, gauges and histograms in the text exposition format.", { status: 200, description: "Metrics", contentType: "text/plain", schema: "Text" }),
  page("/openapi.json", "openApi", "This description", "OpenAPI 3.1 of every route.", { status: 200, description: "The document", contentType: "application/json", schema: "Anything" }),
  page("/docs", "docs", "This description to read", "One page without scripts and without requests to anywhere.", { status: 200, description: "The page", contentType: "text/html", schema: "Text" })
]
