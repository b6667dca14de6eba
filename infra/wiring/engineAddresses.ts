/** By which variable each engine of the distributed mode is named, and what it says, for whoever must tell a person. */
import type { Configuration } from "./configuration.ts"

export type EngineSetting = "kafkaBrokers" | "postgresUrl" | "elasticsearchUrl" | "redisUrl" | "eventstoreUrl"

export const ENGINE_VARIABLES: Readonly<Record<EngineSetting, string>> = {
  kafkaBrokers: "TIDEMARK_KAFKA_BROKERS", postgresUrl: "TIDEMARK_POSTGRES_URL", elasticsearchUrl: "TIDEMARK_ELASTICSEARCH_URL",
  redisUrl: "TIDEMARK_REDIS_URL", eventstoreUrl: "TIDEMARK_EVENTSTORE_URL"
}

/** The address without user and password. */
export const withoutPassword = (address: string): string => address.replace(/\/\/[^@/]*@/, "//")

export interface EngineAddress {
  readonly variable: string
  /** Without user and password. */
  readonly address: string
}

/** Where each engine is; undefined in embedded mode, which has none. */
export const engineAddresses = (configuration: Configuration): Readonly<Record<EngineSetting, EngineAddress>> | undefined => {
  if (configuration.mode.value !== "distributed") return undefined
  const at = (setting: EngineSetting): EngineAddress => ({ variable: ENGINE_VARIABLES[setting], address: withoutPassword(configuration[setting].value ?? "") })
  return { kafkaBrokers: at("kafkaBrokers"), postgresUrl: at("postgresUrl"), elasticsearchUrl: at("elasticsearchUrl"), redisUrl: at("redisUrl"), eventstoreUrl: at("eventstoreUrl") }
}
