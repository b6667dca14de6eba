/** One snapshot for all questions of one request, so that its answers belong together. Rules: docs/semantics.md §8. */
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { ApiPorts } from "./context.ts"

export interface RequestServices {
  /** The services given, with a read-model store that opens its snapshot at the first question and hands out that one. */
  readonly services: Context.Context<ApiPorts>
  /** Releases the snapshot once no question reads it; questions that come later open one of their own. */
  readonly close: () => Promise<void>
}

/** GraphQL may answer before every field has ended, so users are counted: a snapshot is never released under one. */
export const requestServices = (services: Context.Context<ApiPorts>): RequestServices => {
  const store = Context.get(services, ReadModelStore)
  const scope = Scope.makeUnsafe()
  const opened = Effect.runSync(Effect.cached(Scope.provide(store.snapshot, scope)))
  let users = 0
  let closing = false
  const release = Effect.suspend(() => (closing && users === 0 ? Scope.close(scope, Exit.void) : Effect.void))
  const leave = Effect.suspend(() => {
    users -= 1
    return release
  })
  const snapshot = Effect.suspend(() => {
    if (closing) return store.snapshot
    users += 1
    return Effect.acquireRelease(Effect.onError(opened, () => leave), () => leave)
  })
  const close = (): Promise<void> => {
    closing = true
    return Effect.runPromise(release)
  }
  return { services: Context.add(services, ReadModelStore, { ...store, snapshot }), close }
}
