/**
 * The brokers that hold one topic: who leads which partition, and connections to them.
 *
 * A connection serves one request at a time, because a broker answers in order and a long poll would hold back
 * whatever is asked after it. A connection that fails is dropped; the next request makes a new one.
 */
import { Connection, ResponseError, listOffsetsV7, metadataV12 } from "@platformatic/kafka"
import { LogIdentityError } from "@tidemark/domain/ports/EventLog"
import type { LogBounds } from "@tidemark/domain/ports/EventLog"

type MetadataResponse = Awaited<ReturnType<typeof metadataV12.api.async>>

export interface Address {
  readonly host: string
  readonly port: number
}

export interface TopicPartition {
  readonly partition: number
  readonly leader: Address | undefined
  readonly replicas: number
}

export interface TopicView {
  /** Kafka's own id: another one after the topic was deleted and made anew. */
  readonly topicId: string
  /** In the order of their numbers. */
  readonly partitions: readonly TopicPartition[]
}

/** The topic does not exist. */
export class TopicMissingError extends Error {
  constructor(topic: string) {
    super(`topic ${topic} does not exist`)
  }
}

/** The broker asked no longer leads the partition: look again. */
export class StaleLeaderError extends Error {}

const CONNECT_MS_MAX = 3_000
const REQUEST_MS_MAX = 15_000
const IDLE_MAX = 4
const EARLIEST = -2n
const LATEST = -1n
const UNKNOWN_TOPIC = 3
const NO_LEADER = -1

/** "host:port,host:port" as addresses. */
export const parseBrokers = (brokers: string): readonly Address[] =>
  brokers.split(",").map((text) => {
    const at = text.lastIndexOf(":")
    return { host: text.slice(0, at).trim(), port: Number(text.slice(at + 1)) }
  })

const keyOf = ({ host, port }: Address): string => `${host}:${port}`

const viewOf = (topic: string, { brokers, topics }: MetadataResponse): TopicView => {
  const nodes = new Map(brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]))
  const found = topics[0]
  if (found === undefined || found.errorCode === UNKNOWN_TOPIC) throw new TopicMissingError(topic)
  if (found.errorCode !== 0) throw new Error(`topic ${topic} cannot be described: Kafka's error ${found.errorCode}`)
  const partitions = found.partitions
    .map(({ partitionIndex, leaderId, replicaNodes }) => ({ partition: partitionIndex, leader: leaderId === NO_LEADER ? undefined : nodes.get(leaderId), replicas: replicaNodes.length }))
    .sort((a, b) => a.partition - b.partition)
  return { topicId: found.topicId, partitions }
}

export class TopicBrokers {
  private readonly idle = new Map<string, Connection[]>()
  private readonly open = new Set<Connection>()
  private closed = false
  private view: Promise<TopicView> | undefined
  /** Set once by `pin`: what the topic must stay. */
  private pinned: { readonly topicId: string; readonly logId: string; readonly partitions: number } | undefined

  constructor(private readonly bootstrap: readonly Address[], readonly topic: string, private readonly clientId: string) {}

  /** From now on another topic of the same name, or other partitions, is a `LogIdentityError`. */
  pin(logId: string, { topicId, partitions }: TopicView): void {
    this.pinned = { topicId, logId, partitions: partitions.length }
  }

  /** Partitions and leaders; asked once, then again after `forget`. */
  async describe(): Promise<TopicView> {
    const asked = (this.view ??= this.ask())
    try {
      const view = await asked
      this.checkPinned(view)
      return view
    } catch (error) {
      if (this.view === asked) this.view = undefined
      throw error
    }
  }

  /** The leaders known are no longer right. */
  forget(): void {
    this.view = undefined
  }

  /** Address of the partition's leader. */
  async leaderOf(partition: number): Promise<Address> {
    const found = (await this.describe()).partitions[partition]
    if (found === undefined) throw new Error(`topic ${this.topic} has no partition ${partition}`)
    if (found.leader !== undefined) return found.leader
    this.forget()
    throw new StaleLeaderError(`partition ${partition} of ${this.topic} has no leader`)
  }

