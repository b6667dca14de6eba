/** The background audit of this server: runs in a thread of its own, is started again when it dies, tells its figures. */
import type { AuditFigures } from "@tidemark/replay/verifyAudit"
import * as Effect from "effect/Effect"
import type { StartCheck } from "./checkThread.ts"
import type { Telemetry } from "./context.ts"
import type { ReadyPart } from "./operations.ts"

const START_AGAIN_MS = 60_000

export interface Audit {
  /** Until interrupted. */
  readonly run: Effect.Effect<never>
  /** What was found since the start. A difference is shown and logged; it does not turn traffic away. */
  readonly part: () => ReadyPart
}

/** `seed`: of the choice of windows. */
export const makeAudit = (startCheck: StartCheck, seed: number, { log, audited }: Pick<Telemetry, "log" | "audited">): Audit => {
  /** Found by threads that have ended, and in all. */
  let ended: AuditFigures = { windows: 0, differing: 0 }
  let total = ended
  const take = (figures: AuditFigures, difference: string | undefined): void => {
    total = { windows: ended.windows + figures.windows, differing: ended.differing + figures.differing }
    audited(total)
    if (difference !== undefined) log.error({ difference, differing: total.differing }, "the audit found a window that is not what the log says")
  }
  const once = Effect.callback<void>((resume) => {
    let stopping = false
    const end = startCheck({ kind: "audit", seed }, {
      message: (message) => {
        if (message.kind === "audited") take(message.figures, message.difference)
      },
      exit: (cause) => {
        if (stopping) return
        ended = total
        log.warn({ cause: cause ?? "it ended" }, "the audit broke off and goes on later")
        resume(Effect.void)
      }
    })
    return Effect.promise(() => {
      stopping = true
      return end()
    })
  })
  return {
    run: Effect.forever(Effect.andThen(once, Effect.sleep(START_AGAIN_MS))),
    part: () => ({ name: "audit", ready: true, detail: `${total.windows} windows recomputed, ${total.differing} differ${total.differing === 0 ? "" : ": run tidemark verify --full"}` })
  }
}
