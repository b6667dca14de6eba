/** The engines a benchmark of the distributed mode runs on. */
import { randomBytes } from "node:crypto"
import { readConfiguration } from "@tidemark/infra-wiring/configuration"
import type { Configuration } from "@tidemark/infra-wiring/configuration"

/** Keeps a benchmark apart from whatever else is on the engines. */
export const freshNamespace = (): string => `bench${randomBytes(4).toString("hex")}`

/** Configuration of the distributed mode; fails with the sentence that says which engine is not named. */
export const distributedConfiguration = (dataDir: string, namespace: string, settings: Readonly<Record<string, string>> = {}): Configuration =>
  readConfiguration({
    flags: new Map(), environment: { ...process.env, TIDEMARK_MODE: "distributed", TIDEMARK_NAMESPACE: namespace, TIDEMARK_DATA_DIR: dataDir, ...settings },
    workingDirectory: process.cwd(), terminal: false
  })

/** Their addresses as variables. */
export const engineVariables = (): Readonly<Record<string, string>> => {
  const { kafkaBrokers, postgresUrl, elasticsearchUrl, redisUrl, eventstoreUrl } = distributedConfiguration(".", "tidemark")
  const values = { TIDEMARK_KAFKA_BROKERS: kafkaBrokers, TIDEMARK_POSTGRES_URL: postgresUrl, TIDEMARK_ELASTICSEARCH_URL: elasticsearchUrl, TIDEMARK_REDIS_URL: redisUrl, TIDEMARK_EVENTSTORE_URL: eventstoreUrl }
  return Object.fromEntries(Object.entries(values).map(([name, { value }]) => [name, value ?? ""]))
}

/** `--mode embedded|distributed`. */
export const modeOption = (argv: readonly string[]): "embedded" | "distributed" => {
  const at = argv.indexOf("--mode")
  const mode = at < 0 ? "embedded" : argv[at + 1]
  if (mode !== "embedded" && mode !== "distributed") throw new RangeError("--mode is embedded or distributed")
  return mode
}
