/** The background audit of this server: runs in a thread of its own, is started again when it dies, tells its figures. */
import type { AuditState } from "@tidemark/api/context"
import { SKIP_REASONS } from "@tidemark/replay/auditWindow"
import { NO_FIGURES, addFigures } from "@tidemark/replay/verifyAudit"
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
  /** The same in figures, and when. */
  readonly state: () => AuditState
}

/** In words, by reason. */
const SKIPPED = { records: "of too many records", time: "read too slowly", keys: "of too many keys", retained: "no longer in the log", definition: "of a definition unknown here" } as const

const detailOf = ({ windows, differing, skipped }: AuditFigures): string => {
  const reasons = SKIP_REASONS.filter((reason) => skipped[reason] > 0).map((reason) => `${skipped[reason]} ${SKIPPED[reason]}`)
  return `${windows} windows recomputed, ${differing} differ${differing === 0 ? "" : ": run tidemark verify --full"}${reasons.length === 0 ? "" : `; skipped: ${reasons.join(", ")}`}`
}

/** `seed`: of the choice of windows. `tenants`: those of whom there may be windows, now. */
export const makeAudit = (startCheck: StartCheck, seed: number, tenants: () => readonly string[], { log, audited }: Pick<Telemetry, "log" | "audited">): Audit => {
  /** Found by threads that have ended, and in all. */
  let ended = NO_FIGURES
  let total = ended
  const startedAtMs = Date.now()
  let lastAtMs: number | null = null
  let found: AuditState["difference"] = null
  const take = (figures: AuditFigures, difference: string | undefined): void => {
    total = addFigures(ended, figures)
    audited(total)
    lastAtMs = Date.now()
    if (difference === undefined) return
    found = { atMs: lastAtMs, text: difference }
    log.error({ difference, differing: total.differing }, "the audit found a window that is not what the log says")
  }
  const once = Effect.callback<void>((resume) => {
    let stopping = false
    const end = startCheck({ kind: "audit", seed }, {
      message: (message, answer) => {
        if (message.kind === "tenants") answer({ tenants: tenants() })
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
    part: () => ({ name: "audit", ready: true, detail: detailOf(total) }),
    state: () => ({ startedAtMs, windows: total.windows, differing: total.differing, skipped: total.skipped, lastAtMs, difference: found })
  }
}
