/** One request for `/v1/events` to one answer: key, limits, body, events, in this order. Rules: docs/security.md §2, §4. */
import type { IncomingMessage } from "node:http"
import { RateLimiter } from "@tidemark/domain/ports/RateLimiter"
import type { RateLimit, RateState } from "@tidemark/domain/ports/RateLimiter"
import { makeLocalLimiter } from "@tidemark/domain/ports/tokenBuckets"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { AcceptAnswer, AcceptError, AcceptRequest, EventResult, FailureCode } from "@tidemark/commands/accept-events/acceptEvents"
import { EVENTS_MAX, splitBody } from "@tidemark/commands/accept-events/splitBody"
import type { Item, SplitItems } from "@tidemark/commands/accept-events/splitBody"
import { decodeBody, encodingFault, inflateBody, receiveBody } from "./body.ts"
import { DEFAULT_LIMITS } from "./context.ts"
import { makeHeldBytes } from "./heldBytes.ts"
import type { Holding } from "./heldBytes.ts"
import type { EventCount, IngestKey, IngestLimits, IngestMetrics, IngestOptions } from "./context.ts"
import { CORS_HEADERS, PREFLIGHT_HEADERS } from "./cors.ts"
import { importMarkOf } from "./importHeaders.ts"
import type { ImportMark } from "./importHeaders.ts"
import { admit } from "./keys.ts"
import { jsonAnswer, problemAnswer } from "./problem.ts"
import type { Answer, Problem } from "./problem.ts"
import { rateHeaders } from "./rateLimits.ts"

const RETRY_AFTER_SECONDS = 2
/** Somebody has to make room first. */
const FULL_RETRY_SECONDS = 30

/** `open`: the client may still be sending its body. */
export interface Outcome {
  readonly answer: Answer
  readonly open: boolean
}

type Accept = (request: AcceptRequest) => Effect.Effect<AcceptAnswer, AcceptError>

/** What all requests of one ingest share. */
interface Ingest {
  readonly accept: Accept
  readonly resolveKey: IngestOptions["resolveKey"]
  readonly types: ReadonlySet<string>
  readonly limits: IngestLimits
  readonly metrics: IngestMetrics
  readonly run: <A, E>(effect: Effect.Effect<A, E>) => Promise<A>
  /** Shared with other processes where there is a service for it, else of this process alone and at once. */
  readonly take: (limit: RateLimit, id: string, count: number) => RateState | Promise<RateState>
  readonly requests: RateLimit
  readonly events: RateLimit
  readonly wrongKeys: RateLimit
  readonly hold: () => Holding
}

const overLimit = (state: RateState, what: string): Problem => ({
  status: 429,
  code: "rate",
  detail: `more than ${state.limit} ${what}`,
  hint: `send again in ${state.retryAfterSeconds} s`,
  headers: { ...rateHeaders(state), "retry-after": String(state.retryAfterSeconds) },
  more: { limit: state.limit }
})

const isProblem = (value: object): value is Problem => "code" in value && "status" in value

const DRY_RUN: Readonly<Record<string, boolean>> = { "1": true, true: true, "0": false, false: false }

const dryRunOf = (query: URLSearchParams): boolean | Problem => {
  const sent = query.get("dryRun")
  const known = sent === null ? false : Object.hasOwn(DRY_RUN, sent) ? DRY_RUN[sent] : undefined
  return known ?? { status: 400, code: "query", detail: "dryRun is neither 1 nor 0", hint: "send ?dryRun=1 to check events without appending them" }
}

const HINTS: Readonly<Record<400 | 413 | 415, string>> = {
  400: "correct the body and send it again; nothing of it was stored",
  413: "send fewer events per request",
  415: "send application/json, application/x-ndjson, text/plain or a CloudEvents content type"
}

/** The body's items; "gone" when the client went away. */
const itemsOf = async (req: IncomingMessage, imported: boolean, limits: IngestLimits, holding: Holding): Promise<SplitItems | { readonly refused: Problem; readonly open: boolean } | "gone"> => {
  const encoding = req.headers["content-encoding"]
  const wrongEncoding = encodingFault(encoding)
  if (wrongEncoding !== undefined) return { refused: wrongEncoding, open: true }
  const received = await receiveBody(req, limits.bodyMsMax, holding)
  if (received.kind === "gone") return "gone"
  if (received.kind === "refused") return { refused: received.problem, open: received.open }
  const inflated = await inflateBody(received.bytes, encoding, holding)
  if (!Buffer.isBuffer(inflated)) return { refused: inflated, open: false }
  const contentType = req.headers["content-type"] ?? ""
  const decoded = decodeBody(inflated, /^\s*application\/x-ndjson\s*(;|$)/i.test(contentType))
  const header = (name: string) => {
    const value = req.headers[name]
    return Array.isArray(value) ? value[0] : value
  }
  const split = splitBody({ contentType, header, imported, headerNames: Object.keys(req.headers), ...decoded })
  if (split.kind === "items") return split
  const { status, code, detail } = split
  return { refused: { status, code, detail, hint: HINTS[status], more: code === "too-many-events" ? { limit: EVENTS_MAX, unit: "events" } : {} }, open: false }
}

