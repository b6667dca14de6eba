/**
 * The crash campaign: the real server is killed at random moments and at named places while a client sends; at the end
 * everything the client was told must be counted exactly once, and the server's own verification must agree. Rules:
 * docs/semantics.md §7, §9.
 */
import { setTimeout as sleep } from "node:timers/promises"
import type { EventStore } from "@tidemark/domain/ports/EventStore"
import { differencesOf } from "@tidemark/replay/verifyReport"
import type * as Layer from "effect/Layer"
import { failpointsOf } from "./campaignPoints.ts"
import { Client, FUTURE_MINUTES_MAX } from "./client.ts"
import type { ClientTotals } from "./client.ts"
import { balance, balanceLog } from "./history.ts"
import type { Balance, LogBalance } from "./history.ts"
import { SeededRandom } from "./random.ts"
import { caughtUp, countDeadLetters, readLogIds, readWindows, verifyFull } from "./readBack.ts"
import { startServer } from "./serverProcess.ts"
import type { ServerProcess } from "./serverProcess.ts"
import { TENANTS, createTenants } from "./tenants.ts"

export interface CampaignOptions {
  readonly seed: number
  readonly kills: number
  /** Events made at least. */
  readonly events: number
  readonly entry: string
  /** Empty. */
  readonly dataDir: string
  /** Opens the settings in `dataDir` before the first start. */
  readonly settings: Layer.Layer<EventStore, unknown>
  readonly report: (line: string) => void
  /** The failpoint of each start that is killed, undefined for a kill at random; by chance, as `failpointsOf` draws them, when absent. */
  readonly failpoints?: readonly (string | undefined)[]
}

export interface CampaignResult extends Balance, LogBalance, ClientTotals {
  readonly seed: number
  readonly kills: number
  /** Starts with a failpoint, and how many of them it killed before the campaign did. */
  readonly armed: number
  readonly ownKills: number
  readonly killsBeforeReady: number
  readonly deadLetters: number
  /** Rows, ledger entries, checkpoints and blocks that the verification found wrong; −1 when it could not be finished. */
  readonly verifyDifferences: number
  readonly wrongAnswers: readonly string[]
  readonly slowestReadyMs: number
  readonly ok: boolean
}

const CLIENTS = 4
/** A kill comes this long after the server is ready at most. */
const KILL_AFTER_MS_MAX = 3_000
/** A server with a failpoint is killed by the campaign when it has not come to it so long after it is ready. */
const ARMED_MS_MAX = 20_000
/** Of the kills at random, those that come while the server starts. */
const EARLY = 0.3
/** What a start takes, until one has been measured. */
const READY_MS_FIRST = 1_000
const HISTORY_MS = 3_100 * 60_000
const FUTURE_MS = (FUTURE_MINUTES_MAX + 60) * 60_000

/** The server and where it listens. */
class Victim {
  url: string | undefined
  kills = 0
  /** Of these, kills by a failpoint. */
  ownKills = 0
  killsBeforeReady = 0
  slowestReadyMs = 0
  private lastReadyMs = READY_MS_FIRST
  private readonly options: CampaignOptions

  constructor(options: CampaignOptions) {
    this.options = options
  }

  private launch(failpoint?: string): ServerProcess {
    const { entry, dataDir } = this.options
    return startServer({ entry, dataDir, environment: failpoint === undefined ? {} : { TIDEMARK_FAILPOINT: failpoint } })
  }

  private async listen(server: ServerProcess): Promise<void> {
    const startedMs = performance.now()
    this.url = await server.ready
    this.lastReadyMs = performance.now() - startedMs
    this.slowestReadyMs = Math.max(this.slowestReadyMs, this.lastReadyMs)
  }

  async start(): Promise<ServerProcess> {
    const server = this.launch()
    await this.listen(server)
    return server
  }

  /** Starts and kills; a server that its failpoint kills before counts as well, also before it is ready. */
  async killOnce(afterMs: number, failpoint?: string): Promise<void> {
    const server = this.launch(failpoint)
    let isOwn = false
    const ended = server.exit.then(() => (isOwn = true))
    await Promise.race([this.listen(server).then(() => sleep(afterMs), () => ended), ended])
    if (isOwn) this.ownKills += 1
    await this.end(server)
  }

