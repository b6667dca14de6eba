/** The connection to Elasticsearch: what is asked, what is answered, and when an answer counts as none. */
import { Client } from "@elastic/elasticsearch"
import { SearchUnavailableError } from "@tidemark/domain/ports/SearchIndex"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"

/** Elasticsearch does not answer at start. `url` is without user and password. */
export class ElasticsearchUnreachableError extends Schema.TaggedError<ElasticsearchUnreachableError>()("ElasticsearchUnreachableError", { url: Schema.String, cause: Schema.Defect() }) {}

export interface ElasticsearchSettings {
  /** `http://[user:password@]host:port`, or `https:`. */
  readonly url: string
  /** Comes before every index name, so that several installations may share a cluster. */
  readonly namespace: string
}

/** An answer of the engine, whatever its status. */
export interface Answer {
  readonly status: number
  readonly body: unknown
}

export interface Elasticsearch {
  /** Fails only when there is no answer: no connection, none within `maxMs` (30 s), a status of 429 or from 500 on. */
  readonly ask: (method: "GET" | "POST" | "PUT" | "DELETE", path: string, body?: object | string, maxMs?: number) => Promise<Answer>
  /** As `ask`, and any status but 2xx is a failure too. */
  readonly need: (method: "GET" | "POST" | "PUT" | "DELETE", path: string, body?: object | string, maxMs?: number) => Promise<unknown>
}

const ANSWER_MAX_MS = 30_000
const START_MAX_MS = 5_000

/** The engine said no. */
export class ElasticsearchAnswerError extends Error {
  readonly status: number

  constructor(path: string, { status, body }: Answer) {
    super(`${path} answered ${status}: ${JSON.stringify(body).slice(0, 500)}`)
    this.status = status
  }
}

const isNoAnswer = (status: number): boolean => status === 429 || status >= 500

const makeElasticsearch = (client: Client): Elasticsearch => {
  const ask: Elasticsearch["ask"] = async (method, path, body, maxMs = ANSWER_MAX_MS) => {
    const [name = "", querystring = ""] = path.split("?")
    const sent = body === undefined ? {} : typeof body === "string" ? { bulkBody: body } : { body }
    const { statusCode: status, body: answered } = await client.transport.request(
      { method, path: name, querystring, ...sent }, { meta: true, requestTimeout: maxMs, maxRetries: 0, ignore: [400, 403, 404, 405, 409, 413] }
    )
    const answer = { status, body: answered }
    if (isNoAnswer(status)) throw new ElasticsearchAnswerError(name, answer)
    return answer
  }
  return {
    ask,
    need: async (method, path, body, maxMs) => {
      const answer = await ask(method, path, body, maxMs)
      if (answer.status >= 300) throw new ElasticsearchAnswerError(path, answer)
      return answer.body
    }
  }
}

const withoutSecrets = (url: string): string => url.replace(/\/\/[^@/]*@/, "//")

/** What the engine does not answer is unavailable; trying again later is safe. */
export const orUnavailable = <A>(call: () => Promise<A>): Effect.Effect<A, SearchUnavailableError> => Effect.tryPromise({ try: call, catch: (cause) => new SearchUnavailableError({ cause }) })

/** A connection whose engine answers, closed with the scope. */
export const connectElasticsearch = ({ url }: ElasticsearchSettings): Effect.Effect<Elasticsearch, ElasticsearchUnreachableError, Scope.Scope> =>
  Effect.gen(function* () {
    const failed = (cause: unknown) => new ElasticsearchUnreachableError({ url: withoutSecrets(url), cause })
    const client = yield* Effect.acquireRelease(
      Effect.try({ try: () => new Client({ node: url }), catch: failed }),
      (held) => Effect.promise(() => held.close())
    )
    yield* Effect.tryPromise({ try: () => client.cluster.health({}, { requestTimeout: START_MAX_MS, maxRetries: 0 }), catch: failed })
    return makeElasticsearch(client)
  })
