/** One request to the part that answers it; clear problems for everything else. */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http"
import { problemAnswer, sendAnswer } from "@tidemark/ingest/problem"
import type { Problem } from "@tidemark/ingest/problem"
import type { Route } from "./operatorRoutes.ts"

/** Answers a request that is its own; false = not its own, untouched. */
export type Handle = (request: IncomingMessage, response: ServerResponse) => Promise<boolean>

export interface RouterOptions {
  readonly hostAllowed: (host: string | undefined) => boolean
  readonly handlers: readonly Handle[]
  readonly routes: ReadonlyMap<string, Route>
  readonly page: (request: IncomingMessage, response: ServerResponse, path: string) => boolean
  readonly onFailure: (error: unknown) => void
}

const wrongHost: Problem = { status: 403, code: "host", detail: "this server does not go by the name in the Host header", hint: "use the address it printed at its start" }
const failed: Problem = { status: 500, code: "internal", detail: "something failed inside; it was logged", hint: "try again" }

const answer = async (request: IncomingMessage, response: ServerResponse, options: RouterOptions): Promise<void> => {
  const refuse = (problem: Problem) => sendAnswer(request, response, problemAnswer(problem), true)
  if (!options.hostAllowed(request.headers.host)) return refuse(wrongHost)
  for (const handle of options.handlers) if (await handle(request, response)) return
  const path = (request.url ?? "").split("?")[0] ?? ""
  const route = options.routes.get(path)
  if (route !== undefined) {
    const asked = request.method === "HEAD" ? "GET" : request.method
    if (asked !== route.method) return refuse({ status: 405, code: "method", detail: `${request.method ?? ""} is not taken here`, hint: `use ${route.method}`, headers: { allow: route.method === "GET" ? "GET, HEAD" : route.method } })
    return sendAnswer(request, response, await route.answer(request), true)
  }
  if (options.page(request, response, path)) return
  return refuse({ status: 404, code: "not-found", detail: "there is nothing at this path", hint: "/docs lists what there is" })
}

/** Never rejects: a failure is answered and told. */
export const makeRouter = (options: RouterOptions): RequestListener => (request, response) => {
  void answer(request, response, options).catch(async (error: unknown) => {
    options.onFailure(error)
    if (response.headersSent) response.destroy()
    else await sendAnswer(request, response, problemAnswer(failed), true)
  })
}
