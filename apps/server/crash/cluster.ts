/** The roles of the distributed mode as processes of their own on real engines, to be killed, stopped and started again. */
import { execFile } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"
import { startServer } from "./serverProcess.ts"
import type { ServerProcess } from "./serverProcess.ts"

export type EngineName = "kafka" | "postgres" | "elasticsearch" | "redis"

export interface ClusterOptions {
  readonly entry: string
  /** Empty. */
  readonly directory: string
  readonly namespace: string
  readonly partitions: number
  /** Of the checkout, where engines are started again from. */
  readonly root: string
  /** Whether the lanes were taken over in the store after the call, within `maxMs`. */
  readonly takenOver: (lanes: readonly number[], maxMs: number) => Promise<boolean>
}

interface Member {
  readonly name: string
  readonly roles: string
  server: ServerProcess | undefined
  url: string | undefined
  readonly said: string[]
  /** Lanes it said last that it owns. */
  lanes: readonly number[]
}

const SAID_MAX = 30
/** For the other projector to take the lanes of one that stands still, and for that one, awake again, to be refused. */
const ZOMBIE_MS_MAX = 180_000
/** For a sleeper that woke to hear what became of its commit. */
const ANSWERED_MS_MAX = 60_000
const REFUSED_AFTER_LOSS_MS = 15_000
/** Sleepers sent until one is refused. */
const SLEEPERS_MAX = 3
/** Before the commit a sleeper stops at it has made others: its lane is at work. */
const STOP_AT_COMMIT = 15
/** One for each projector: one that is stopped before a commit is then in no transaction, which the store would end. */
const LANES = 2

/** A projector that is there in a storm only. */
const GUEST = "projector-3"

/** One sentence of a projector's log that says a commit of it was refused because its lane has a newer owner. */
const FENCED = "another process owns a lane"
/** And one that says it failed otherwise, with its connection for example. */
const LOST = "a lane goes on from its checkpoint"
/** What a projector logs of the lanes it has been given. */
const OWNS = /"lanes":\[([\d,]*)\],"msg":"lanes of this process"/

/** Waits until something is so. Throws when it is not in time. */
const until = async (what: string, isSo: () => boolean): Promise<void> => {
  const endMs = performance.now() + ZOMBIE_MS_MAX
  while (!isSo()) {
    if (performance.now() > endMs) throw new Error(`${what}: not within ${ZOMBIE_MS_MAX / 1_000} s`)
    await sleep(50)
  }
}

const runFile = promisify(execFile)

export class Cluster {
  kills = 0
  killsBeforeReady = 0
  /** Sleepers that woke, and of them those whose commit was refused. */
  zombies = 0
  zombiesRefused = 0
  private fenced = 0
  private readonly options: ClusterOptions
  private readonly members: readonly Member[]

  constructor(options: ClusterOptions) {
    this.options = options
    const member = (name: string, roles: string): Member => ({ name, roles, server: undefined, url: undefined, said: [], lanes: [] })
    this.members = [member("ingest", "ingest"), member("projector-1", "projector,replay"), member("projector-2", "projector,replay"), member("api", "api,dashboard"), member(GUEST, "projector")]
  }

  /** Where a member listens now; undefined while it is down. */
  url(name: string): string | undefined {
    return this.member(name).url
  }

