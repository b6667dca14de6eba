import { randomUUID } from "node:crypto"
import { eventLogContract } from "@tidemark/domain/ports/EventLog.contract"
import { eventLogKafka } from "./EventLogKafka.ts"
import { makeKafka } from "./kafkaClient.ts"

const brokers = process.env["TIDEMARK_KAFKA_BROKERS"] ?? ""

eventLogContract("Kafka", () => {
  const topic = `contract-${randomUUID()}`
  return {
    open: (partitions) => eventLogKafka({ brokers, topic, role: "writer", partitions, lanes: 1, nowMs: () => 1_700_000_000_000, newLogId: () => "log-1" }),
    nowMs: () => Date.now(),
    dispose: async () => {
      const admin = makeKafka(brokers, "contract").admin()
      await admin.connect()
      await admin.deleteTopics({ topics: [topic] })
      await admin.disconnect()
    }
  }
})