  /** First stored offset and one past the last acknowledged one. */
  async bounds(partition: number): Promise<LogBounds> {
    const leader = await this.leaderOf(partition)
    const [start, end] = await this.use(leader, async (connection) => [await this.offsetAt(connection, partition, EARLIEST), await this.offsetAt(connection, partition, LATEST)] as const)
    return { start, end }
  }

  /** Runs one request on a connection of its own. */
  async use<A>(address: Address, request: (connection: Connection) => Promise<A>): Promise<A> {
    const connection = await this.take(address)
    try {
      const answer = await request(connection)
      this.give(address, connection)
      return answer
    } catch (error) {
      if (error instanceof ResponseError || error instanceof StaleLeaderError) this.give(address, connection)
      else this.drop(connection)
      throw error
    }
  }

  async close(): Promise<void> {
    this.closed = true
    await Promise.allSettled(Array.from(this.open, (connection) => connection.close()))
    this.open.clear()
    this.idle.clear()
  }

  private checkPinned(view: TopicView): void {
    if (this.pinned === undefined) return
    const { topicId, logId, partitions } = this.pinned
    if (view.topicId !== topicId) throw new LogIdentityError({ logId, detail: `topic ${this.topic} was deleted and made anew` })
    if (view.partitions.length !== partitions) throw new LogIdentityError({ logId, detail: `topic ${this.topic} has ${view.partitions.length} partitions, not ${partitions}` })
  }

  private async ask(): Promise<TopicView> {
    let failure: unknown
    for (const address of this.bootstrap) {
      try {
        return viewOf(this.topic, await this.use(address, (connection) => this.metadata(connection)))
      } catch (error) {
        if (error instanceof TopicMissingError) throw error
        failure = error
      }
    }
    throw failure
  }

  private async metadata(connection: Connection): Promise<MetadataResponse> {
    try {
      return await metadataV12.api.async(connection, [this.topic], false, false)
    } catch (error) {
      // An error of the topic or of one partition comes with the whole answer.
      if (error instanceof ResponseError) return error['response'] as MetadataResponse
      throw error
    }
  }

  private async offsetAt(connection: Connection, partition: number, timestamp: bigint): Promise<bigint> {
    try {
      const answer = await listOffsetsV7.api.async(connection, -1, 0, [{ name: this.topic, partitions: [{ partitionIndex: partition, currentLeaderEpoch: -1, timestamp }] }])
      return answer.topics[0]?.partitions[0]?.offset ?? 0n
    } catch (error) {
      if (!(error instanceof ResponseError)) throw error
      this.forget()
      throw new StaleLeaderError(`offsets of partition ${partition} of ${this.topic}: ${error.message}`)
    }
  }

  private async take(address: Address): Promise<Connection> {
    const kept = this.idle.get(keyOf(address))
    for (let connection = kept?.pop(); connection !== undefined; connection = kept?.pop()) {
      if (connection.isConnected()) return connection
      this.drop(connection)
    }
    if (this.closed) throw new Error("the log is closed")
    const connection = new Connection(this.clientId, { connectTimeout: CONNECT_MS_MAX, requestTimeout: REQUEST_MS_MAX })
    // Requests report failures; without a listener the event would end the process.
    connection.on("error", () => {})
    this.open.add(connection)
    try {
      await connection.connect(address.host, address.port)
    } catch (error) {
      this.drop(connection)
      throw error
    }
    return connection
  }

  private give(address: Address, connection: Connection): void {
    const kept = this.idle.get(keyOf(address)) ?? []
    this.idle.set(keyOf(address), kept)
    if (this.closed || kept.length >= IDLE_MAX) this.drop(connection)
    else kept.push(connection)
  }

  private drop(connection: Connection): void {
    this.open.delete(connection)
    connection.close().catch(() => {})
  }
}
