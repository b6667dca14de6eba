/** What every resolver gets: who asks, and how a question is run. */
import type { EventLog } from "@tidemark/domain/ports/EventLog"
import type { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import type { PubSub } from "@tidemark/domain/ports/PubSub"
import type { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { RejectedLog } from "@tidemark/domain/ports/RejectedLog"
import type { SearchIndex } from "@tidemark/domain/ports/SearchIndex"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Context from "effect/Context"
import { toGraphQLError } from "./errors.ts"
import type { LateDesk } from "./lateDesk.ts"
import type { RebuildDesk } from "./rebuildDesk.ts"
import type { RedriveDesk } from "./redriveDesk.ts"

/** Everything a question may need. */
export type ApiPorts = ReadModelStore | EventLog | PartitionIndex | SearchIndex | RejectedLog | PubSub

/** Whom a key belongs to. */
export interface KeyHolder {
  readonly tenantId: string
  readonly kind: "write" | "read" | "admin"
  /** An admin key that acts for all tenants. */
  readonly operator?: boolean
  /** Names the key in audit trails; tells nothing of it. */
  readonly keyPrefix?: string
}

/** Counts and times; no tenant or key among them. */
export interface ApiMetrics {
  readonly queryAnswered?: (operation: string, seconds: number) => void
  /** A question to the result cache: was the answer there? */
  readonly cacheAsked?: (operation: string, hit: boolean) => void
  readonly subscriptionClients?: (delta: 1 | -1) => void
  /** A failure that clients see without its cause. */
  readonly failed?: (operation: string, error: unknown) => void
}

/** What the background audit of this process has found since its start. */
export interface AuditState {
  readonly startedAtMs: number
  readonly windows: number
  readonly differing: number
  readonly skipped: Readonly<Record<string, number>>
  /** When the last window was looked at; null before the first. */
  readonly lastAtMs: number | null
  /** The last one that was found; null while there is none. */
  readonly difference: { readonly atMs: number; readonly text: string } | null
}

/** What all requests share. */
export interface ApiBase {
  readonly services: Context.Context<ApiPorts>
  readonly metrics: ApiMetrics
  readonly late: LateDesk
  /** Absent: this process takes no events, and what became of refused ones is not shown here. */
  readonly redrives?: RedriveDesk
  /** Absent: rebuilds are neither shown nor changed here. */
  readonly rebuilds?: RebuildDesk
  /** Absent: this process runs no audit. */
  readonly audit?: () => AuditState
  /** Notes a wrong key from this address; answers the seconds to wait when there were too many, in all processes that share their limits. */
  readonly wrongKey: (address: string) => Promise<number | undefined>
  /** Answers that took less than this to make, ms, are not kept in the result cache. */
  readonly keepAnswersFromMs: number
}

/** What one request's resolvers get. */
export interface ApiContext extends ApiBase {
  /** From the key; nothing a client sends can name another one. */
  readonly tenantId: string
  readonly kind: KeyHolder["kind"]
  /** May act for all tenants. */
  readonly operates: boolean
  /** Who acts, for audit trails. */
  readonly actor: string
}

/** What a request gets of its key. */
export const contextOf = (api: ApiBase, { tenantId, kind, operator, keyPrefix }: KeyHolder): ApiContext => ({ ...api, tenantId, kind, operates: kind === "admin" && operator === true, actor: keyPrefix ?? kind })

const ANSWER_MS_MAX = 10_000

/** Answers one question within 10 s, measured, its failure mapped. */
export const ask = async <A, E>(context: ApiContext, operation: string, question: Effect.Effect<A, E, ApiPorts>): Promise<A> => {
  const startedMs = performance.now()
  try {
    return await Effect.runPromiseWith(context.services)(Effect.timeout(question, ANSWER_MS_MAX))
  } catch (error) {
    context.metrics.failed?.(operation, error)
    throw toGraphQLError(error)
  } finally {
    context.metrics.queryAnswered?.(operation, (performance.now() - startedMs) / 1_000)
  }
}

/** A live answer as GraphQL wants it. `return` ends it at once, also while it waits for news. */
export const follow = <A, B, E>(context: ApiContext, operation: string, stream: Stream.Stream<A, E, ApiPorts>, shape: (item: A) => B): AsyncIterableIterator<B> => {
  const items = Stream.toAsyncIterableWith(stream, context.services)[Symbol.asyncIterator]()
  const done = { done: true, value: undefined } as const
  let ended = false
  const live: AsyncIterableIterator<B> = {
    [Symbol.asyncIterator]: () => live,
    next: async () => {
      if (ended) return done
      try {
        const item = await items.next()
        return item.done === true ? done : { done: false, value: shape(item.value) }
      } catch (error) {
        if (ended) return done
        ended = true
        context.metrics.failed?.(operation, error)
        throw toGraphQLError(error)
      }
    },
    return: async () => {
      ended = true
      await items.return?.()
      return done
    }
  }
  return live
}
