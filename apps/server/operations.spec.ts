import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pauseProjection, resumeProjection } from "@tidemark/commands/projections/pauseProjection"
import { EventLog, LogIdentityError, LogUnavailableError } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore, StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import { readConfiguration } from "@tidemark/infra-wiring/configuration"
import { engines } from "@tidemark/infra-wiring/engines"
import { verify } from "@tidemark/replay/verify"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { conservationFault, describeLog, readiness } from "./operations.ts"

const none = { records: 0n, system: 0n, events: 0n, folded: 0n, held: 0n, duplicate: 0n, deadLettered: 0n, filtered: 0n, late: 0n, applied: 0n }
const checkpoint = (nextOffset: bigint, counters: Partial<typeof none>) => ({
  partition: 0, nextOffset, lastRecordHash: "", counters: { ...none, ...counters }, receivedMaxMs: null, heartbeatMaxMs: null, tenantMaxMs: new Map<string, number>()
})

describe("conservation", () => {
  const balanced = { records: 9n, system: 2n, events: 7n, folded: 3n, held: 1n, duplicate: 1n, deadLettered: 1n, filtered: 1n, late: 2n, applied: 1n }

  it("balances when every record is accounted for, counted from the first offset folded", () => {
    expect(conservationFault(checkpoint(9n, balanced), 0n)).toBeUndefined()
    expect(conservationFault(checkpoint(12n, balanced), 3n)).toBeUndefined()
  })

  it.each(Object.keys(none))("names the imbalance when %s is one too high", (name) => {
    const counters = { ...balanced, [name]: balanced[name as keyof typeof balanced] + 1n }
    expect(conservationFault(checkpoint(9n, counters), 0n)).toMatch(/≠|passed/)
  })
})

describe("a running server", () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tidemark-operations-"))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  it("says what is ready, what is behind and what is halted, and verifies its log", async () => {
    const configuration = readConfiguration({ flags: new Map(), environment: { TIDEMARK_PARTITIONS: "2" }, workingDirectory: directory, terminal: false })
    await Effect.runPromise(
      Effect.gen(function* () {
        const store = yield* ReadModelStore
        const { identity } = yield* EventLog
        const record = { projection: "p", generation: 1, definition: "{}", definitionHash: "h", createdAtMs: 1, logId: identity.logId, coverage: [] }
        yield* store.createGeneration(record, [{ lane: 0, partitions: [0] }, { lane: 1, partitions: [1] }])
        yield* store.flip("p", 1, 0)
        expect(yield* readiness).toEqual([
          { name: "log", ready: true, detail: "2 records in 2 partitions" },
          { name: "projection p", ready: true, detail: "generation 1, 2 records behind" }
        ])
        const snapshot = Effect.map(store.snapshot, (opened) => ({ ...opened, staleViews: Effect.succeed([{ projection: "p", view: "tidemark.rm_p", generation: 4, reason: "session 7 (analyst) holds it" }]) }))
        expect((yield* Effect.provideService(readiness, ReadModelStore, { ...store, snapshot }))[1]).toEqual({
          name: "projection p", ready: true, detail: "generation 1, 2 records behind, DEGRADED: the view tidemark.rm_p shows generation 4: session 7 (analyst) holds it"
        })
        yield* pauseProjection("p", { actor: "tm_admin", reason: "disk is moved" })
        expect((yield* readiness)[1]).toEqual({ name: "projection p", ready: true, detail: "PAUSED by tm_admin: disk is moved, generation 1, 2 records behind" })
        yield* resumeProjection("p")
        yield* store.recordHalt({ projection: "p", generation: 1, lane: 0, code: "LOG_GAP", detail: "[3, 5)", atMs: 1 })
        expect((yield* readiness)[1]).toEqual({ name: "projection p", ready: false, detail: "HALTED LOG_GAP: [3, 5)" })
        expect(yield* describeLog).toMatchObject({ logId: identity.logId, bounds: [{ partition: 0, start: "0", end: "1" }, { partition: 1 }] })
        expect(yield* verify({ full: false, tenants: [], progress: () => {} })).toMatchObject({ ok: true, conservation: [], log: [{ partition: 0, records: "1", error: null }, { partition: 1 }] })
      }).pipe(Effect.provide(engines(configuration)))
    )
  })

  it("stays able to say which engine does not answer, and what it does not know because of it", async () => {
    const configuration = readConfiguration({ flags: new Map(), environment: {}, workingDirectory: directory, terminal: false })
    await Effect.runPromise(
      Effect.gen(function* () {
        const log = yield* EventLog
        const store = yield* ReadModelStore
        yield* store.createGeneration({ projection: "p", generation: 1, definition: "{}", definitionHash: "h", createdAtMs: 1, logId: log.identity.logId, coverage: [] }, [{ lane: 0, partitions: [0] }])
        yield* store.flip("p", 1, 0)
        const away = { ...log, bounds: () => Effect.fail(new LogUnavailableError({ cause: new Error("no broker") })) }
        expect(yield* Effect.provideService(readiness, EventLog, away)).toEqual([
          { name: "log", ready: false, detail: "does not answer: no broker" },
          { name: "projection p", ready: false, detail: "generation 1, how far behind is not known" }
        ])
        const replaced = { ...log, bounds: () => Effect.fail(new LogUnavailableError({ cause: new LogIdentityError({ logId: "l", detail: "topic raw-events was deleted and made anew" }) })) }
        expect((yield* Effect.provideService(readiness, EventLog, replaced))[0]).toEqual({ name: "log", ready: false, detail: "is not the log that was opened: topic raw-events was deleted and made anew" })
        const down = { ...store, snapshot: Effect.fail(new StoreUnavailableError({ store: "postgres", cause: new Error("refused") })) }
        expect((yield* Effect.provideService(readiness, ReadModelStore, down)).slice(1)).toEqual([{ name: "read models", ready: false, detail: "postgres does not answer: refused" }])
      }).pipe(Effect.provide(engines(configuration)))
    )
  })
})