const typeOf = (item: Item | undefined, types: ReadonlySet<string>): string => {
  const type = item?.kind === "event" ? item.fields.type : undefined
  return typeof type === "string" && types.has(type) ? type : "other"
}

/** `results` undefined: all of them failed. */
const countsOf = (items: readonly Item[], results: readonly EventResult[] | undefined, types: ReadonlySet<string>): readonly EventCount[] => {
  const counts = new Map<string, EventCount>()
  items.forEach((item, i) => {
    const status = results?.[i]?.status ?? "failed"
    const type = typeOf(item, types)
    const id = `${status} ${type}`
    counts.set(id, { type, status, count: (counts.get(id)?.count ?? 0) + 1 })
  })
  return [...counts.values()]
}

const FAILURES: Readonly<Record<FailureCode, (failed: number) => string>> = {
  "outcome-unknown": (failed) => `it is not known whether ${failed} events were stored`,
  "storage-full": (failed) => `${failed} events were not stored: the disk of the log is full`,
  "log-not-writable": (failed) => `${failed} events were not stored: the log cannot be written at the moment`
}

const failedProblem = ({ results, ...counts }: AcceptAnswer): Problem => {
  // One append decides about all of them, so they have one code.
  const code = results.find((result) => result.status === "failed")?.code ?? "outcome-unknown"
  return {
    status: 503,
    code,
    detail: FAILURES[code](counts.failed),
    hint: "send the same request again; events with an id are not stored twice",
    headers: { "retry-after": String(code === "storage-full" ? FULL_RETRY_SECONDS : RETRY_AFTER_SECONDS) },
    more: { ...counts, results }
  }
}

const rejectedProblem = ({ results, ...counts }: AcceptAnswer): Problem | undefined => {
  const [result] = results
  if (result?.status !== "rejected") return undefined
  const { code, pointer, detail, hint } = result
  return { status: 422, code, detail: pointer === "" ? detail : `${pointer}: ${detail}`, hint: hint ?? "correct the event and send it again; it is kept among the rejected events", more: { pointer, ...counts, results } }
}

/** A single rejected event is a problem of its own; a batch is answered event by event. */
const answerOf = (accepted: AcceptAnswer, { single, ignored }: SplitItems): Answer => {
  const problem = accepted.failed > 0 ? failedProblem(accepted) : single ? rejectedProblem(accepted) : undefined
  return problem === undefined ? jsonAnswer(200, ignored === undefined ? accepted : { ...accepted, hint: ignored }) : problemAnswer(problem)
}

const unreadable: Problem = {
  status: 503,
  code: "log-not-writable",
  detail: "the events were not stored: the log or what belongs to it does not answer",
  hint: "send the same request again",
  headers: { "retry-after": String(RETRY_AFTER_SECONDS) }
}

const DEDUPE_RETRY_SECONDS = 60

const dedupeFull: Problem = {
  status: 429,
  code: "dedupe-full",
  detail: "no event was stored: more events came within 24 hours than duplicates can be told from",
  hint: `send the same request again in ${DEDUPE_RETRY_SECONDS} s; past data goes in as an import`,
  headers: { "retry-after": String(DEDUPE_RETRY_SECONDS) }
}

const admitted = async (req: IncomingMessage, query: URLSearchParams, ingest: Ingest): Promise<IngestKey | Problem> => {
  const admission = await admit(req, query, ingest.resolveKey)
  if (!admission.admitted) {
    const state = admission.wrongKey ? await ingest.take(ingest.wrongKeys, req.socket.remoteAddress ?? "", 1) : undefined
    return state?.retryAfterSeconds === undefined ? admission.problem : overLimit(state, "wrong keys a minute from this address")
  }
  const { tenantId, keyPrefix } = admission.key
  const state = await ingest.take(ingest.requests, `${tenantId}/${keyPrefix}`, 1)
  return state.retryAfterSeconds === undefined ? admission.key : overLimit(state, "requests a second with this key")
}

interface Judged {
  readonly split: SplitItems
  readonly key: IngestKey
  readonly mark: ImportMark
  readonly dryRun: boolean
}

