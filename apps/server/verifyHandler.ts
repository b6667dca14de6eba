/**
 * `POST /v1/verify`: log and conservation, answered as one JSON document. With `full=1` every read model is recomputed,
 * which takes its time: the answer is NDJSON then, `progress` lines and at last one `report` or `failed`. One
 * verification runs at a time; it ends when its client goes away.
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import type { VerifyReport } from "@tidemark/replay/verifyReport"
import { jsonAnswer, problemAnswer, sendAnswer } from "@tidemark/ingest/problem"
import type { Answer } from "@tidemark/ingest/problem"
import type { StartCheck } from "./checkThread.ts"
import type { Handle } from "./router.ts"

export interface VerifyHandlerOptions {
  /** Refuses a request that no operator's key makes; undefined = go on. */
  readonly refusal: (request: IncomingMessage) => Answer | undefined
  readonly startCheck: StartCheck
  /** Tenants known to the settings. */
  readonly tenants: () => readonly string[]
}

const PATH = "/v1/verify"

const busy = problemAnswer({ status: 409, code: "verify-running", detail: "a verification is running already", hint: "wait until it has ended", headers: { "retry-after": "10" } })
const notPost = problemAnswer({ status: 405, code: "method", detail: "only POST is taken here", hint: "use POST", headers: { allow: "POST" } })
const notFull = problemAnswer({ status: 400, code: "query", detail: "full takes 0 or 1", hint: "full=1 recomputes every read model" })
const broken = (cause: string): Answer => problemAnswer({ status: 503, code: "verify-failed", detail: `the verification could not be finished: ${cause}`, hint: "look at /readyz, then try again" })

type Outcome = { readonly report: VerifyReport } | { readonly failed: string }

/** Runs one verification; it is ended when the client goes away. */
const run = ({ startCheck, tenants }: VerifyHandlerOptions, response: ServerResponse, full: boolean, progress: (line: string) => void): Promise<Outcome> =>
  new Promise((resolve) => {
    let outcome: Outcome | undefined
    const end = startCheck({ kind: "verify", full, tenants: tenants() }, {
      message: (message) => {
        if (message.kind === "progress") progress(message.line)
        if (message.kind === "report") outcome = { report: message.report }
      },
      exit: (cause) => {
        response.off("close", onClose)
        resolve(outcome ?? { failed: cause ?? "it ended without a report" })
      }
    })
    const onClose = () => void end()
    response.on("close", onClose)
  })

const stream = async (options: VerifyHandlerOptions, response: ServerResponse): Promise<void> => {
  const line = (value: object) => void response.write(JSON.stringify(value) + "\n")
  response.writeHead(200, { "content-type": "application/x-ndjson; charset=utf-8", "cache-control": "no-store", "x-content-type-options": "nosniff" })
  const outcome = await run(options, response, true, (detail) => line({ kind: "progress", detail }))
  line("report" in outcome ? { kind: "report", report: outcome.report } : { kind: "failed", detail: outcome.failed })
  response.end()
}

export const makeVerifyHandler = (options: VerifyHandlerOptions): Handle => {
  let running = false
  return async (request, response) => {
    const [path, query = ""] = (request.url ?? "").split("?")
    if (path !== PATH) return false
    const full = new URLSearchParams(query).get("full") ?? "0"
    const refused = request.method === "POST" ? options.refusal(request) ?? (full === "0" || full === "1" ? undefined : notFull) : notPost
    if (refused !== undefined || running) {
      await sendAnswer(request, response, refused ?? busy, true)
      return true
    }
    running = true
    try {
      if (full === "1") await stream(options, response)
      else {
        const outcome = await run(options, response, false, () => {})
        await sendAnswer(request, response, "report" in outcome ? jsonAnswer(200, outcome.report) : broken(outcome.failed), true)
      }
    } finally {
      running = false
    }
    return true
  }
}
