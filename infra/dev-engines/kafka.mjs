/** Kafka 4.4: one KRaft node, broker and controller in one process. */
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { jars, javaHome, javaPackages } from "./artifacts.mjs"
import { EngineError, HOST, portOf } from "./places.mjs"
import { answers, start, stop } from "./processes.mjs"

/** Of the broker and of its tools. */
export const VERSION = "4.4.0"
const COORDINATES = [`org.apache.kafka:kafka_2.13:${VERSION}`, "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5"]
const CLUSTER_ID = "dGlkZW1hcmsta2Fma2EtMQ"
const READY = "Kafka Server started"

/** One replica of everything, and few partitions of internal topics: what a single node needs. */
const properties = (data, port, controllerPort) => `
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@${HOST}:${controllerPort}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://${HOST}:${port},CONTROLLER://${HOST}:${controllerPort}
advertised.listeners=PLAINTEXT://${HOST}:${port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=${join(data, "logs")}
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=3
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=3
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.dedupe.buffer.size=33554432
`

const LOGGING = `
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %m (%c)%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
`

const format = (java, libraries, settings) => {
  const args = ["-cp", `${libraries}/*`, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", settings, "--ignore-formatted"]
  const { status, stdout, stderr } = spawnSync(java, args, { encoding: "utf8" })
  if (status !== 0) throw new EngineError(`formatting Kafka's storage failed: ${`${stdout}${stderr}`.trim().split("\n").at(-1)}`)
}

/** Engine record for a data directory. */
export const kafka = (folder) => {
  const data = join(folder, "kafka")
  const settings = join(data, "server.properties")
  const [port, controllerPort] = [portOf("kafka"), portOf("kafkaController")]
  const engine = { name: "kafka", packages: javaPackages(), folder, port, mark: settings }
  return {
    ...engine,
    variables: { TIDEMARK_KAFKA_BROKERS: `${HOST}:${port}` },
    up: async () => {
      const java = join(javaHome("Kafka"), "bin", "java")
      const libraries = await jars("Kafka", `kafka-${VERSION}`, COORDINATES)
      mkdirSync(data, { recursive: true })
      const logging = join(data, "log4j2.properties")
      writeFileSync(logging, LOGGING)
      writeFileSync(settings, properties(data, port, controllerPort))
      if (!existsSync(join(data, "logs", "meta.properties"))) format(java, libraries, settings)
      const args = ["-Xmx512m", "-XX:+UseG1GC", "-XX:+ExitOnOutOfMemoryError", `-Dlog4j2.configurationFile=${logging}`, "-cp", `${libraries}/*`, "kafka.Kafka", settings]
      const ready = async (log) => readFileSync(log, "utf8").includes(READY) && (await answers(port))
      await start(engine, { command: java, args, account: {}, ready, seconds: 60 })
    },
    down: () => stop(engine, { signal: "SIGTERM", seconds: 30 })
  }
}
