import { afterEach, describe, expect, it } from "vitest"
import { KEYS, ask, runCli, send } from "./processHarness.ts"
import { useProcesses } from "./useProcesses.ts"

const POLL = { timeout: 40_000, interval: 100 }
const BATCH = 400

const SERIES = `query ($from: DateTime!, $to: DateTime!) { series(projection: "page-views", measures: ["views"], from: $from, to: $to, resolution: DAY) {
  generation pointerVersion groups { points { events measures { text } } } } top(projection: "page-views", measure: "views", by: "page", from: $from, to: $to) { generation pointerVersion } }`

interface Answer {
  readonly data?: { readonly series: { readonly generation: number; readonly pointerVersion: number; readonly groups: readonly { readonly points: readonly { readonly events: string }[] }[] }; readonly top: { readonly generation: number; readonly pointerVersion: number } }
  readonly errors?: unknown
}

describe("a rebuild on the real process", () => {
  const { start } = useProcesses("rebuild")
  const nowMs = Date.now()
  const range = { from: new Date(nowMs - 172_800_000).toISOString(), to: new Date(nowMs + 172_800_000).toISOString() }
  const events = (round: number) => Array.from({ length: BATCH }, (_, i) => ({
    id: `e${round}-${i}`, type: "page.viewed", time: new Date(nowMs - i * 100).toISOString(), userId: `u${i % 7}`, schemaVersion: 2, data: { page: `/${i % 5}`, durationMs: i }
  }))
  let polling: { isOver: boolean; readonly ended: Promise<void> } | undefined
  afterEach(async () => {
    if (polling === undefined) return
    polling.isOver = true
    await polling.ended
  })

  /** Asks all the time, counting failures and answers that mix generations. */
  const poll = (graphql: string) => {
    const found = { answers: 0, failed: 0, mixed: 0 }
    const state = { isOver: false }
    const loop = async () => {
      while (!state.isOver) {
        const { data, errors } = (await ask(graphql, KEYS.read, SERIES, range)) as Answer
        found.answers += 1
        if (data === undefined || errors !== undefined) found.failed += 1
        else if (data.series.generation !== data.top.generation || data.series.pointerVersion !== data.top.pointerVersion) found.mixed += 1
      }
    }
    polling = Object.assign(state, { ended: loop() })
    return found
  }

  it("is built beside the served one, proved, served and taken back, while events come and every query is answered", async () => {
    const { ingest = "", dashboard = "", graphql = "" } = await start({ TIDEMARK_PARTITIONS: "2", TIDEMARK_REBUILD_THREADS: "2" }).ready
    const served = async () => {
      const { data } = (await ask(graphql, KEYS.read, SERIES, range)) as Answer
      const counted = data?.series.groups.flatMap(({ points }) => points).reduce((sum, point) => sum + Number(point.events), 0)
      return [data?.series.generation, counted]
    }
    const cli = (...args: readonly string[]) => runCli(dashboard, KEYS.admin, "rebuild", ...args)
    const sendRound = async (round: number) => expect(await send(ingest, KEYS.write, events(round))).toMatchObject({ status: 200, body: { accepted: BATCH } })
    await sendRound(0)
    await expect.poll(served, POLL).toEqual([1, BATCH])
    const found = poll(graphql)

    expect(await cli("start", "page-views", "--reason", "x")).toMatchObject({ code: 0, out: expect.stringMatching(/^plan +reads .* events · .* s.*\nwrites +gen 2 beside gen 1 · ~\d[\d ]* rows · ~.* free\nemits +nothing/) as string, notes: expect.stringContaining("Nothing was changed") as string })
    expect(await runCli(dashboard, KEYS.read, "rebuild", "start", "page-views", "--reason", "x", "--yes")).toMatchObject({ code: 1, notes: expect.stringContaining("FORBIDDEN") as string })
    const [started] = await Promise.all([cli("start", "page-views", "--reason", "x", "--wait", "--yes", "--json"), sendRound(1)])
    expect(started, started.notes).toMatchObject({ code: 0 })
    const { status, parity } = JSON.parse(started.out) as { status: string; parity: Record<string, string> }
    expect([status, parity]).toEqual(["READY", expect.objectContaining({ equal: parity["compared"], differ: "0", onlyOld: "0", onlyNew: "0", faults: [] }) as unknown])
    expect(Number(parity["compared"])).toBeGreaterThan(0)
    await expect.poll(served, POLL).toEqual([1, 2 * BATCH])
    expect((await cli("diff", "page-views")).code).toBe(0)

    expect(await cli("cutover", "page-views", "--yes")).toMatchObject({ code: 0, out: expect.stringContaining("serves generation 2") as string })
    expect(await served()).toEqual([2, 2 * BATCH])
    await sendRound(2)
    await expect.poll(served, POLL).toEqual([2, 3 * BATCH])

    expect(await cli("rollback", "page-views", "--yes")).toMatchObject({ code: 0, out: expect.stringContaining("serves generation 1") as string })
    expect(await served()).toEqual([1, 3 * BATCH])
    expect(found.answers).toBeGreaterThan(50)
    expect(found).toMatchObject({ failed: 0, mixed: 0 })
  }, 120_000)

  it("goes on by itself after the process was killed, and is gone when it is aborted", async () => {
    const first = start({ TIDEMARK_PARTITIONS: "2", TIDEMARK_REBUILD_THREADS: "1" })
    const { ingest = "", graphql = "" } = await first.ready
    expect(await send(ingest, KEYS.write, events(0))).toMatchObject({ status: 200 })
    const change = async (address: string, text: string) => ((await ask(address, KEYS.admin, `mutation { ${text} { id status } }`)) as { readonly data: Record<string, { readonly id: string; readonly status: string }> }).data
    const { startRebuild } = await change(graphql, 'startRebuild(projection: "page-views", reason: "x")')
    expect(startRebuild?.status).toBe("PLANNED")
    first.child.kill("SIGKILL")
    await first.exit
    const again = (await start({ TIDEMARK_PARTITIONS: "2" }).ready)["graphql"] ?? ""
    const state = () => ask(again, KEYS.read, '{ rebuilds(projection: "page-views") { id status generation parity { differ faults } } }')
    await expect.poll(state, POLL).toMatchObject({ data: { rebuilds: [{ id: startRebuild?.id, status: "READY", generation: 2, parity: { differ: "0", faults: [] } }] } })
    expect(await change(again, `abortRebuild(id: "${startRebuild?.id}")`)).toMatchObject({ abortRebuild: { status: "ABORTED" } })
    const { startRebuild: next } = await change(again, 'startRebuild(projection: "page-views", reason: "y")')
    await expect.poll(state, POLL).toMatchObject({ data: { rebuilds: [{ id: next?.id, status: "READY", generation: 3 }, { id: startRebuild?.id, status: "ABORTED", generation: 2 }] } })
  }, 120_000)

  it("is slowed, paused, let go and aborted while it is built, and another one waits for its turn", async () => {
    const { ingest = "", dashboard = "", graphql = "" } = await start({ TIDEMARK_PARTITIONS: "2" }).ready
    // More than the lanes' owners would fold by themselves.
    for (let round = 0; round < 10; round++) expect(await send(ingest, KEYS.write, events(round))).toMatchObject({ status: 200 })
    const cli = (...args: readonly string[]) => runCli(dashboard, KEYS.admin, "rebuild", ...args)
    const state = async (projection: string) => {
      const { data } = (await ask(graphql, KEYS.read, "query ($projection: String) { rebuilds(projection: $projection) { id status throttle eventsPerSecondMax } }", { projection })) as { readonly data: { readonly rebuilds: readonly Record<string, unknown>[] } }
      return data.rebuilds[0]
    }
    expect(await cli("start", "page-views", "--reason", "x", "--rate", "100", "--yes")).toMatchObject({ code: 0 })
    await expect.poll(() => state("page-views"), POLL).toMatchObject({ status: "BUILDING", throttle: "capped at 100 events/s", eventsPerSecondMax: 100 })
    // Its threads wait for the cap most of their time, which is known before anything is committed.
    const heldBack = async () => {
      const { data } = (await ask(graphql, KEYS.read, '{ rebuilds(projection: "page-views") { progress { time { throttle } } } }', {})) as { readonly data: { readonly rebuilds: readonly { readonly progress: { readonly time: { readonly throttle: number } | null } | null }[] } }
      return data.rebuilds[0]?.progress?.time?.throttle ?? 0
    }
    await expect.poll(heldBack, POLL).toBeGreaterThan(0.5)
    const metrics = async () => (await fetch(new URL("/metrics", dashboard))).text()
    await expect.poll(metrics, POLL).toMatch(/^tidemark_rebuild_allowed_events_per_second\{projection="page-views"\} 100$/m)
    expect(await cli("start", "event-counts", "--reason", "y", "--yes")).toMatchObject({ code: 0 })
    await expect.poll(() => state("event-counts"), POLL).toMatchObject({ status: "PLANNED", throttle: "waits: 1 at a time" })
    expect((await cli("status", "page-views")).out).toMatch(/^throttle {2}capped at 100 events\/s$/m)
    expect(await cli("pause", "page-views", "--yes")).toMatchObject({ code: 0 })
    await expect.poll(() => state("event-counts"), POLL).toMatchObject({ status: "READY", throttle: null })
    expect(await state("page-views")).toMatchObject({ status: "PAUSED" })
    expect(await cli("cap", "page-views", "--rate", "none", "--yes")).toMatchObject({ code: 0 })
    expect(await cli("resume", "page-views", "--yes")).toMatchObject({ code: 0 })
    await expect.poll(() => state("page-views"), POLL).toMatchObject({ status: "READY", eventsPerSecondMax: null })
    expect(await cli("abort", "page-views", "--yes")).toMatchObject({ code: 0 })
    expect(await cli("start", "page-views", "--reason", "z", "--rate", "1", "--yes")).toMatchObject({ code: 0 })
    await expect.poll(() => state("page-views"), POLL).toMatchObject({ status: "BUILDING" })
    expect(await cli("abort", "page-views", "--yes")).toMatchObject({ code: 0 })
    expect(await cli("start", "page-views", "--reason", "again", "--yes", "--wait")).toMatchObject({ code: 0 })
  }, 120_000)

  it("waits where its projection is paused, which stays so over a restart and answers meanwhile", async () => {
    const first = start({ TIDEMARK_PARTITIONS: "2" })
    const { ingest = "", dashboard = "", graphql = "" } = await first.ready
    const rebuildOf = async (address: string) => {
      const { data } = (await ask(address, KEYS.read, '{ rebuilds(projection: "page-views") { status throttle } }')) as { readonly data: { readonly rebuilds: readonly Record<string, unknown>[] } }
      return data.rebuilds[0]
    }
    const counted = async (address: string) => {
      const { data } = (await ask(address, KEYS.read, SERIES, range)) as Answer
      return data?.series.groups.flatMap(({ points }) => points).reduce((sum, point) => sum + Number(point.events), 0)
    }
    expect(await send(ingest, KEYS.write, events(0))).toMatchObject({ status: 200 })
    await expect.poll(() => counted(graphql), POLL).toBe(BATCH)
    expect(await runCli(dashboard, KEYS.admin, "projections", "pause", "page-views", "--reason", "x")).toMatchObject({ code: 0, out: "", notes: expect.stringContaining("add --yes") as string })
    expect(await runCli(dashboard, KEYS.admin, "projections", "pause", "page-views", "--reason", "the disk is moved", "--yes")).toMatchObject({ code: 0, out: expect.stringContaining("page-views is paused") as string })
    first.child.kill("SIGKILL")
    await first.exit

    const again = await start({ TIDEMARK_PARTITIONS: "2" }).ready
    const [url = "", newer = ""] = [again["dashboard"], again["graphql"]]
    expect(await send(again["ingest"] ?? "", KEYS.write, events(1))).toMatchObject({ status: 200, body: { accepted: BATCH } })
    expect(await runCli(url, KEYS.admin, "rebuild", "start", "page-views", "--reason", "x", "--yes")).toMatchObject({ code: 0 })
    await expect.poll(() => rebuildOf(newer), POLL).toEqual({ status: "CATCHING_UP", throttle: "waits: page-views is paused" })
    // Every other projection has folded the second round by now: the rebuild has read it.
    expect(await counted(newer)).toBe(BATCH)
    expect(await runCli(url, KEYS.admin, "projections", "ls")).toMatchObject({ code: 0, out: expect.stringMatching(/^page-views +1 +paused [^]*‖ page-views paused at \S+ by \w+: the disk is moved/m) as string })
    const { parts } = (await (await fetch(new URL("/readyz", url))).json()) as { readonly parts: readonly { readonly name: string; readonly ready: boolean; readonly detail: string }[] }
    expect(parts.find(({ name }) => name === "projection page-views")).toMatchObject({ ready: true, detail: expect.stringMatching(/^PAUSED by \w+: the disk is moved, generation 1, /) as string })
    expect(await runCli(url, KEYS.admin, "projections", "resume", "page-views", "--yes")).toMatchObject({ code: 0 })
    await expect.poll(() => counted(newer), POLL).toBe(2 * BATCH)
    await expect.poll(() => rebuildOf(newer), POLL).toMatchObject({ status: "READY" })
  }, 120_000)
})
