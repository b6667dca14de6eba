/** Creating the topic, and what its settings must be for the log's promises to hold. */
import kafkajs from "kafkajs"
import type { Admin } from "kafkajs"
import type { TopicView } from "./topicBrokers.ts"

/** Settings that a topic of ours is made with. */
const MADE_WITH: Readonly<Record<string, string>> = {
  "cleanup.policy": "delete",
  "retention.ms": "-1",
  "retention.bytes": "-1",
  "message.timestamp.type": "LogAppendTime",
  "unclean.leader.election.enable": "false"
}
const REPLICAS_SAFE = 3
const IN_SYNC_SAFE = 2
const BATCH_BYTES_DEFAULT = 1_048_588

export interface TopicFindings {
  /** Why the log must not be used, each as one sentence that names topic and setting. */
  readonly refusals: readonly string[]
  /** What puts stored events at risk later. */
  readonly warnings: readonly string[]
  /** `replicated`: three replicas, two of which hold an event before it is acknowledged. */
  readonly durability: "replicated" | "single-broker"
  readonly batchBytesMax: number
}

/** Creates the topic; false when it exists already. */
export const createTopic = (admin: Admin, topic: string, partitions: number, replicas: number | undefined): Promise<boolean> => {
  const replicated = replicas !== undefined && replicas >= REPLICAS_SAFE ? { "min.insync.replicas": String(IN_SYNC_SAFE) } : {}
  const configEntries = Object.entries({ ...MADE_WITH, ...replicated }).map(([name, value]) => ({ name, value }))
  return admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: partitions, replicationFactor: replicas ?? -1, configEntries }] })
}

const settingsOf = async (admin: Admin, topic: string): Promise<ReadonlyMap<string, string>> => {
  const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }] })
  return new Map(resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]))
}

/** Reads the topic's settings and judges them. */
export const inspectTopic = async (admin: Admin, topic: string, { partitions }: TopicView): Promise<TopicFindings> => {
  const settings = await settingsOf(admin, topic)
  const value = (name: string): string => settings.get(name) ?? "unknown"
  const refusals: string[] = []
  const warnings: string[] = []
  const demand = (name: string, wanted: string, why: string) => {
    if (value(name) !== wanted) refusals.push(`Topic ${topic} has ${name}=${value(name)}: set it to ${wanted}, ${why}.`)
  }
  demand("cleanup.policy", "delete", "because compaction removes events")
  demand("unclean.leader.election.enable", "false", "because such an election loses acknowledged events")
  for (const name of ["retention.ms", "retention.bytes"]) {
    if (value(name) !== "-1") warnings.push(`Topic ${topic} has ${name}=${value(name)}: events are deleted then, and read models can no longer be rebuilt from the start; -1 keeps them.`)
  }
  if (value("message.timestamp.type") !== "LogAppendTime" && value("retention.ms") !== "-1") {
    refusals.push(`Topic ${topic} has message.timestamp.type=${value("message.timestamp.type")} and a finite retention.ms: set it to LogAppendTime, because imported events of the past would be deleted at once.`)
  }
  const replicas = Math.min(...partitions.map((partition) => partition.replicas))
  const inSync = Number(value("min.insync.replicas"))
  const durability = replicas >= REPLICAS_SAFE && inSync >= IN_SYNC_SAFE ? "replicated" : "single-broker"
  if (durability === "single-broker") {
    warnings.push(`Topic ${topic} has ${replicas} replica(s) and min.insync.replicas=${inSync}: the loss of one broker can lose acknowledged events; ${REPLICAS_SAFE} and ${IN_SYNC_SAFE} survive it.`)
  }
  return { refusals, warnings, durability, batchBytesMax: Number(settings.get("max.message.bytes") ?? BATCH_BYTES_DEFAULT) }
}
