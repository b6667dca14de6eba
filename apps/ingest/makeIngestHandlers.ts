/** Ingest on a shared node:http server: `/v1/events`, its description `/openapi.json` and a page on both, `/docs`. */
import type { IncomingMessage, ServerResponse } from "node:http"
import * as Effect from "effect/Effect"
import { makeAcceptEvents } from "@tidemark/commands/accept-events/acceptEvents"
import type { AcceptAnswer, AcceptError, AcceptRequest } from "@tidemark/commands/accept-events/acceptEvents"
import { makeSchemaRegistry } from "@tidemark/commands/accept-events/schemas"
import { hashSeedOf } from "@tidemark/domain/events/hashSeed"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { makeAnswerEvents } from "./answerEvents.ts"
import type { IngestOptions } from "./context.ts"
import { docsAnswer } from "./docsPage.ts"
import { openApi, openApiAnswer } from "./openapi.ts"
import { problemAnswer, sendAnswer } from "./problem.ts"

export interface IngestHandlers {
  /** Answers a request for `/v1/events`, whatever its method. Never rejects; resolves once it is answered or its client is gone. */
  readonly handleEvents: (req: IncomingMessage, res: ServerResponse) => Promise<void>
  /** Answers the request if its path is one of `/v1/events`, `/openapi.json`, `/docs`; false = not ours, untouched. */
  readonly handle: (req: IncomingMessage, res: ServerResponse) => Promise<boolean>
  /** The command behind it, for whoever else takes events into the log in this process. */
  readonly accept: (request: AcceptRequest) => Effect.Effect<AcceptAnswer, AcceptError>
  /** The OpenAPI 3.1 document of the whole HTTP surface. */
  readonly openApi: object
}

const EVENTS_PATH = "/v1/events"

const pathOf = (req: IncomingMessage): string => (req.url ?? "").split("?")[0] ?? ""

/**
 * Needs EventLog, PartitionIndex and RejectedLog; one per log and process, since it holds what it knows of duplicates.
 * Dies with SchemaRefusedError when a schema cannot be used.
 */
export const makeIngestHandlers = Effect.fn(function* (options: IngestOptions) {
  const { identity } = yield* EventLog
  const accept = yield* makeAcceptEvents({ schemas: makeSchemaRegistry(options.schemas), hashSeed: hashSeedOf(identity.logId), duplicates: options.duplicates ?? "whole", dedupeBytesMax: options.limits?.dedupeBytesMax })
  const answerEvents = yield* makeAnswerEvents(accept, options)
  const handleEvents = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const outcome = await answerEvents(req)
    if (outcome !== "gone") await sendAnswer(req, res, outcome.answer, outcome.open)
  }
  const pages = new Map([["/openapi.json", openApiAnswer], ["/docs", docsAnswer]])
  const handle = async (req: IncomingMessage, res: ServerResponse): Promise<boolean> => {
    const path = pathOf(req)
    const page = pages.get(path)
    if (path === EVENTS_PATH) await handleEvents(req, res)
    else if (page === undefined) return false
    else if (req.method === "GET" || req.method === "HEAD") await sendAnswer(req, res, page, false)
    else await sendAnswer(req, res, problemAnswer({ status: 405, code: "method", detail: `${req.method} is not taken here`, headers: { allow: "GET, HEAD" } }), true)
    return true
  }
  return { handleEvents, handle, accept, openApi } satisfies IngestHandlers as IngestHandlers
})
