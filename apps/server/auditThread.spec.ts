import { NO_FIGURES } from "@tidemark/replay/verifyAudit"
import type { AuditFigures } from "@tidemark/replay/verifyAudit"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describe, expect, it } from "vitest"
import { makeAudit } from "./auditThread.ts"
import type { CheckEvents } from "./checkThread.ts"

describe("the audit of a server", () => {
  it("tells what was recomputed, what differs, and what was skipped and why, over the threads that have ended", async () => {
    const threads: CheckEvents[] = []
    const told: unknown[] = []
    const line = () => {}
    const known = ["live"]
    const audit = makeAudit((_task, events) => {
      threads.push(events)
      return async () => {}
    }, 1, () => known, { log: { info: line, warn: line, error: line }, audited: (figures) => void told.push(figures) })
    expect(audit.part()).toEqual({ name: "audit", ready: true, detail: "0 windows recomputed, 0 differ" })
    expect(audit.state()).toMatchObject({ windows: 0, differing: 0, lastAtMs: null, difference: null })
    const say = (figures: AuditFigures, difference?: string) => threads.at(-1)?.message({ kind: "audited", figures, difference }, () => {})
    const first = Effect.runFork(audit.run)
    await Effect.runPromise(Effect.yieldNow)
    known.push("imports only")
    threads[0]?.message({ kind: "tenants" }, (answer) => void told.push(answer))
    expect(told).toEqual([{ tenants: ["live", "imports only"] }])
    say({ ...NO_FIGURES, windows: 3, skipped: { ...NO_FIGURES.skipped, records: 2 } })
    expect(audit.part().detail).toBe("3 windows recomputed, 0 differ; skipped: 2 of too many records")
    expect(audit.state()).toMatchObject({ windows: 3, differing: 0, difference: null, lastAtMs: expect.any(Number) as number })
    threads[0]?.exit("it died")
    await Effect.runPromise(Fiber.interrupt(first))
    const second = Effect.runFork(audit.run)
    await Effect.runPromise(Effect.yieldNow)
    say({ ...NO_FIGURES, windows: 4, differing: 1, skipped: { ...NO_FIGURES.skipped, records: 1, retained: 1 } }, "page-views …")
    expect(audit.part().detail).toBe("7 windows recomputed, 1 differ: run tidemark verify --full; skipped: 3 of too many records, 1 no longer in the log")
    const { lastAtMs, difference } = audit.state()
    expect([audit.state(), difference]).toMatchObject([{ windows: 7, differing: 1, skipped: { records: 3, retained: 1 } }, { atMs: lastAtMs, text: "page-views …" }])
    expect(told.at(-1)).toEqual({ windows: 7, differing: 1, skipped: { ...NO_FIGURES.skipped, records: 3, retained: 1 } })
    await Effect.runPromise(Fiber.interrupt(second))
  })
})
