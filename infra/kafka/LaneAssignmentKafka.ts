/**
 * Lanes shared by a Kafka consumer group: who is there, and who gets what. Nothing is consumed through it.
 *
 * The group's partitions are all paused; the log is read with explicit offsets elsewhere. A rebalance stops nothing by
 * itself: lanes that stay go on, lanes that move are fenced by their new owner's epoch at the latest.
 */
import { laneOf, partitionsOfLane } from "@tidemark/domain/events/partitioning"
import type { PartitionPosition } from "@tidemark/domain/ports/EventLog"
import { LaneAssignment, LaneAssignmentError } from "@tidemark/domain/ports/LaneAssignment"
import type { LaneAssignmentShape } from "@tidemark/domain/ports/LaneAssignment"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import kafkajs from "kafkajs"
import type { Consumer, PartitionAssigner } from "kafkajs"
import { makeKafka } from "./kafkaClient.ts"
import { LaneHolding, REBALANCE_MS_MAX } from "./laneHolding.ts"
import { shareLanes } from "./laneSharing.ts"

export interface LaneAssignmentKafkaOptions {
  /** "host:port,host:port". */
  readonly brokers: string
  readonly topic: string
  readonly groupId: string
  /** Of the log. */
  readonly partitions: number
  readonly lanes: number
  /** A process that says nothing for so long loses its lanes; 10 s when absent. */
  readonly sessionMs?: number
}

type OnOwned = (lanes: readonly number[]) => Effect.Effect<void>

const CLIENT_ID = "tidemark-lanes"
const SESSION_MS = 10_000
/** Heartbeats in a session: some may be lost. */
const BEATS_PER_SESSION = 5
/** Between two looks for a heartbeat that is due. */
const IDLE_MS = 200
const AGAIN_AFTER_MS = 1_000
const HINT_EVERY_MS = 2_000
const ASSIGNER = "tidemark-lanes"
const ASSIGNER_VERSION = 1

const { MemberAssignment, MemberMetadata } = kafkajs.AssignerProtocol

const claimOf = (metadata: Buffer): readonly number[] => {
  const text = MemberMetadata.decode(metadata)?.userData.toString() ?? ""
  return text === "" ? [] : text.split(",").map(Number)
}

/** Gives whole lanes, and tells the group which ones this member has. */
const laneAssigner = ({ topic, partitions, lanes }: LaneAssignmentKafkaOptions, owned: () => readonly number[]): PartitionAssigner => () => ({
  name: ASSIGNER,
  version: ASSIGNER_VERSION,
  assign: async ({ members }) => {
    const shares = shareLanes(members.map(({ memberId, memberMetadata }) => ({ member: memberId, lanes: claimOf(memberMetadata) })), lanes)
    return Array.from(shares, ([memberId, share]) => ({
      memberId,
      memberAssignment: MemberAssignment.encode({ version: ASSIGNER_VERSION, userData: Buffer.alloc(0), assignment: { [topic]: share.flatMap((lane) => [...partitionsOfLane(lane, lanes, partitions)]) } })
    }))
  },
  protocol: ({ topics }) => ({ name: ASSIGNER, metadata: MemberMetadata.encode({ version: ASSIGNER_VERSION, topics, userData: Buffer.from(owned().join()) }) })
})

/** The latest list of lanes, for one that takes them at its own pace. */
class Mailbox {
  private latest: readonly number[] | undefined
  private wake: (() => void) | undefined

  put(lanes: readonly number[]): void {
    this.latest = lanes
    this.wake?.()
  }

  async take(): Promise<readonly number[]> {
    while (this.latest === undefined) await new Promise<void>((resolve) => (this.wake = resolve))
    const { latest } = this
    this.latest = undefined
    return latest
  }
}

/** One membership: a consumer that is made anew whenever kafkajs gives up on it. */
class Membership {
  readonly mailbox = new Mailbox()
  private consumer: Consumer | undefined
  private readonly sessionMs: number
  private readonly holding: LaneHolding
  private stopped = false
  private readonly hints = new Map<number, bigint>()
  private readonly timers: NodeJS.Timeout[] = []

  constructor(private readonly options: LaneAssignmentKafkaOptions) {
    this.sessionMs = options.sessionMs ?? SESSION_MS
    this.holding = new LaneHolding({ sessionMs: this.sessionMs, nowMs: () => performance.now(), onHeld: (lanes) => this.mailbox.put(lanes) })
  }

