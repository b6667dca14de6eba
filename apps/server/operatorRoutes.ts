/** Routes for operators and for the dashboard's sign-in on loopback. */
import { timingSafeEqual } from "node:crypto"
import type { IncomingMessage } from "node:http"
import type { SettingsModel } from "@tidemark/commands/settingsModel"
import type { EventLog } from "@tidemark/domain/ports/EventLog"
import type { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { jsonAnswer, problemAnswer } from "@tidemark/ingest/problem"
import type { Answer } from "@tidemark/ingest/problem"
import * as Effect from "effect/Effect"
import type { Telemetry } from "./context.ts"
import { readFigures } from "./figures.ts"
import type { KeyFile } from "./keyFile.ts"
import { isOwnPage } from "./loopback.ts"
import { describeLog, readiness } from "./operations.ts"
import type { ReadyPart } from "./operations.ts"

export interface Route {
  readonly method: "GET" | "POST"
  readonly answer: (request: IncomingMessage) => Promise<Answer>
}

export interface OperatorOptions {
  readonly run: <A, E>(effect: Effect.Effect<A, E, EventLog | ReadModelStore>) => Promise<A>
  readonly telemetry: Telemetry
  readonly model: SettingsModel
  /** Parts that this process runs itself, the background audit among them. */
  readonly ownParts: () => readonly ReadyPart[]
  /** Key texts handed to the dashboard for this start's token; undefined when the server listens beyond loopback. */
  readonly signIn: { readonly keys: KeyFile; readonly token: string } | undefined
  readonly version: string
}

const bearer = (request: IncomingMessage): string | undefined => /^Bearer +(\S{1,512}) *$/i.exec(request.headers.authorization ?? "")?.[1]

/** The answer to a request that no operator's key makes; undefined when one does: what these routes tell is of all tenants. */
export const operatorRefusal = (model: SettingsModel) => (request: IncomingMessage): Answer | undefined => {
  const keyText = bearer(request)
  const key = keyText === undefined ? undefined : model.verifyKey(keyText)
  if (key === undefined) return problemAnswer({ status: 401, code: "key", detail: "no valid key was sent", hint: "send an admin key: Authorization: Bearer <key>", headers: { "www-authenticate": 'Bearer realm="tidemark"' } })
  if (key.role !== "admin") return problemAnswer({ status: 403, code: "key-kind", detail: `a ${key.role} key may not do this`, hint: "use an admin key" })
  if (!key.operator) return problemAnswer({ status: 403, code: "key-scope", detail: "this admin key is its tenant's; this concerns all tenants", hint: "use the operator's key: the admin key of tenant default that the server was started with" })
  return undefined
}

const forOperator = (model: SettingsModel, answer: () => Promise<Answer>) => async (request: IncomingMessage): Promise<Answer> => operatorRefusal(model)(request) ?? answer()

/** The event store answers at least this often while it is there, ms. */
const SETTINGS_QUIET_MS_MAX = 60_000

const settingsPart = (model: SettingsModel, nowMs: number): ReadyPart => {
  const { corrupt, readAtMs } = model.health()
  const quietMs = nowMs - readAtMs
  if (corrupt !== undefined) return { name: "settings", ready: false, detail: `event ${corrupt.type} of ${corrupt.stream} cannot be read` }
  if (quietMs > SETTINGS_QUIET_MS_MAX) return { name: "settings", ready: false, detail: `the event store has not answered for ${Math.round(quietMs / 1_000)} s; keys are those known before` }
  return { name: "settings", ready: true, detail: "followed" }
}

const readParts = async ({ run, model, ownParts }: OperatorOptions) => {
  return [settingsPart(model, Date.now()), ...(await run(readiness)), ...ownParts()]
}

const noSignIn = problemAnswer({ status: 404, code: "not-found", detail: "there is no automatic sign-in here", hint: "open the dashboard and give a read key" })

const sameText = (a: string, b: string): boolean => {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}

/** Keys for the page that this server itself served since its start, to a browser on this machine. Rule: docs/security.md §1. */
const sessionAnswer = ({ signIn, version }: OperatorOptions) => async (request: IncomingMessage): Promise<Answer> => {
  const token = request.headers["tidemark-token"]
  if (signIn === undefined || !isOwnPage(request) || typeof token !== "string" || !sameText(token, signIn.token)) return noSignIn
  const { keys } = signIn
  const tenants = Object.entries(keys).flatMap(([name, { read, write, admin }]) => (read === undefined ? [] : [{ name, readKey: read, ...(write === undefined ? {} : { writeKey: write }), ...(admin === undefined ? {} : { adminKey: admin }) }]))
  if (tenants.length === 0) return problemAnswer({ status: 404, code: "not-found", detail: "no read key is known here", hint: "open the dashboard and give a read key" })
  return jsonAnswer(200, { readKey: keys["default"]?.read ?? tenants[0]?.readKey, tenants, writeKey: keys["default"]?.write, adminKey: keys["default"]?.admin, version })
}

/** By path. */
export const makeOperatorRoutes = (options: OperatorOptions): ReadonlyMap<string, Route> => {
  const { run, telemetry, model } = options
  return new Map<string, Route>([
    ["/healthz", { method: "GET", answer: async () => jsonAnswer(200, { alive: true }) }],
    ["/readyz", { method: "GET", answer: async () => {
      const parts = await readParts(options)
      const ready = parts.every((part) => part.ready)
      return jsonAnswer(ready ? 200 : 503, { ready, parts })
    } }],
    ["/metrics", { method: "GET", answer: async () => {
      telemetry.observe(await run(readFigures))
      const { contentType, text } = await telemetry.expose()
      return { status: 200, headers: { "content-type": contentType, "cache-control": "no-store" }, body: text }
    } }],
    ["/v1/log", { method: "GET", answer: forOperator(model, async () => jsonAnswer(200, (await run(describeLog)) as object)) }],
    ["/session.json", { method: "GET", answer: sessionAnswer(options) }]
  ])
}
