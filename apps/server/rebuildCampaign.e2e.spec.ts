/**
 * The whole way of a mended projection on the real process: a wrong filter is served, the fix is shipped and offered, built
 * beside the live one while events come and questions are asked all the time, proved, shown window by window, served,
 * taken back and served again. Everything is held against plain counts that share no code with the product.
 */
import { readConfiguration } from "@tidemark/infra-wiring/configuration"
import { engines } from "@tidemark/infra-wiring/engines"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { KEYS, ask, runCli } from "./processHarness.ts"
import { DEFAULT_TENANT, askAll, checkDifferences, checkRows, listAll, readLog, sendAll, servedTo, timeMoves, useLoops, wrong } from "./rebuildLoad.ts"
import type { View } from "./rebuildLoad.ts"
import { useProcesses } from "./useProcesses.ts"

const POLL = { timeout: 150_000, interval: 100 }
const ANSWERS_MIN = 10_000
const ASKERS = [DEFAULT_TENANT, DEFAULT_TENANT, DEFAULT_TENANT, DEFAULT_TENANT]
const PARTITIONS = "2"
/** Ways back and forth that are timed; machines differ, so that none hangs is all that is demanded of each, ms. */
const MOVES = 15
const MOVE_MS_MAX = 5_000

describe("a projection with a wrong filter", () => {
  const { start, directory } = useProcesses("campaign")
  const beside = useLoops()

  it("is mended beside the live one: exactly the differing windows, and every question answered, from one generation each", async () => {
    const configuration = readConfiguration({ flags: new Map(), environment: { TIDEMARK_MODE: "embedded", TIDEMARK_PARTITIONS: PARTITIONS, TIDEMARK_DATA_DIR: directory() }, workingDirectory: directory(), terminal: false })
    await Effect.runPromise(ensureGenerations([wrong]).pipe(Effect.provide(engines(configuration))))
    const { ingest = "", dashboard = "", graphql = "" } = await start({ TIDEMARK_PARTITIONS: PARTITIONS }).ready
    const cli = (...args: readonly string[]) => runCli(dashboard, KEYS.admin, "rebuild", ...args)
    const served = () => servedTo(graphql, DEFAULT_TENANT)
    const counted = async () => (await served()).events
    const sent: View[] = []

    const load = sendAll(ingest, [DEFAULT_TENANT], sent, beside)
    const found = askAll(graphql, ASKERS, beside)
    await expect.poll(() => sent.length, POLL).toBeGreaterThan(3_000)
    // The fix is shipped: the wrong generation stays the served one, the rebuild is offered and nothing was started.
    expect(await ask(graphql, KEYS.read, '{ projection(name: "page-views") { generation rebuildOffered } rebuilds(projection: "page-views") { id } }')).toEqual({ data: { projection: { generation: 1, rebuildOffered: true }, rebuilds: [] } })
    expect(await counted()).toBeLessThan(sent.length)

    const built = await cli("start", "page-views", "--reason", "internal views were left out", "--wait", "--yes", "--json")
    expect(built, built.notes).toMatchObject({ code: 3 })
    const { id, parity } = JSON.parse(built.out) as { readonly id: string; readonly parity: { readonly faults: readonly string[]; readonly sample: { readonly windows: number; readonly differing: readonly string[] }; readonly position: readonly { readonly partition: number; readonly offset: string }[] } }
    expect(parity).toMatchObject({ faults: [], sample: { differing: [] } })
    expect(parity.sample.windows).toBeGreaterThan(30)
    const differences = await listAll(dashboard, DEFAULT_TENANT, 100)
    expect(await cli("cutover", "page-views", "--yes")).toMatchObject({ code: 3 })
    expect((await served()).generation).toBe(1)

    for (const [verb, generation] of [["cutover", 2], ["rollback", 1], ["cutover", 2]] as const) {
      const before = found.answers
      expect(await cli(verb, "page-views", ...(verb === "cutover" ? ["--reason", "internal views count"] : []), "--yes"), verb).toMatchObject({ code: 0 })
      expect((await served()).generation).toBe(generation)
      await expect.poll(() => found.answers, POLL).toBeGreaterThan(before + 200)
    }
    const moves = await timeMoves(graphql, DEFAULT_TENANT, { id, generation: 2, fromGeneration: 1 }, MOVES)
    process.stdout.write(`cut-over and rollback under load, ms: ${JSON.stringify(moves)}\n`)
    for (const { max } of Object.values(moves)) expect(max).toBeLessThan(MOVE_MS_MAX)
    await expect.poll(() => found.answers, POLL).toBeGreaterThanOrEqual(ANSWERS_MIN)
    await load.stop()
    await expect.poll(counted, POLL).toBe(sent.length)
    expect(found).toMatchObject({ failed: 0, mixed: 0, back: 0, failures: [], generations: new Set([1, 2]) })
    expect(await ask(graphql, KEYS.read, `{ rebuild(id: "${id}") { status parity { accepted } } }`)).toEqual({ data: { rebuild: { status: "ACTIVE", parity: { accepted: "internal views count" } } } })
    await checkRows(graphql, DEFAULT_TENANT, 2, sent)
    checkDifferences(differences, await readLog(graphql, DEFAULT_TENANT, sent), parity.position)
  }, 420_000)
})
