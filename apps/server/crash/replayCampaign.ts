/**
 * The replay campaign: one rebuild after the other on the real server, which is killed at every named place of build,
 * verification, abort, cut-over, rollback and retirement, once each, at the occurrence of it that the seed chooses, while
 * events come. After every kill the disk must
 * hold exactly one complete active generation of every projection, nowhere behind what was served before, and every
 * rebuild must come to its end by itself.
 */
import { setTimeout as sleep } from "node:timers/promises"
import type { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type * as Layer from "effect/Layer"
import { SeededRandom } from "./random.ts"
import { verifyFull } from "./readBack.ts"
import { CAP, FIRST_EVENTS, KILL_POINTS, LANES, killsOf } from "./replayPoints.ts"
import type { Kill, KillPoint, Scenario } from "./replayPoints.ts"
import { KEYS, startServer } from "./serverProcess.ts"
import type { ServerProcess } from "./serverProcess.ts"
import { storedFaults } from "./storedState.ts"

export interface ReplayCampaignOptions {
  readonly seed: number
  readonly entry: string
  /** Empty. */
  readonly dataDir: string
  /** Opens what a killed server has left in the directory. */
  readonly stores: Layer.Layer<ReadModelStore, unknown>
  readonly report: (line: string) => void
  /** Every place unless given. */
  readonly points?: readonly KillPoint[]
  /** A place that is not reached within this is a fault, ms. */
  readonly reachMsMax?: number
}

export interface ReplayCampaignResult {
  readonly seed: number
  readonly points: number
  readonly kills: number
  /** Of them, those not at the first time that a thread came to the place. */
  readonly laterKills: number
  /** Answers of the served generation, each of which held what was acknowledged and nothing else. */
  readonly answers: number
  readonly rebuilds: number
  readonly faults: readonly string[]
  readonly seconds: number
  readonly ok: boolean
}

const BATCH = 200
const REACH_MS_MAX = 180_000
const LOOK_EVERY_MS = 40
const REST: readonly string[] = ["READY", "ACTIVE", "STANDBY", "RETIRED", "ABORTED"]

interface Rebuild {
  readonly id: string
  readonly status: string
  readonly generation: number
  readonly fromGeneration: number
  readonly error: string | null
}

const post = async (url: string, key: string, body: object): Promise<unknown> =>
  (await fetch(url, { method: "POST", headers: { authorization: `Bearer ${key}`, "content-type": "application/json" }, body: JSON.stringify(body), signal: AbortSignal.timeout(10_000) })).json()

const PROJECTION = "page-views"
const DAY_MS = 86_400_000
/** Events are spread over so many seconds and pages, by strides without a common divisor: most have a window of their own. */
const [SPREAD_SECONDS, STRIDE_SECONDS, PAGES] = [4 * 3_600, 61, 23]
const START_MS = Date.now()

const STATE = `{ rebuilds(projection: "page-views") { id status generation fromGeneration error }
  series(projection: "page-views", measures: ["views"], from: "${new Date(START_MS - DAY_MS).toISOString()}", to: "${new Date(START_MS + DAY_MS).toISOString()}", resolution: DAY) { generation position { partition offset } groups { points { events } } } }`

interface State {
  readonly rebuilds: readonly Rebuild[]
  readonly series: { readonly generation: number; readonly position: readonly { readonly partition: number; readonly offset: string }[]; readonly groups: readonly { readonly points: readonly { readonly events: string }[] }[] }
}

/** Events with ids, sent again until they are acknowledged: they count once. */
class Sender {
  acknowledged = 0
  private unsettled: readonly object[] = []
  private made = 0

  /** What is counted then is exactly what is acknowledged. */
  async send(url: string, count: number): Promise<void> {
    if (this.unsettled.length === 0) {
      this.unsettled = Array.from({ length: count }, (_, at) => {
        const number = this.made + at
        return { id: `e${number}`, type: "page.viewed", time: new Date(START_MS - ((number * STRIDE_SECONDS) % SPREAD_SECONDS) * 1_000).toISOString(), userId: `u${number % 41}`, schemaVersion: 2, data: { page: `/${number % PAGES}`, durationMs: number % 5_000 } }
      })
      this.made += count
    }
    const answer = (await post(`${url}/v1/events`, KEYS.write, { events: this.unsettled })) as { readonly accepted?: number; readonly duplicate?: number }
    if ((answer.accepted ?? 0) + (answer.duplicate ?? 0) !== this.unsettled.length) throw new Error(`not acknowledged: ${JSON.stringify(answer)}`)
    this.acknowledged += this.unsettled.length
    this.unsettled = []
  }

  /** The most that may be counted. */
  get sent(): number {
    return this.made
  }
}

/** What is to be done next for the scenario, as a mutation; undefined: wait. */
const nextStep = ({ scenario, place, hit }: Kill, rebuild: Rebuild | undefined): string | undefined => {
  const cap = place.startsWith("build-commit") ? `, eventsPerSecondMax: ${CAP}` : ""
  const start = `startRebuild(projection: "page-views", reason: "campaign"${cap}) { id }`
  if (rebuild === undefined) return start
  const { id, status } = rebuild
  const [abort, cutOver, back] = [`abortRebuild(id: "${id}") { id }`, `cutOver(id: "${id}") { id }`, 'rollBack(projection: "page-views") { id }']
  const steps: Readonly<Record<Scenario, Readonly<Record<string, string>>>> = {
    // Until it is decided, both generations are committed together.
    build: { ...(place.startsWith("joined-commit") ? {} : { READY: abort }), ACTIVE: start, STANDBY: start, RETIRED: start, ABORTED: start },
    abort: { READY: abort, ACTIVE: start, STANDBY: start, RETIRED: start, ABORTED: start },
    "cut-over": { READY: cutOver, STANDBY: cutOver, ACTIVE: hit === 1 ? start : back, RETIRED: start, ABORTED: start },
    "roll-back": { READY: cutOver, STANDBY: cutOver, ACTIVE: back, RETIRED: start, ABORTED: start },
    retire: { READY: cutOver, RETIRED: start, ABORTED: start }
  }
  return steps[scenario][status]
}

class ReplayCampaign {
  readonly faults: string[] = []
  readonly seen = new Set<string>()
  /** Generations that were served, and how far the answers have come. */
  private readonly served = new Set<number>()
  private readonly position = new Map<number, bigint>()
  readonly sender = new Sender()
  kills = 0
  laterKills = 0
  answers = 0
  /** Where the newest rebuild stood last, and what was answered to what was asked of it. */
  private last = ""
  private readonly options: ReplayCampaignOptions
  private readonly random: SeededRandom

  constructor(options: ReplayCampaignOptions) {
    this.options = options
    this.random = new SeededRandom(options.seed)
  }

  start(environment: Readonly<Record<string, string>>): ServerProcess {
    const { entry, dataDir } = this.options
    return startServer({ entry, dataDir, environment: { TIDEMARK_PARTITIONS: String(LANES), TIDEMARK_LANES: String(LANES), ...environment } })
  }

  /** The newest rebuild; what is served is held against what was acknowledged. */
  async look(url: string): Promise<Rebuild | undefined> {
    const least = this.sender.acknowledged
    const { data, errors } = (await post(`${url}/graphql`, KEYS.read, { query: STATE })) as { readonly data?: State | null; readonly errors?: unknown }
    if (data == null) throw new Error(`no answer: ${JSON.stringify(errors)}`)
    const counted = data.series.groups.flatMap(({ points }) => points).reduce((sum, { events }) => sum + Number(events), 0)
    if (counted > this.sender.sent) this.faults.push(`generation ${data.series.generation} counts ${counted} of ${this.sender.sent} events sent`)
    if (counted >= least) this.answers += 1
    this.note(data.series)
    for (const { id, status, error } of data.rebuilds) {
      this.seen.add(id)
      if (status === "FAILED") this.faults.push(`rebuild ${id} failed: ${error}`)
    }
    return data.rebuilds[0]
  }

  private note({ generation, position }: State["series"]): void {
    this.served.add(generation)
    for (const { partition, offset } of position) {
      const before = this.position.get(partition) ?? 0n
      if (BigInt(offset) < before) this.faults.push(`generation ${generation} answers at offset ${offset} of partition ${partition}, after ${before}`)
      else this.position.set(partition, BigInt(offset))
    }
  }

  /** Waits until everything acknowledged is counted and the newest rebuild is at rest, all by itself. */
  async settled(url: string): Promise<void> {
    const untilMs = Date.now() + REACH_MS_MAX
    for (;;) {
      await this.sender.send(url, 1)
      const before = this.answers
      const rebuild = await this.look(url)
      if (this.answers > before && (rebuild === undefined || REST.includes(rebuild.status))) return
      if (Date.now() > untilMs) {
        this.faults.push(`${this.answers > before ? "" : "not everything is counted; "}the rebuild is ${rebuild?.status ?? "not there"} for ${REACH_MS_MAX} ms`)
        return
      }
      await sleep(LOOK_EVERY_MS)
    }
  }

  /** Does what leads to the place until the server has died there. */
  async drive(kill: Kill, server: ServerProcess): Promise<void> {
    const place = `${kill.scenario}: ${kill.place}:${kill.hit}`
    const state = { isOver: false }
    const ended = server.exit.then(() => (state.isOver = true))
    const untilMs = Date.now() + (this.options.reachMsMax ?? REACH_MS_MAX)
    const url = await Promise.race([server.ready, ended.then(() => undefined)]).catch(() => undefined)
    while (url !== undefined && !state.isOver) {
      if (Date.now() > untilMs) {
        this.faults.push(`${place} was not reached; last: ${this.last}`)
        server.kill("SIGKILL")
        break
      }
      // Whatever is asked while it dies ends in an error; what it says while it lives is held against what was sent.
      await this.step(url, kill).catch(() => undefined)
      await Promise.race([sleep(LOOK_EVERY_MS), ended])
    }
    const { signal, code, stderr } = await server.exit
    if (signal !== "SIGKILL") this.faults.push(`${place}: the server ended with ${code ?? signal}: ${stderr.slice(-500)}`)
  }

  private async step(url: string, kill: Kill): Promise<void> {
    await this.sender.send(url, this.random.between(1, 20))
    const rebuild = await this.look(url)
    this.last = `generation ${rebuild?.generation ?? "none"} ${rebuild?.status ?? ""}`
    const mutation = nextStep(kill, rebuild)
    if (mutation === undefined) return
    const answer = await post(`${url}/graphql`, KEYS.admin, { query: `mutation { ${mutation} }` })
    this.last += `, ${mutation}: ${JSON.stringify(answer)}`
  }

  async killAt(kill: Kill): Promise<void> {
    const { scenario, place, hit, threads } = kill
    const startedMs = Date.now()
    await this.drive(kill, this.start({ TIDEMARK_FAILPOINT: `${place}:${hit}`, TIDEMARK_REBUILD_THREADS: String(threads), ...(scenario === "retire" ? { TIDEMARK_STANDBY_SECONDS: "0" } : {}) }))
    this.kills += 1
    if (hit > 1) this.laterKills += 1
    for (const fault of await storedFaults(this.options.stores, { projection: PROJECTION, generations: this.served, position: this.position })) this.faults.push(`after ${scenario}, ${place}:${hit}: ${fault}`)
    this.options.report(`${scenario}: ${place}:${hit} after ${Date.now() - startedMs} ms`)
  }

  /** Lets the server end its work with nothing on standby any more, and verifies every generation. */
  async end(): Promise<void> {
    const server = this.start({ TIDEMARK_STANDBY_SECONDS: "0" })
    try {
      const url = await server.ready
      await this.settled(url)
      const { ok, models } = await verifyFull(url)
      if (!ok) this.faults.push(`the verification found: ${JSON.stringify(models).slice(0, 2_000)}`)
    } finally {
      server.kill("SIGKILL")
      await server.exit
    }
  }
}

/** Kills at every place, then lets the server end its work and verifies all of it. */
export const runReplayCampaign = async (options: ReplayCampaignOptions): Promise<ReplayCampaignResult> => {
  const { seed, points = KILL_POINTS } = options
  const startedMs = Date.now()
  const campaign = new ReplayCampaign(options)
  const first = campaign.start({})
  const url = await first.ready
  while (campaign.sender.acknowledged < FIRST_EVENTS) await campaign.sender.send(url, BATCH)
  await campaign.settled(url)
  first.kill("SIGKILL")
  await first.exit
  // Decided before anything else is: what else the chances decide depends on the machine.
  for (const kill of killsOf(points, new SeededRandom(seed))) await campaign.killAt(kill)
  await campaign.end()
  const { faults, kills, laterKills, answers, seen } = campaign
  return {
    seed, points: points.length, kills, laterKills, answers, rebuilds: seen.size, faults, seconds: (Date.now() - startedMs) / 1_000,
    ok: faults.length === 0 && kills === points.length
  }
}
