/** Kafka's own console consumer: a client that shares no code with ours. */
import { spawn } from "node:child_process"
import { join } from "node:path"
import { jars, javaHome } from "./artifacts.mjs"
import { VERSION } from "./kafka.mjs"
import { EngineError } from "./places.mjs"

/** Nothing for so long: the topic was read. */
const QUIET_MS = 5_000
/** Ends a record: the one separator that JSON cannot contain, and a line's end for people. */
const RECORD_END = "\u001e\n"
const SHOWN = ["partition", "offset", "headers", "key"]

/** Prints the topic from its beginning: partition, offset, headers, key and value with tabs between, ended by RS and LF. */
export const consume = async (brokers, topic) => {
  const libraries = await jars("Kafka's console consumer", `kafka-tools-${VERSION}`, [`org.apache.kafka:kafka-tools:${VERSION}`])
  const properties = [`line.separator=${RECORD_END}`, ...SHOWN.map((name) => `print.${name}=true`)]
  const args = [
    "-Xmx256m", "-cp", `${libraries}/*`, "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", brokers, "--topic", topic,
    "--from-beginning", "--timeout-ms", String(QUIET_MS), ...properties.flatMap((property) => ["--formatter-property", property])
  ]
  const child = spawn(join(javaHome("Kafka's console consumer"), "bin", "java"), args, { stdio: ["ignore", "inherit", "inherit"] })
  const code = await new Promise((resolve, reject) => child.on("error", reject).on("close", resolve))
  if (code !== 0) throw new EngineError(`Kafka's console consumer ended with code ${code}.`)
}