  /** Kills a start after this share of what the last one took, so mostly before it is ready. */
  async killStarting(share: number): Promise<void> {
    const server = this.launch()
    this.listen(server).catch(() => undefined)
    await Promise.race([sleep(share * this.lastReadyMs), server.exit])
    if (this.url === undefined) this.killsBeforeReady += 1
    await this.end(server)
  }

  private async end(server: ServerProcess): Promise<void> {
    server.kill("SIGKILL")
    const { code, signal, stderr } = await server.exit
    this.url = undefined
    if (signal !== "SIGKILL") throw new Error(`the server ended by itself (${code ?? signal ?? ""}): ${stderr}`)
    this.kills += 1
  }
}

type Judged = Pick<CampaignResult, "deadLetters" | "verifyDifferences"> & Balance & LogBalance

const judge = async (url: string, client: Client, startMs: number): Promise<Judged> => {
  await caughtUp(url)
  const counted = await readWindows(url, { tenants: TENANTS, ran: { fromMs: startMs, toMs: Date.now() }, beforeMs: HISTORY_MS, afterMs: FUTURE_MS })
  const report = await verifyFull(url)
  const faults = report.conservation.length + report.log.filter(({ error }) => error !== null).length
  const models = (report.models ?? []).reduce((sum, model) => sum + differencesOf(model) + (model.error === null ? 0 : 1), 0)
  return {
    ...balance(client.expected, counted), ...balanceLog(client.acknowledged, await readLogIds(url, TENANTS)),
    deadLetters: await countDeadLetters(url, TENANTS), verifyDifferences: report.ok ? 0 : Math.max(1, faults + models)
  }
}

const isRight = ({ lost, duplicated, differing, missingInLog, strangeInLog, deadLetters, verifyDifferences }: Judged, { wrong, totals }: Client): boolean =>
  lost + duplicated + differing + missingInLog + strangeInLog + verifyDifferences + wrong.length === 0 &&
  deadLetters === totals.poison && totals.rejected === totals.invalid && totals.acknowledged + totals.rejected === totals.made

/** Runs it and leaves the data directory as it is. Rejects when the server does not start or ends by itself. */
export const runCampaign = async (options: CampaignOptions): Promise<CampaignResult> => {
  const { seed, kills, events, report } = options
  const random = new SeededRandom(seed)
  const failpoints = options.failpoints ?? failpointsOf(new SeededRandom(seed ^ 0x3c6ef372), kills)
  const victim = new Victim(options)
  const client = new Client(new SeededRandom(seed ^ 0x5bd1e995), () => victim.url, TENANTS)
  await createTenants(options.settings, options.dataDir)
  const startMs = Date.now()
  let isEnough = false
  const mayMake = () => client.totals.made < (events * (victim.kills + 1)) / (kills + 1)
  const sending = Array.from({ length: CLIENTS }, () => client.run(() => isEnough, mayMake))
  const failed = Promise.all(sending).then(() => undefined)
  while (victim.kills < kills) {
    const failpoint = failpoints[victim.kills]
    if (failpoint !== undefined) await victim.killOnce(ARMED_MS_MAX, failpoint)
    else if (random.chance(EARLY)) await victim.killStarting(random.next())
    else await victim.killOnce(random.next() * KILL_AFTER_MS_MAX)
    if (victim.kills % 10 === 0) report(`${victim.kills} kills, ${victim.ownKills} of them at named places, ${client.totals.made} events made, ${client.totals.acknowledged} acknowledged`)
  }
  const last = await victim.start()
  while (client.totals.made < events) await sleep(50)
  isEnough = true
  await failed
  await client.settle()
  const judged = await judge(victim.url ?? "", client, startMs)
  last.kill("SIGTERM")
  await last.exit
  const { kills: made, ownKills, killsBeforeReady } = victim
  return {
    ...client.totals, ...judged, seed, kills: made, ownKills, killsBeforeReady,
    armed: failpoints.filter((failpoint) => failpoint !== undefined).length,
    wrongAnswers: client.wrong.slice(0, 5), slowestReadyMs: Math.round(victim.slowestReadyMs), ok: isRight(judged, client)
  }
}