  async start(): Promise<void> {
    await this.connect()
    this.timers.push(setInterval(() => this.holding.look(), IDLE_MS), setInterval(() => void this.sendHints(), HINT_EVERY_MS))
  }

  hint(positions: readonly PartitionPosition[]): void {
    for (const { partition, nextOffset } of positions) this.hints.set(partition, nextOffset)
  }

  async stop(): Promise<void> {
    this.stopped = true
    for (const timer of this.timers) clearInterval(timer)
    await this.sendHints()
    await this.consumer?.disconnect().catch(() => {})
  }

  private async connect(): Promise<void> {
    const { brokers, groupId, topic, lanes } = this.options
    const consumer = makeKafka(brokers, CLIENT_ID).consumer({
      groupId,
      partitionAssigners: [laneAssigner(this.options, () => this.holding.held)],
      sessionTimeout: this.sessionMs,
      rebalanceTimeout: REBALANCE_MS_MAX,
      heartbeatInterval: Math.floor(this.sessionMs / BEATS_PER_SESSION),
      maxWaitTimeInMs: IDLE_MS,
      allowAutoTopicCreation: false
    })
    this.consumer = consumer
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      // Before the first fetch: kafkajs would read the log, and move our lanes' offsets, by itself.
      consumer.pause([{ topic }])
      this.holding.give([...new Set((payload.memberAssignment[topic] ?? []).map((partition) => laneOf(partition, lanes)))].sort((a, b) => a - b))
    })
    consumer.on(consumer.events.REBALANCING, () => this.holding.rejoin())
    consumer.on(consumer.events.HEARTBEAT, () => this.holding.beat())
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      if (!payload.restart) this.again(consumer)
    })
    await consumer.connect()
    await consumer.subscribe({ topics: [topic] })
    await consumer.run({ autoCommit: false, eachBatch: async () => {} })
  }

  private again(crashed: Consumer): void {
    if (this.stopped || this.consumer !== crashed) return
    crashed.disconnect().catch(() => {})
    const timer = setTimeout(() => {
      if (!this.stopped) this.connect().catch(() => this.consumer !== undefined && this.again(this.consumer))
    }, AGAIN_AFTER_MS)
    this.timers.push(timer)
  }

  private async sendHints(): Promise<void> {
    const { topic, lanes } = this.options
    const offsets = Array.from(this.hints).filter(([partition]) => this.holding.held.includes(laneOf(partition, lanes)))
    this.hints.clear()
    if (offsets.length === 0) return
    await this.consumer?.commitOffsets(offsets.map(([partition, offset]) => ({ topic, partition, offset: String(offset) }))).catch(() => {})
  }
}

/** Hands the lists on: what was lost first, then what was won. A call that runs is finished before the scope closes. */
const deliver = (mailbox: Mailbox, onOwned: OnOwned): Effect.Effect<never> =>
  Effect.gen(function* () {
    let held: readonly number[] = []
    for (;;) {
      const wanted = yield* Effect.promise(() => mailbox.take())
      const kept = held.filter((lane) => wanted.includes(lane))
      if (kept.length < held.length) yield* Effect.uninterruptible(onOwned(kept))
      if (wanted.length > kept.length) yield* Effect.uninterruptible(onOwned(wanted))
      held = wanted
    }
  })

const join = (options: LaneAssignmentKafkaOptions, members: Set<Membership>, onOwned: OnOwned): Effect.Effect<void, LaneAssignmentError, Scope.Scope> =>
  Effect.gen(function* () {
    const membership = new Membership(options)
    // Released last: the group learns that we leave after our lanes have stopped.
    yield* Effect.acquireRelease(
      Effect.tryPromise({ try: () => membership.start(), catch: (cause) => new LaneAssignmentError({ cause }) }).pipe(Effect.tap(() => Effect.sync(() => members.add(membership)))),
      () => Effect.promise(() => membership.stop()).pipe(Effect.andThen(Effect.sync(() => members.delete(membership))))
    )
    yield* Effect.addFinalizer(() => onOwned([]))
    yield* Effect.forkScoped(deliver(membership.mailbox, onOwned))
  })

/** Lanes by consumer group `options.groupId` over topic `options.topic`, which must exist. */
export const laneAssignmentKafka = (options: LaneAssignmentKafkaOptions): Layer.Layer<LaneAssignment> =>
  Layer.sync(LaneAssignment, (): LaneAssignmentShape => {
    const members = new Set<Membership>()
    return {
      join: (onOwned) => join(options, members, onOwned),
      report: (positions) => Effect.sync(() => {
        for (const member of members) member.hint(positions)
      })
    }
  })
