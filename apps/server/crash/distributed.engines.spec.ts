import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { readConfiguration } from "@tidemark/infra-wiring/configuration"
import { engines } from "@tidemark/infra-wiring/engines"
import type { Engines } from "@tidemark/infra-wiring/engines"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { afterEach, beforeEach, describe, expect, it, onTestFailed } from "vitest"
import { Client, FUTURE_MINUTES_MAX } from "./client.ts"
import { Cluster } from "./cluster.ts"
import { balance, balanceLog } from "./history.ts"
import { SeededRandom } from "./random.ts"
import { caughtUp, countDeadLetters, readLogIds, readWindows, verifyFull } from "./readBack.ts"
import { compareCopies } from "./searchCopies.ts"
import { takenOver } from "./takeOvers.ts"
import { TENANTS, createTenants } from "./tenants.ts"

/** `TIDEMARK_CAMPAIGN=full`: the whole campaign; the bounded one otherwise. */
const FULL = process.env["TIDEMARK_CAMPAIGN"] === "full"
const SEED = Number(process.env["TIDEMARK_CAMPAIGN_SEED"] ?? randomBytes(3).readUIntBE(0, 3))
const ROUNDS = FULL ? 5 : 1
const KILLS_A_ROUND = 4
const GUESTS_A_ROUND = FULL ? 4 : 1
const EVENTS = FULL ? 200_000 : 12_000
/** Made in a second at most while there are faults, so that events come as long as they do: whoever is stopped has something to commit. */
const EVENTS_A_SECOND = 120
const CLIENTS = 3
const HISTORY_MS = 3_100 * 60_000
const FUTURE_MS = (FUTURE_MINUTES_MAX + 60) * 60_000
const CAUGHT_UP_MS_MAX = 120_000
/** Of the kills, those that are followed by another one while the process starts, and when that comes at the latest. */
const STARTING = 0.4
const STARTING_MS_MAX = 1_500

describe("the distributed mode under faults", () => {
  let directory: string
  let cluster: Cluster
  /** The engines as the comparisons of this process use them. */
  let runtime: ManagedRuntime.ManagedRuntime<Engines, unknown>
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tidemark-cluster-"))
    cluster = new Cluster({
      entry: fileURLToPath(new URL("../dist/main.js", import.meta.url)), directory, namespace: `crash${randomBytes(4).toString("hex")}`, partitions: 8,
      root: fileURLToPath(new URL("../../..", import.meta.url)), takenOver: (lanes, maxMs) => runtime.runPromise(takenOver(lanes, maxMs))
    })
    const environment = { ...cluster.environment, TIDEMARK_DATA_DIR: join(directory, "comparing") }
    runtime = ManagedRuntime.make(engines(readConfiguration({ flags: new Map(), environment, workingDirectory: directory, terminal: false })))
  })
  afterEach(async () => {
    await cluster.stop()
    await runtime.dispose()
    rmSync(directory, { recursive: true, force: true })
  })

  const round = async (random: SeededRandom) => {
    for (let kill = 0; kill < KILLS_A_ROUND; kill++) {
      await sleep(random.between(0, 2_500))
      await cluster.kill(random.pick(["ingest", "projector-1", "projector-2"]), random.chance(STARTING) ? random.between(0, STARTING_MS_MAX) : undefined)
    }
    await cluster.storm(GUESTS_A_ROUND, () => random.between(0, 4_000))
    // A sleeper sleeps for a session of the group, time enough for the search engine, which no commit waits for.
    await cluster.zombie(random.pick(["projector-1", "projector-2"]), () => cluster.bounce("elasticsearch", "SIGKILL"))
    await cluster.bounce("postgres", "SIGQUIT")
    await sleep(random.between(0, 1_000))
    await cluster.bounce("redis", "SIGKILL")
    await cluster.bounce("kafka", "SIGKILL")
  }

  it(`loses, doubles and changes nothing while roles and engines are killed, stopped and started again (seed ${SEED})`, async () => {
    onTestFailed(() => void process.stdout.write(`${cluster.lastLines()}\n`))
    const random = new SeededRandom(SEED)
    await createTenants(Layer.effectContext(runtime.contextEffect), directory)
    const startMs = Date.now()
    await cluster.start()
    let [faulty, enough] = [true, false]
    const client = new Client(new SeededRandom(SEED ^ 0x5bd1e995), () => cluster.url("ingest"), TENANTS)
    const sending = Promise.all(Array.from({ length: CLIENTS }, () => client.run(() => enough, () => !faulty || client.totals.made < ((Date.now() - startMs) / 1_000) * EVENTS_A_SECOND)))
    for (let done = 0; done < ROUNDS; done++) {
      await round(random)
      process.stdout.write(`round ${done + 1} of ${ROUNDS}: ${cluster.kills} kills, ${cluster.killsBeforeReady} of them before the process was ready, ${cluster.zombies} zombies, ${cluster.zombiesRefused} of them refused, ${cluster.fencedCommits()} fenced commits, ${client.totals.made} events made, ${client.totals.acknowledged} acknowledged\n`)
    }
    faulty = false
    while (client.totals.made < EVENTS) await sleep(50)
    enough = true
    await sending
    await client.settle()
    const url = cluster.url("api") ?? ""
    await caughtUp(url, CAUGHT_UP_MS_MAX)
    const counted = await readWindows(url, { tenants: TENANTS, ran: { fromMs: startMs, toMs: Date.now() }, beforeMs: HISTORY_MS, afterMs: FUTURE_MS })
    expect({ ...balance(client.expected, counted), wrong: client.wrong.slice(0, 5) }).toMatchObject({ lost: 0, duplicated: 0, differing: 0, wrong: [] })
    expect(client.totals.rejected).toBe(client.totals.invalid)
    expect(client.totals.acknowledged + client.totals.rejected).toBe(client.totals.made)
    expect(await countDeadLetters(url, TENANTS)).toBe(client.totals.poison)
    expect(await verifyFull(url)).toMatchObject({ ok: true, conservation: [] })
    const copies = await runtime.runPromise(compareCopies(TENANTS, CAUGHT_UP_MS_MAX))
    expect(copies).toMatchObject({ wrong: 0, extra: 0, examples: [] })
    expect(copies.windows).toBeGreaterThan(1_000)
    await expect.poll(async () => balanceLog(client.acknowledged, await readLogIds(url, TENANTS)), { timeout: CAUGHT_UP_MS_MAX, interval: 2_000 }).toEqual({ missingInLog: 0, strangeInLog: 0 })
    process.stdout.write(`${JSON.stringify({ ...client.totals, windows: copies.windows })} in ${Math.round((Date.now() - startMs) / 1_000)} s\n`)
    expect(cluster.zombiesRefused).toBe(ROUNDS)
    expect(cluster.fencedCommits()).toBeGreaterThanOrEqual(ROUNDS)
  }, FULL ? 3_600_000 : 900_000)
})
