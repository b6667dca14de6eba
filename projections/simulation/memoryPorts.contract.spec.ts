import { eventLogContract } from "@tidemark/domain/ports/EventLog.contract"
import { eventStoreContract } from "@tidemark/domain/ports/EventStore.contract"
import { partitionIndexContract } from "@tidemark/domain/ports/PartitionIndex.contract"
import { pubSubContract } from "@tidemark/domain/ports/PubSub.contract"
import { readModelStoreContract } from "@tidemark/domain/ports/ReadModelStore.contract"
import { vitalsBoardContract } from "@tidemark/domain/ports/VitalsBoard.contract"
import { windowIndexContract } from "@tidemark/domain/ports/WindowIndex.contract"
import { createMemoryLogDisk, memoryEventLog } from "./memoryEventLog.ts"
import { createMemorySettingsDisk, memoryEventStore } from "./memoryEventStore.ts"
import { createMemoryIndexDisk, memoryPartitionIndex } from "./memoryPartitionIndex.ts"
import { memoryPubSub } from "./memoryPubSub.ts"
import { createMemoryModelDisk, memoryReadModelStore } from "./memoryReadModelStore.ts"
import { memoryVitalsBoard } from "./memoryVitalsBoard.ts"
import type { MemoryVitals } from "./memoryVitalsBoard.ts"
import { createMemoryWindowDisk, memoryWindowIndex } from "./memoryWindowIndex.ts"

const dispose = async () => {}

eventLogContract("memory", () => {
  const disk = createMemoryLogDisk()
  const nowMs = () => 1_800_000_000_000
  disk.nowMs = nowMs
  return { open: (partitions) => memoryEventLog(disk, { logId: "log-1", partitions, lanes: 1, createdAtMs: 1_700_000_000_000 }), nowMs, dispose }
})

readModelStoreContract("memory", () => {
  const disk = createMemoryModelDisk()
  return { open: () => memoryReadModelStore(disk), dispose }
})

partitionIndexContract("memory", () => {
  const disk = createMemoryIndexDisk()
  return { open: () => memoryPartitionIndex(disk), dispose }
})

pubSubContract("memory", () => ({ open: () => memoryPubSub(), dispose }))

vitalsBoardContract("memory", () => {
  const told: MemoryVitals = new Map()
  return { open: (keptMs) => memoryVitalsBoard(told, keptMs), dispose }
})

windowIndexContract("memory", () => {
  const disk = createMemoryWindowDisk()
  return { open: () => memoryWindowIndex(disk), dispose }
})

eventStoreContract("memory", () => {
  const disk = createMemorySettingsDisk()
  return { open: () => memoryEventStore(disk), dispose }
})
