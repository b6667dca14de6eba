/**
 * A whole platform in one synchronous call: projectors that race for lanes, ingest, clients, engines that fail, and a
 * nemesis that kills, pauses and wakes. Production code runs in it unchanged; the seed decides everything else.
 *
 * Seams: engines (memory, slowed and faulted), clock and scheduler. Rules that are checked: docs/semantics.md §9.
 */
import { encodeHeartbeat } from "@tidemark/domain/events/systemRecords"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { LogIdentity } from "@tidemark/domain/ports/EventLog"
import type { EventStore } from "@tidemark/domain/ports/EventStore"
import type { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import type { PubSub } from "@tidemark/domain/ports/PubSub"
import type { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ensureGenerations } from "../runtime/ensureGenerations.ts"
import { makeOutboxDrain } from "../runtime/outboxDrain.ts"
import { runLanes } from "../runtime/runLanes.ts"
import { appendFaults } from "./appendFaults.ts"
import { createMemoryLogDisk, memoryEventLog, replaceLog } from "./memoryEventLog.ts"
import { createMemoryIndexDisk } from "./memoryPartitionIndex.ts"
import { createMemorySettingsDisk } from "./memoryEventStore.ts"
import { heldTooMuch } from "./memoryCheck.ts"
import { memoryPubSub } from "./memoryPubSub.ts"
import { createMemoryModelDisk } from "./memoryReadModelStore.ts"
import { changedProjections, simulatedProjections } from "./oracleProjections.ts"
import type { PlantedBug } from "./plantedBugs.ts"
import { keptGenerations } from "./memoryModelState.ts"
import { SeededRandom } from "./random.ts"
import { STORM_MS_MAX } from "./scenario.ts"
import type { Deed, Scenario } from "./scenario.ts"
import { VirtualTime } from "./virtualTime.ts"
import type { ProcessFailure, SimulatedNode } from "./virtualTime.ts"
import { Workload } from "./workload.ts"
import { PublishedHints } from "./worldBus.ts"
import { WorldChecker } from "./worldChecker.ts"
import { calm, plantedEngines, processEngines, processSettings } from "./worldEngines.ts"
import type { EngineWeather, Engines } from "./worldEngines.ts"
import { IngestClients } from "./worldIngest.ts"
import { RequestClients } from "./worldRequests.ts"
import type { MakeIngest } from "./worldRequests.ts"
import type { WorldStats } from "./worldResult.ts"
import { WorldTrace } from "./worldTrace.ts"

const START_MS = 1_700_000_000_000
/** Of the log and of its data, which has a clock of its own. */
const DATA_START_MS = START_MS - 600_000
/** Virtual ms. */
const RECOVERY_MS_MAX = 60_000
const REST_MS = 3_000
const STOP_MS_MAX = 10_000

/** Where a planted bug has made a difference: this many places are kept. */
const EFFECTS_MAX = 1_000

/** A process of the platform. */
export interface Process {
  node: SimulatedNode
  stop: Deferred.Deferred<void>
  hasEnded: boolean
}

export type ProcessPorts = EventLog | ReadModelStore | PartitionIndex | EventStore | PubSub

/** A process of another kind, beside projectors and ingest: started with them, and again whenever it ends. */
export interface Guest {
  readonly kind: string
  readonly run: (process: Process) => Effect.Effect<void, unknown, ProcessPorts>
  /** Errors with which it may end, by tag. */
  readonly expectedEnds: ReadonlySet<string>
}

/** Ends of a projector that are no fault of it. */
const EXPECTED_ENDS = new Set(["FencedError", "StoreUnavailableError", "LogUnavailableError", "PointerConflictError"])

export class World {
  readonly time: VirtualTime
  readonly random: SeededRandom
  readonly weather: EngineWeather = calm()
  readonly trace = new WorldTrace()
  readonly stats: WorldStats = { commits: 0, fenced: 0, unknown: 0, kills: 0, calmestCommits: 0, pauses: 0, records: 0, inPart: 0, halts: 0 }
  readonly identity: LogIdentity
  readonly logDisk = createMemoryLogDisk()
  readonly modelDisk = createMemoryModelDisk()
  readonly indexDisk = createMemoryIndexDisk()
  readonly checker: WorldChecker
  readonly clients: IngestClients
  /** Clients of the product's own ingest, when this run has it. */
  readonly requests: RequestClients | undefined
  readonly published = new PublishedHints()
  /** How many of the projections the projectors know: more are added as the run goes on. */
  knownProjections: number
  readonly projectors: (Process | undefined)[] = []
  readonly ingests: (Process | undefined)[] = []
  readonly guests: { readonly guest: Guest; process: Process | undefined }[] = []
  readonly settingsDisk = createMemorySettingsDisk()
  readonly halted: string[] = []
  readonly effects: string[] = []
  readonly scenario: Scenario
  /** Deeds that happened so far. */
  readonly struck: Deed[] = []
  /** Looks at what every commit did, besides the checker; answers what is wrong. */
  readonly lookers: (() => readonly string[])[] = []
  /** Halt codes that are right just now. */
  expectedHalts: ReadonlySet<string> = new Set()
  /** Commits since any process was killed. */
  commitsSinceKill = 0
  /** No deed is done now: faults of single calls go on. */
  isCalm = false
  private engines: Engines
  private readonly bug: PlantedBug | undefined
  private readonly bus: Layer.Layer<PubSub>
  private readonly makeIngest: MakeIngest | undefined
  private nodes = 0
  /** No projector is started again. */
  private isClosing = false

  /** `makeIngest`: the product's ingest, which then takes requests in every ingest process. */
  constructor(scenario: Scenario, bug: PlantedBug | undefined, makeIngest?: MakeIngest) {
    const { seed, partitions, lanes, projections, records } = scenario
    this.scenario = scenario
    this.random = new SeededRandom(seed ^ 0x5bd1e995)
    this.time = new VirtualTime(this.random.fork(), START_MS)
    this.identity = { logId: `sim-${seed}`, partitions, lanes, createdAtMs: DATA_START_MS }
    this.knownProjections = projections
    this.checker = new WorldChecker(this.modelDisk, [...simulatedProjections, ...changedProjections], this.identity)
    this.engines = plantedEngines(this, bug)
    this.bug = bug
    this.bus = memoryPubSub({
      isDown: () => this.random.chance(this.weather.busFault),
      isLost: (topic, notifications) => {
        this.published.record(topic, notifications)
        return false
      }
    })
    for (const [partition, { records }] of this.logDisk.partitions.entries()) this.checker.log[partition]?.push(...records)
    const workload = new Workload(this.random.fork(), partitions, DATA_START_MS)
    this.clients = new IngestClients(this.random.fork(), workload, (partition) => this.checker.log[partition] ?? [], records)
    this.makeIngest = makeIngest
    this.requests = makeIngest === undefined ? undefined : new RequestClients(this.random.fork(), (partition) => this.checker.log[partition] ?? [], records)
    this.connectDisks()
  }

  /** Was everything sent and answered, or given up? */
  get isSent(): boolean {
    return this.clients.isDone && this.requests?.isDone !== false
  }

  say(line: string): void {
    this.trace.add(`${this.time.nowMs - START_MS} ${line}`)
  }

  readonly tookEffect = (where: string): void => {
    if (this.effects.length < EFFECTS_MAX) this.effects.push(where)
  }

  private connectDisks(): void {
    const { random, weather, logDisk, modelDisk } = this
    logDisk.appendFault = appendFaults(random, weather, () => void (this.stats.inPart += 1))
    logDisk.isReadable = () => !weather.isLogDown
    logDisk.nowMs = () => this.time.nowMs
    logDisk.onAppend = (stored) => {
      for (const { partition, offset } of stored) {
        const disk = logDisk.partitions[partition]
        const value = disk?.records[Number(offset - disk.start)]
        if (value !== undefined) this.checker.log[partition]?.push(value)
      }
      this.stats.records += stored.length
      this.say(`append ${stored.map(({ partition, offset }) => `${partition}:${offset}`).join()}`)
    }
    modelDisk.isDown = () => weather.isStoreDown
    modelDisk.commitFault = () => {
      if (weather.isStoreDown) return "unavailable"
      return random.chance(weather.commitFault) ? random.pick(["unavailable", "unknown, stored", "unknown, not stored", "fenced"]) : undefined
    }
    modelDisk.onCommit = (commits) => {
      this.stats.commits += 1
      this.commitsSinceKill += 1
      for (const { lane, epoch, next, rows, late } of commits) {
        this.say(`commit ${lane.projection}/${lane.lane} epoch ${epoch} at ${next.map(({ partition, nextOffset }) => `${partition}:${nextOffset}`).join()}, ${rows.length} rows, ${late.length} late`)
      }
      this.published.committed(commits, modelDisk.state.sequence)
      this.checker.committed(commits)
      for (const excess of heldTooMuch(commits, this.checker.log, this.scenario.limits)) this.checker.violate(excess)
      for (const look of this.lookers) for (const found of look()) this.checker.violate(found)
      this.stopIfBroken()
    }
    modelDisk.onGenerations = () => {
      this.checker.generationsChanged()
      this.stopIfBroken()
    }
    this.settingsDisk.isDown = () => weather.isStoreDown
    this.settingsDisk.appendFault = () => (random.chance(weather.commitFault) ? random.pick(["stored", "not stored"]) : undefined)
  }

  private stopIfBroken(): void {
    if (this.isBroken()) this.time.stopped = true
  }

  /** Starts a process with engines of its own; `ended` hears of its end, not of its being killed. */
  start(kind: string, run: (process: Process) => Effect.Effect<void, unknown, ProcessPorts>, ended: (failure: ProcessFailure | undefined) => void): Process {
    const skewMsMax = kind.startsWith("ingest") ? this.scenario.skewMsMax : 5_000
    const skewMs = this.random.between(-skewMsMax, skewMsMax)
    // Requests share a process: whatever its fibers do between two effects, others may come in between.
    const giveWay = this.requests !== undefined && kind.startsWith("ingest") ? { operationsMax: this.random.chance(0.5) ? 512 : this.random.between(4, 16) } : {}
    const node: SimulatedNode = { name: `${kind}.${++this.nodes}`, skewMs, state: "running", ...giveWay }
    const process: Process = { node, stop: Deferred.makeUnsafe<void>(), hasEnded: false }
    const engines = processEngines(this.engines, this.random, this.weather, {
      tookOver: (lane, epoch) => {
        this.say(`${node.name} owns ${lane.projection}/${lane.lane} epoch ${epoch}`)
        this.checker.tookOver(lane, epoch)
      },
      fenced: (lane) => {
        this.stats.fenced += 1
        this.say(`${node.name} is fenced from ${lane.projection}/${lane.lane}`)
      },
      unknown: () => {
        this.stats.unknown += 1
        this.say(`${node.name} does not know its commit's outcome`)
      }
    })
    this.say(`start ${node.name}`)
    const ports = Layer.mergeAll(engines, processSettings(this.settingsDisk, this.random, this.weather), this.bus)
    this.time.start(node, Effect.provide(run(process), ports), (failure) => {
      process.hasEnded = true
      this.say(`${node.name} ended${failure === undefined ? "" : `: ${failure.tag}`}`)
      ended(failure)
    })
    return process
  }

  /** Starts a projector in the slot, for these lanes. It is started again when it ends for a reason that is none of its own. */
  startProjector(slot: number, lanes: readonly number[]): void {
    const { limits } = this.scenario
    const definitions = simulatedProjections.slice(0, this.knownProjections).map(({ definition }) => definition)
    const drain = makeOutboxDrain()
    const observer = {
      committed: drain.wake,
      retrying: ({ lane, cause }: { readonly lane: number; readonly cause: string }) => this.say(`lane ${lane} retries: ${cause}`),
      halted: ({ projection, lane, code, detail }: { readonly projection: string; readonly lane: number; readonly code: string; readonly detail: string }) => {
        this.stats.halts += 1
        this.halted.push(`${projection}/${lane}`)
        this.say(`halt ${projection}/${lane}: ${code}`)
        if (!this.expectedHalts.has(code)) this.checker.violate(`${projection}/${lane} halted with ${code}: ${detail}`)
      }
    }
    const run = ({ stop }: Process) => Effect.andThen(
      ensureGenerations(definitions), Effect.raceFirst(runLanes({ lanes, stop: Deferred.await(stop), observer, limits }), drain.run)
    )
    const process = this.start(`projector${slot}`, run, (failure) => {
      if (failure !== undefined && !EXPECTED_ENDS.has(failure.tag)) this.checker.violate(`${process.node.name} died: ${failure.text}`)
      if (this.projectors[slot] === process) this.projectors[slot] = undefined
      this.time.after(failure?.tag === "FencedError" ? this.random.between(800, 5_000) : this.random.between(20, 1_500), () => {
        this.restartProjector(slot, lanes)
      })
    })
    if (!process.hasEnded) this.projectors[slot] = process
  }

  /** Starts a projector in a slot that is free, while projectors are started at all. */
  restartProjector(slot: number, lanes: readonly number[]): void {
    if (!this.isClosing && this.projectors[slot] === undefined) this.startProjector(slot, lanes)
  }

  /** Starts a guest in its slot, unless it runs or nothing is started any more. */
  startGuest(slot: number): void {
    const found = this.guests[slot]
    if (this.isClosing || found === undefined || (found.process !== undefined && !found.process.hasEnded)) return
    const { guest } = found
    found.process = this.start(`${guest.kind}${slot}`, guest.run, (failure) => {
      if (failure !== undefined && !guest.expectedEnds.has(failure.tag)) this.checker.violate(`${guest.kind} died: ${failure.text}`)
      this.time.after(this.random.between(20, 1_500), () => this.startGuest(slot))
    })
  }

  startIngest(slot: number): void {
    if (this.isClosing) return
    this.ingests[slot] = this.start(`ingest${slot}`, ({ node }) => this.runIngest(slot, node.skewMs), (failure) => {
      if (failure !== undefined) this.checker.violate(`ingest died: ${failure.text}`)
    })
  }

  /** Records sent as they are, and requests to the product's ingest beside them. */
  private runIngest(slot: number, skewMs: number): Effect.Effect<void, never, EventLog | PartitionIndex> {
    const records = this.clients.send(`client${slot}`, skewMs)
    const { makeIngest, requests } = this
    if (makeIngest === undefined || requests === undefined) return records
    const answered = Effect.flatMap(makeIngest, (ingest) => requests.send(ingest))
    return Effect.all([records, answered], { concurrency: "unbounded", discard: true })
  }

  /** As kill -9. */
  kill(process: Process): void {
    if (this.stats.kills > 0) this.stats.calmestCommits = Math.max(this.stats.calmestCommits, this.commitsSinceKill)
    this.stats.kills += 1
    this.commitsSinceKill = 0
    this.say(`kill ${process.node.name}`)
    this.time.kill(process.node)
    process.hasEnded = true
  }

  /** Is every projection served, and do all lanes of what is served or followed stand at the end of the log? */
  isCaughtUp(): boolean {
    const { state } = this.modelDisk
    if (state.pointers.size < simulatedProjections.length) return false
    const kept = keptGenerations(state)
    for (const { lane, partitions } of state.checkpoints.values()) {
      if (!kept.has(`${lane.projection}/${lane.generation}`)) continue
      for (const { partition, nextOffset } of partitions) if (nextOffset !== BigInt(this.checker.log[partition]?.length ?? 0)) return false
    }
    return true
  }

  allLanes(): readonly number[] {
    return Array.from({ length: this.identity.lanes }, (_, lane) => lane)
  }

  readonly isBroken = (): boolean => this.checker.violations.length > 0

  /** Until everything is sent and the storm is over. */
  weatherTheStorm(): void {
    this.time.runUntil(START_MS + STORM_MS_MAX, () => this.isBroken() || this.isSent)
    if (!this.isBroken() && !this.isSent) this.checker.violate("the clients could not send everything")
  }

  /** Faults are over and everybody wakes; then one projector remains and catches up. Answers it, unless something is wrong. */
  recover(): Process | undefined {
    this.isClosing = true
    this.knownProjections = simulatedProjections.length
    Object.assign(this.weather, calm())
    const everybody = () => [...this.projectors, ...this.ingests, ...this.guests.map(({ process }) => process)]
    for (const process of everybody()) if (process?.node.state === "paused") process.node.state = "running"
    this.time.runUntil(this.time.nowMs + this.random.between(0, 3_000), this.isBroken)
    for (const process of everybody()) if (process !== undefined && !process.hasEnded) this.kill(process)
    if (this.isBroken()) return undefined
    const last = this.startAlone()
    if (!this.time.runUntil(this.time.nowMs + RECOVERY_MS_MAX, () => this.isBroken() || this.isCaughtUp())) this.checker.violate("no projector caught up after the faults had ended")
    this.wait(REST_MS)
    this.checker.atRest(false)
    for (const owed of this.published.owed(this.modelDisk.state)) this.checker.violate(owed)
    for (const contradiction of [...this.clients.contradictions(), ...(this.requests?.contradictions() ?? [])]) this.checker.violate(contradiction)
    return this.isBroken() ? undefined : last
  }

  /** One projector for all lanes, in place of all others. */
  startAlone(): Process {
    for (const slot of this.projectors.keys()) this.projectors[slot] = undefined
    const slot = this.projectors.length
    this.startProjector(slot, this.allLanes())
    const process = this.projectors[slot]
    if (process === undefined) throw new Error("a projector ended before it began")
    return process
  }

  /** Another log in the place of this one: what runs finds it there, what starts opens it. */
  replaceLog(identity: LogIdentity, keepsRecords: boolean): void {
    replaceLog(this.logDisk, identity, keepsRecords)
    this.engines = plantedEngines({ ...this, identity }, this.bug)
  }

  /** Lets a process end as it should; it must within its time, and nothing may have changed for the worse. */
  stop(process: Process): void {
    Effect.runSync(Deferred.succeed(process.stop, undefined))
    if (!this.time.runUntil(this.time.nowMs + STOP_MS_MAX, () => this.isBroken() || process.hasEnded)) this.checker.violate(`${process.node.name} did not stop`)
    this.checker.atRest(false)
  }

  /** Lets time pass. */
  wait(ms: number): void {
    this.time.runUntil(this.time.nowMs + ms, this.isBroken)
  }

  /** Appends heartbeats to a partition, past every client and every planted bug. */
  append(partition: number, records: number): void {
    const batch = Array.from({ length: records }, (_, at) => ({ partition, key: "", value: encodeHeartbeat(this.time.nowMs + at) }))
    const append = Effect.flatMap(EventLog, (log) => log.append(batch))
    Effect.runSync(Effect.orDie(Effect.provide(append, memoryEventLog(this.logDisk, this.identity))))
  }
}
