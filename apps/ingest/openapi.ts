/** The OpenAPI 3.1 document, made from the table of routes. */
import { EVENTS_MAX } from "@tidemark/commands/accept-events/splitBody"
import { ID_BYTES_MAX } from "@tidemark/commands/accept-events/validateEvent"
import { jsonAnswer } from "./problem.ts"
import { ROUTES } from "./routes.ts"
import type { Route, RouteAnswer } from "./routes.ts"

const ref = (schema: string) => ({ $ref: `#/components/schemas/${schema}` })
const object = (properties: Readonly<Record<string, object>>, required: readonly string[] = []) => ({ type: "object", properties, ...(required.length > 0 ? { required } : {}) })
const text = { type: "string" }
const count = { type: "integer", minimum: 0 }
const time = { description: "RFC 3339, or Unix milliseconds", oneOf: [{ type: "string", format: "date-time" }, { type: "integer" }] }

const counts = { received: count, accepted: count, duplicate: count, rejected: count, failed: count }

const SCHEMAS: Readonly<Record<string, object>> = {
  Event: object({
    type: { ...text, description: "What happened; names that begin with tidemark. are reserved" },
    id: { ...text, description: `At most ${ID_BYTES_MAX} bytes; made by ingest when absent` },
    time, userId: text, anonymousId: text, sessionId: text, source: text,
    schemaVersion: count,
    data: { description: "Any JSON, kept as it was sent" }
  }, ["type"]),
  EventsBody: {
    oneOf: [
      ref("Event"),
      { type: "array", items: ref("Event"), maxItems: EVENTS_MAX },
      object({ events: { type: "array", items: ref("Event"), maxItems: EVENTS_MAX }, sentAt: { ...time, description: "The client's clock when it sent the request" } }, ["events"])
    ]
  },
  EventLines: { ...text, description: `One Event as JSON on each line, at most ${EVENTS_MAX} lines` },
  CloudEvent: object({ specversion: { const: "1.0" }, id: text, source: text, type: text, time: { ...text, format: "date-time" }, userid: text, anonymousid: text, sessionid: text, datacontenttype: text, data: {} }, ["specversion", "id", "source", "type"]),
  CloudEvents: { type: "array", items: ref("CloudEvent"), maxItems: EVENTS_MAX },
  EventResult: object({
    status: { enum: ["accepted", "duplicate", "rejected", "failed"] },
    id: { type: ["string", "null"] },
    partition: count,
    offset: { ...text, description: "Decimal; absent in a dry run" },
    code: text, pointer: { ...text, description: "JSON pointer into the event" }, detail: text, hint: text
  }, ["status", "id"]),
  EventsAnswer: object({ ...counts, results: { type: "array", items: ref("EventResult") }, hint: { ...text, description: "What was not read of the object around the events" } }, [...Object.keys(counts), "results"]),
  Problem: object({
    type: text, title: text, status: count, code: { ...text, description: "Stable; programs may rely on it" }, detail: text, hint: text,
    limit: { type: "number" }, unit: text, ...counts, results: { type: "array", items: ref("EventResult") }
  }, ["type", "title", "status", "code", "detail"]),
  GraphqlRequest: object({ query: text, variables: { type: "object" }, operationName: text }, ["query"]),
  GraphqlAnswer: object({ data: {}, errors: { type: "array", items: object({ message: text, extensions: object({ code: text }) }) } }),
  Text: text,
  Anything: {}
}

const SECURITY_SCHEMES = {
  bearer: { type: "http", scheme: "bearer" },
  basic: { type: "http", scheme: "basic", description: "The key is the user name" },
  writeKeyHeader: { type: "apiKey", in: "header", name: "X-Write-Key" },
  writeKeyQuery: { type: "apiKey", in: "query", name: "writeKey", description: "Write keys only" }
}

const content = (contentType: string | undefined, schema: string | undefined) => (contentType === undefined || schema === undefined ? {} : { content: { [contentType]: { schema: ref(schema) } } })

const securityOf = ({ keys }: Route): readonly object[] =>
  keys.length === 0 ? [] : keys.includes("write") ? Object.keys(SECURITY_SCHEMES).map((name) => ({ [name]: [] })) : [{ bearer: [] }]

const answerEntry = ({ status, description, contentType, schema }: RouteAnswer): readonly [string, object] => [String(status), { description, ...content(contentType, schema) }]

const operationOf = (route: Route): object => {
  const { operationId, summary, description, parameters, bodies, answers } = route
  const types = Object.entries(bodies).map(([type, schema]) => [type, { schema: ref(schema) }] as const)
  return {
    operationId, summary, description,
    security: securityOf(route),
    // Header parameters of the names that security schemes own would be ignored; the key in the URL is one of those.
    parameters: parameters.filter(({ name }) => name !== "writeKey").map(({ name, place, description: what, schema }) => ({ name, in: place, description: what, schema })),
    ...(types.length === 0 ? {} : { requestBody: { content: Object.fromEntries(types) } }),
    responses: Object.fromEntries(answers.map(answerEntry))
  }
}

/** OpenAPI 3.1. */
export const openApi = {
  openapi: "3.1.0",
  info: { title: "Tidemark", version: "1", description: "Events in, numbers out, each with its proof." },
  paths: Object.fromEntries(ROUTES.map((route) => [route.path, { [route.method]: operationOf(route) }])),
  components: { schemas: SCHEMAS, securitySchemes: SECURITY_SCHEMES }
}

export const openApiAnswer = jsonAnswer(200, openApi)
