import { canonicalJson } from "@tidemark/domain/definitions/canonicalJson"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { readConfiguration } from "@tidemark/infra-wiring/configuration"
import { engines } from "@tidemark/infra-wiring/engines"
import { pageViews } from "@tidemark/projections/page-views/projection"
import { lanePartitions } from "@tidemark/projections/runtime/generationCheck"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { KEYS, ask, runCli, send } from "./processHarness.ts"
import { useProcesses } from "./useProcesses.ts"

const POLL = { timeout: 40_000, interval: 100 }
const PARTITIONS = 2
const COUNT = 300

/** Serves a generation whose definition this program reads as another one, as after an upgrade that changed a helper. */
const serveChanged = Effect.gen(function* () {
  const { logId, partitions, lanes } = (yield* EventLog).identity
  const store = yield* ReadModelStore
  const coverage = Array.from({ length: partitions }, (_, partition) => ({ partition, nextOffset: 0n }))
  const record = { projection: "page-views", generation: 1, definition: canonicalJson(pageViews), definitionHash: "of-another-program", createdAtMs: 1, logId, coverage }
  yield* store.createGeneration(record, Array.from({ length: lanes }, (_, lane) => ({ lane, partitions: lanePartitions(lane, partitions, lanes) })))
  yield* store.flip("page-views", 1, 0)
})

describe("a projection whose served generation has halted", () => {
  const { start, directory } = useProcesses("halted")

  it("is rebuilt, proved by the log, cut over with a note only, and runs again", async () => {
    const configuration = readConfiguration({ flags: new Map(), environment: { TIDEMARK_MODE: "embedded", TIDEMARK_PARTITIONS: String(PARTITIONS), TIDEMARK_DATA_DIR: directory() }, workingDirectory: directory(), terminal: false })
    await Effect.runPromise(serveChanged.pipe(Effect.provide(engines(configuration))))
    const { ingest = "", dashboard = "", graphql = "" } = await start({ TIDEMARK_PARTITIONS: String(PARTITIONS) }).ready
    const cli = (...args: readonly string[]) => runCli(dashboard, KEYS.admin, "rebuild", ...args)
    const nowMs = Date.now()
    const sendRound = async (round: number) => {
      const events = Array.from({ length: COUNT }, (_, at) => ({ id: `e${round}-${at}`, type: "page.viewed", time: new Date(nowMs - at * 1_000).toISOString(), userId: `u${at % 7}`, schemaVersion: 2, data: { page: `/${at % 5}`, durationMs: at } }))
      expect(await send(ingest, KEYS.write, events)).toMatchObject({ status: 200, body: { accepted: COUNT } })
    }
    const state = async () => ((await ask(graphql, KEYS.read, '{ projection(name: "page-views") { generation status halts { code } } }')) as { readonly data: { readonly projection: { readonly generation: number; readonly status: string; readonly halts: readonly { readonly code: string }[] } } }).data.projection
    await sendRound(0)
    await expect.poll(state, POLL).toMatchObject({ generation: 1, status: "HALTED" })
    expect((await state()).halts[0]?.code).toBe("DEFINITION_CHANGED")

    const built = await cli("start", "page-views", "--reason", "the definition reads differently", "--wait", "--yes", "--json")
    expect(built, built.notes).toMatchObject({ code: 3 })
    expect(JSON.parse(built.out)).toMatchObject({ status: "READY", parity: { compared: "0", faults: [], sample: { differing: [] }, servedHalt: { code: "DEFINITION_CHANGED", position: [{ partition: 0, offset: "0" }, { partition: 1, offset: "0" }] } } })
    expect((await cli("status", "page-views")).out).toMatch(/not compared: gen 1 has halted at 0\/0 1\/0 with DEFINITION_CHANGED: /)
    await sendRound(1)
    expect(await cli("cutover", "page-views", "--yes")).toMatchObject({ code: 3, notes: expect.stringContaining("has halted (DEFINITION_CHANGED)") as string })
    expect(await state()).toMatchObject({ generation: 1 })
    expect(await cli("cutover", "page-views", "--reason", "it stood still, and the sample holds", "--yes")).toMatchObject({ code: 0 })
    await sendRound(2)
    expect(await state()).toEqual({ generation: 2, status: "LIVE", halts: [] })
    // What has halted stands by, and is no way back.
    expect((await cli("status", "page-views")).out).toContain("standby   STANDBY_HALTED DEFINITION_CHANGED: it is no way back")
    expect(await cli("rollback", "page-views", "--yes")).toMatchObject({ code: 1, notes: expect.stringContaining("STANDBY_HALTED") as string })
    expect(await state()).toMatchObject({ generation: 2, status: "LIVE" })
    const range = { from: new Date(nowMs - 172_800_000).toISOString(), to: new Date(nowMs + 172_800_000).toISOString() }
    const counted = async () => {
      const { data } = (await ask(graphql, KEYS.read, 'query ($from: DateTime!, $to: DateTime!) { series(projection: "page-views", measures: ["views"], from: $from, to: $to, resolution: DAY) { groups { points { events } } } }', range)) as { readonly data: { readonly series: { readonly groups: readonly { readonly points: readonly { readonly events: string }[] }[] } } }
      return data.series.groups.flatMap(({ points }) => points).reduce((sum, { events }) => sum + Number(events), 0)
    }
    await expect.poll(counted, POLL).toBe(3 * COUNT)
    expect((await runCli(dashboard, KEYS.admin, "verify", "--full")).code).toBe(0)
  }, 120_000)
})
