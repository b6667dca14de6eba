/** What serving needs from the process that runs it. */
import type { StartThread } from "@tidemark/projector/projectorPool"
import type * as Deferred from "effect/Deferred"
import type { Announcer } from "./announce.ts"
import type { StartCheck } from "./checkThread.ts"
import type { ServerSettings, Telemetry } from "./context.ts"
import type { StartError } from "./startError.ts"

export interface ServeOptions {
  readonly settings: ServerSettings
  readonly telemetry: Telemetry
  readonly announcer: Announcer
  readonly startThread: StartThread
  readonly startCheck: StartCheck
  /** The built dashboard. */
  readonly dashboardDirectory: string
  readonly version: string
  /** Completes when the process is asked to stop; fails when it has to. */
  readonly end: Deferred.Deferred<void, StartError>
}