  async start(): Promise<void> {
    await Promise.all(this.members.filter(({ name }) => name !== GUEST).map((member) => this.launch(member)))
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map(async ({ server }) => {
      server?.kill("SIGKILL")
      await server?.exit
    }))
  }

  /** What every member said last, for whoever has to find out why something failed. */
  lastLines(): string {
    return this.members.map(({ name, said }) => [`-- ${name}`, ...said].join("\n")).join("\n")
  }

  /** Commits that were refused to owners of old, as their processes have told. */
  fencedCommits(): number {
    return this.fenced
  }

  /** Another projector comes and is killed, again and again: lanes are given away and taken back while they are folded. */
  async storm(guests: number, pauseMs: () => number): Promise<void> {
    const guest = this.member(GUEST)
    for (let came = 0; came < guests; came++) {
      await this.launch(guest)
      await sleep(pauseMs())
      await this.end(guest)
      this.kills += 1
    }
  }

  /** Kills a member without warning and starts it again; with `startingMs` once more so soon after its start, ready or not. */
  async kill(name: string, startingMs?: number): Promise<void> {
    const member = this.member(name)
    await this.end(member)
    this.kills += 1
    if (startingMs !== undefined) {
      const starting = this.launch(member).catch(() => undefined)
      await Promise.race([sleep(startingMs), starting])
      if (member.url === undefined) this.killsBeforeReady += 1
      await this.end(member)
      await starting
      member.url = undefined
      this.kills += 1
    }
    await this.launch(member)
  }

  /**
   * Starts a projector anew that stops itself before a commit of its, leaves it until its lanes have a newer owner in the
   * store, and lets it go on as the owner it no longer is: that commit must be refused. A sleeper may lose its connection
   * instead, and then another one is sent. Throws when none of a few is refused. The member starts anew once more at the
   * end, since its next thread would stop itself again. `whileAsleep` is done before it wakes.
   */
  async zombie(name: string, whileAsleep: () => Promise<void>): Promise<void> {
    const member = this.member(name)
    for (let sent = 0; !(await this.sleepAndWake(member, whileAsleep)); sent++) {
      if (sent === SLEEPERS_MAX - 1) throw new Error(`${SLEEPERS_MAX} sleepers woke and no commit of theirs was refused`)
    }
    await this.end(member)
    await this.launch(member)
  }

  /** Whether the commit of the sleeper was refused. */
  private async sleepAndWake(member: Member, whileAsleep: () => Promise<void>): Promise<boolean> {
    const { name } = member
    await this.end(member)
    await this.launch(member, { TIDEMARK_FAILPOINT: `commit-before:${STOP_AT_COMMIT}:stop` })
    const pid = member.server?.pid ?? -1
    await until(`${name} stops before a commit`, () => /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, "utf8")))
    const [taken] = await Promise.all([this.options.takenOver(member.lanes, ZOMBIE_MS_MAX), whileAsleep()])
    if (!taken) return false
    // Another thread of the sleeper may lose its connection sooner than the refusal comes.
    const refused = member.server?.said(FENCED).then(() => true)
    const lost = member.server?.said(LOST).then(() => sleep(REFUSED_AFTER_LOSS_MS, false))
    process.kill(pid, "SIGCONT")
    this.zombies += 1
    const isRefused = (await Promise.race([refused, lost, sleep(ANSWERED_MS_MAX, false)])) ?? false
    if (isRefused) this.zombiesRefused += 1
    return isRefused
  }

  /** Ends an engine's process with a signal and starts the engine again on its data. */
  async bounce(engine: EngineName, signal: "SIGKILL" | "SIGQUIT" | "SIGTERM"): Promise<void> {
    const file = process.env["TIDEMARK_ENGINES_FILE"] ?? join(this.options.root, ".tidemark", "engines.json")
    const { engines } = JSON.parse(readFileSync(file, "utf8")) as { engines: Readonly<Record<string, { readonly pid: number }>> }
    const pid = engines[engine]?.pid
    if (pid === undefined) throw new Error(`${engine} was not started from here`)
    process.kill(pid, signal)
    while (existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`, "utf8") !== "") await sleep(50)
    await runFile(process.execPath, [join(this.options.root, "infra", "dev-engines", "main.mjs"), "up", "--only", engine])
  }

  private member(name: string): Member {
    const member = this.members.find((one) => one.name === name)
    if (member === undefined) throw new RangeError(`there is no member ${name}`)
    return member
  }

  private async end(member: Member): Promise<void> {
    member.url = undefined
    member.lanes = []
    member.server?.kill("SIGKILL")
    await member.server?.exit
  }

  /** What every member gets, by names of settings. */
  get environment(): Readonly<Record<string, string>> {
    const { namespace, partitions } = this.options
    const engineVariables = Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (/^TIDEMARK_(KAFKA|POSTGRES|ELASTICSEARCH|REDIS|EVENTSTORE)_/.test(name) && value !== undefined ? [[name, value]] : [])))
    return { ...engineVariables, TIDEMARK_MODE: "distributed", TIDEMARK_NAMESPACE: namespace, TIDEMARK_PARTITIONS: String(partitions), TIDEMARK_LANES: String(LANES) }
  }

  private async launch(member: Member, environment: Readonly<Record<string, string>> = {}): Promise<void> {
    const { entry, directory } = this.options
    const server = startServer({
      entry, dataDir: join(directory, member.name),
      environment: { ...this.environment, TIDEMARK_ROLES: member.roles, ...environment },
      onLine: (line) => {
        if (line.includes(FENCED)) this.fenced += 1
        const [, owned] = OWNS.exec(line) ?? []
        if (owned !== undefined) member.lanes = owned === "" ? [] : owned.split(",").map(Number)
        member.said.push(line)
        if (member.said.length > SAID_MAX) member.said.shift()
      }
    })
    member.server = server
    member.url = await server.ready
  }
}