const acceptItems = async ({ split, key, mark, dryRun }: Judged, ingest: Ingest, startedMs: number): Promise<Answer> => {
  const { items, sentAtMs } = split
  const { tenantId, keyPrefix, strict = false } = key
  const state = await ingest.take(ingest.events, `${tenantId}/${keyPrefix}`, items.length)
  if (state.retryAfterSeconds !== undefined) return problemAnswer(overLimit(state, "events a second with this key"))
  const request: AcceptRequest = { tenantId, defaultSource: `urn:tidemark:key:${keyPrefix}`, items, sentAtMs, ...mark, strict, dryRun }
  const accepted = await ingest.run(
    Effect.match(ingest.accept(request), { onSuccess: (answer) => answer, onFailure: (error) => ({ error }) })
  )
  const count = (results: readonly EventResult[] | undefined, isAcknowledged: boolean): void => {
    if (!dryRun) ingest.metrics.eventsAnswered?.(countsOf(items, results, ingest.types), isAcknowledged ? (performance.now() - startedMs) / 1_000 : undefined)
  }
  if ("error" in accepted) {
    count(undefined, false)
    if (accepted.error._tag === "DedupeFullError") return problemAnswer(dedupeFull)
    ingest.metrics.failed?.(accepted.error)
    return problemAnswer(unreadable)
  }
  count(accepted.results, accepted.failed === 0)
  return answerOf(accepted, split)
}

const post = async (req: IncomingMessage, query: URLSearchParams, ingest: Ingest): Promise<Outcome | "gone"> => {
  const startedMs = performance.now()
  const refuse = (problem: Problem, open = true): Outcome => ({ answer: problemAnswer(problem), open })
  const key = await admitted(req, query, ingest)
  if (isProblem(key)) return refuse(key)
  const mark = importMarkOf(req, key)
  if (isProblem(mark)) return refuse(mark)
  const dryRun = dryRunOf(query)
  if (typeof dryRun === "object") return refuse(dryRun)
  const holding = ingest.hold()
  try {
    const split = await itemsOf(req, mark.backfill !== undefined, ingest.limits, holding)
    if (split === "gone") return split
    if ("refused" in split) return refuse(split.refused, split.open)
    return { answer: await acceptItems({ split, key, mark, dryRun }, ingest, startedMs), open: false }
  } finally {
    holding.release()
  }
}

const internal: Problem = { status: 500, code: "internal", detail: "something failed inside; it was logged", hint: "send the same request again; events with an id are not stored twice" }

/** Answers by method; "gone" when there is nobody to answer. Never rejects. */
const answer = async (req: IncomingMessage, ingest: Ingest): Promise<Outcome | "gone"> => {
  if (req.method === "OPTIONS") return { answer: { status: 204, headers: PREFLIGHT_HEADERS, body: "" }, open: false }
  if (req.method !== "POST") return { answer: problemAnswer({ status: 405, code: "method", detail: `${req.method} is not taken here`, hint: "send events with POST", headers: { allow: "POST, OPTIONS" } }), open: true }
  try {
    return await post(req, new URLSearchParams((req.url ?? "").split("?")[1] ?? ""), ingest)
  } catch (error) {
    ingest.metrics.failed?.(error)
    return { answer: problemAnswer(internal), open: true }
  }
}

/** Answers requests for `/v1/events`; every answer says that any origin may read it. */
export const makeAnswerEvents = Effect.fn(function* (accept: Accept, { resolveKey, schemas, metrics = {}, limits }: IngestOptions) {
  const clock = yield* Clock.Clock
  const services = yield* Effect.context<never>()
  const run = Effect.runPromiseWith(services)
  const shared = yield* Effect.serviceOption(RateLimiter)
  const takeHere = makeLocalLimiter()
  const merged: IngestLimits = { ...DEFAULT_LIMITS, ...limits }
  const ingest: Ingest = {
    accept, resolveKey, metrics,
    limits: merged,
    hold: makeHeldBytes(merged.heldBytesMax),
    types: new Set(schemas.map(({ type }) => type)),
    run,
    take: Option.isSome(shared) ? (limit, id, count) => run(shared.value.take(limit, id, count)) : (limit, id, count) => takeHere(limit, id, count, clock.currentTimeMillisUnsafe()),
    requests: { name: "ingest-requests", capacity: merged.requestsPerSecond, perSecond: merged.requestsPerSecond },
    events: { name: "ingest-events", capacity: merged.eventsPerSecond, perSecond: merged.eventsPerSecond },
    wrongKeys: { name: "ingest-wrong-keys", capacity: merged.wrongKeysPerMinute, perSecond: merged.wrongKeysPerMinute / 60 }
  }
  return async (req: IncomingMessage): Promise<Outcome | "gone"> => {
    const outcome = await answer(req, ingest)
    if (outcome === "gone") return outcome
    metrics.requestAnswered?.(outcome.answer.status, outcome.answer.code ?? "ok")
    return { ...outcome, answer: { ...outcome.answer, headers: { ...CORS_HEADERS, ...outcome.answer.headers } } }
  }
})
