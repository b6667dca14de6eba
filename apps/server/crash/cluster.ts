/** The roles of the distributed mode as processes of their own on real engines, to be killed, stopped and started again. */
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
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
}

interface Member {
  readonly name: string
  readonly roles: string
  server: ServerProcess | undefined
  url: string | undefined
  readonly said: string[]
  /** Lanes it said last that it owns. */
  lanes: readonly string[]
}

const SAID_MAX = 30
/** For the other projector to take the lanes of one that stands still, and for that one, awake again, to be refused. */
const ZOMBIE_MS_MAX = 180_000
/** From being told of a lane to having taken it over, on a busy machine. */
const TAKE_OVER_MS = 10_000
/** One for each projector: one that is stopped before a commit is then in no transaction, which the store would end. */
const LANES = 2

/** A projector that is there in a storm only. */
const GUEST = "projector-3"

/** One sentence of a projector's log that says a commit of it was refused because its lane has a newer owner. */
const FENCED = "another process owns a lane"
/** And one that says a commit of it failed with its connection, which did not live through the sleep. */
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

export class Cluster {
  kills = 0
  killsBeforeReady = 0
  zombies = 0
  private fenced = 0
  private lost = 0
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
   * Starts a projector anew that stops itself before a commit of its, leaves it until the other one has taken its lanes,
   * and lets it go on as the owner it no longer is: that commit must be refused, or fail because the store has cut the
   * connection meanwhile. Then it starts anew once more, since
   * its next thread would stop itself again.
   */
  async zombie(name: string): Promise<void> {
    const member = this.member(name)
    const others = this.members.filter((one) => one !== member && one.roles.includes("projector"))
    await this.end(member)
    await this.launch(member, { TIDEMARK_FAILPOINT: "commit-before:40:stop" })
    const pid = member.server?.pid ?? -1
    await until(`${name} stops before a commit`, () => /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, "utf8")))
    await until(`the lanes of ${name} go to another`, () => others.some((other) => other.lanes.length === LANES))
    // It has been told of the lanes; only once it has taken them over in the store is the sleeper's commit too late.
    await sleep(TAKE_OVER_MS)
    const before = this.fenced + this.lost
    process.kill(pid, "SIGCONT")
    await until(`the commit of ${name} is refused, or fails with its connection`, () => this.fenced + this.lost > before)
    this.zombies += 1
    await this.end(member)
    await this.launch(member)
  }

  /** Ends an engine's process with a signal and starts the engine again on its data. */
  async bounce(engine: EngineName, signal: "SIGKILL" | "SIGQUIT" | "SIGTERM"): Promise<void> {
    const file = process.env["TIDEMARK_ENGINES_FILE"] ?? join(this.options.root, ".tidemark", "engines.json")
    const { engines } = JSON.parse(readFileSync(file, "utf8")) as { engines: Readonly<Record<string, { readonly pid: number }>> }
    const pid = engines[engine]?.pid
    if (pid === undefined) throw new Error(`${engine} was not started from here`)
    process.kill(pid, signal)
    while (existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`, "utf8") !== "") await sleep(50)
    const { status, stderr } = spawnSync(process.execPath, [join(this.options.root, "infra", "dev-engines", "main.mjs"), "up", "--only", engine], { encoding: "utf8" })
    if (status !== 0) throw new Error(`${engine} does not start again: ${stderr}`)
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
        if (line.includes(LOST)) this.lost += 1
        const [, owned] = OWNS.exec(line) ?? []
        if (owned !== undefined) member.lanes = owned.split(",").filter((lane) => lane !== "")
        member.said.push(line)
        if (member.said.length > SAID_MAX) member.said.shift()
      }
    })
    member.server = server
    member.url = await server.ready
  }
}
