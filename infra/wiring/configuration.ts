/**
 * Configuration: flag > environment > file > default. Each value knows where it came from.
 *
 * The file is `tidemark.json` in the working directory, keys as the variables are named. In distributed mode the
 * addresses of engines that are named nowhere else come from `.tidemark/engines.json`, which `npm run engines -- up`
 * writes. `tidemark config explain` shows every name, value and source.
 */
import { existsSync, readFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { resolve } from "node:path"
import { REJECTED_LIMITS } from "@tidemark/domain/ports/rejectedLimits"
import type { RejectedLimits } from "@tidemark/domain/ports/rejectedLimits"

export type Source = "flag" | "environment" | "file" | "engines" | "default"

export type Mode = "embedded" | "distributed"

/** What one process does; all of it by default. */
export const ROLES = ["ingest", "projector", "api", "replay", "alerts", "dashboard"] as const
export type Role = (typeof ROLES)[number]

export interface Setting<T> {
  readonly value: T
  readonly source: Source
}

export interface Configuration {
  readonly mode: Setting<Mode>
  readonly roles: Setting<readonly Role[]>
  /** Separates deployments on shared engines. */
  readonly namespace: Setting<string>
  readonly host: Setting<string>
  readonly port: Setting<number>
  readonly dataDir: Setting<string>
  readonly partitions: Setting<number>
  readonly lanes: Setting<number>
  readonly demo: Setting<boolean>
  /** Threads that fold a rebuild; no more than lanes are used. */
  readonly rebuildThreads: Setting<number>
  /** Rebuilds that run at once; the others wait. */
  readonly rebuildsMax: Setting<number>
  /** How long the way back stays open after a cut-over or a rollback, s. */
  readonly standbySeconds: Setting<number>
  /** Memory of ingest in embedded mode to know the live events of 24 hours by, bytes; 22 to 50 an event. More events are answered 429. */
  readonly dedupeBytesMax: Setting<number>
  /** Rejected events of a tenant that are kept at most, bytes; the oldest go first. */
  readonly rejectedBytesMax: Setting<number>
  /** How long rejected events are kept, days. */
  readonly rejectedDays: Setting<number>
  readonly writeKey: Setting<string | undefined>
  readonly readKey: Setting<string | undefined>
  readonly adminKey: Setting<string | undefined>
  readonly kafkaBrokers: Setting<string | undefined>
  readonly postgresUrl: Setting<string | undefined>
  readonly elasticsearchUrl: Setting<string | undefined>
  readonly redisUrl: Setting<string | undefined>
  readonly eventstoreUrl: Setting<string | undefined>
}

/** A setting that cannot be used; the message says which, why and what to do. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError"
}

/** An engine that a setting names does not answer; the message says which, where, and what to do. */
export class EngineUnreachableError extends Error {
  override readonly name = "EngineUnreachableError"
}

export interface ConfigurationInput {
  readonly flags: ReadonlyMap<string, string>
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly workingDirectory: string
  /** The demo is on by default on a terminal only. */
  readonly terminal: boolean
}

const KEY_LENGTH_MIN = 24
const LOOPBACK = new Set(["127.0.0.1", "localhost", "::1"])

const readFile = (workingDirectory: string, name: string): Record<string, unknown> => {
  const path = resolve(workingDirectory, name)
  if (!existsSync(path)) return {}
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>
  } catch (error) {
    throw new ConfigurationError(`${name} is not valid JSON: ${(error as Error).message}. Mend or remove it.`)
  }
}

/** Addresses of the engines that `npm run engines -- up` has started here. */
const readEngines = (workingDirectory: string): Record<string, unknown> => (readFile(workingDirectory, ".tidemark/engines.json")["variables"] ?? {}) as Record<string, unknown>

const integer = (name: string, text: string, min: number, max: number): number => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new ConfigurationError(`${name} is "${text}": give a whole number from ${min} to ${max}.`)
  }
  return value
}

const onOrOff = (name: string, text: string): boolean => {
  if (text === "1" || text === "true") return true
  if (text === "0" || text === "false") return false
  throw new ConfigurationError(`${name} is "${text}": give 1 or 0.`)
}

const key = (name: string, text: string): string => {
  if (text.length < KEY_LENGTH_MIN) throw new ConfigurationError(`${name} has ${text.length} characters: give at least ${KEY_LENGTH_MIN}.`)
  return text
}

const rolesOf = (text: string): readonly Role[] => {
  const names = text.split(",").map((name) => name.trim()).filter((name) => name !== "")
  const unknown = names.find((name) => !ROLES.some((role) => role === name))
  if (unknown !== undefined || names.length === 0) throw new ConfigurationError(`TIDEMARK_ROLES is "${text}": give one or more of ${ROLES.join(", ")}, separated by commas.`)
  return ROLES.filter((role) => names.includes(role))
}

/** At most 40 characters: it becomes part of schema, index, key and topic names. */
const namespaceOf = (text: string): string => {
  if (!/^[a-z][a-z0-9_]{0,39}$/.test(text)) throw new ConfigurationError(`TIDEMARK_NAMESPACE is "${text}": give 1 to 40 lower-case letters, digits or underscores, beginning with a letter.`)
  return text
}

const modeOf = (text: string): Mode => {
  if (text === "embedded" || text === "distributed") return text
  throw new ConfigurationError(`TIDEMARK_MODE is "${text}": give "embedded" or "distributed".`)
}

/** What each engine's setting is called, and what a value looks like. */
const ENGINE_SETTINGS = [
  ["kafkaBrokers", "TIDEMARK_KAFKA_BROKERS", "127.0.0.1:9092"],
  ["postgresUrl", "TIDEMARK_POSTGRES_URL", "postgres://tidemark@127.0.0.1:5432/tidemark"],
  ["elasticsearchUrl", "TIDEMARK_ELASTICSEARCH_URL", "http://127.0.0.1:9200"],
  ["redisUrl", "TIDEMARK_REDIS_URL", "redis://127.0.0.1:6379"],
  ["eventstoreUrl", "TIDEMARK_EVENTSTORE_URL", "esdb://127.0.0.1:2113?tls=false"]
] as const

/** The distributed mode runs on all engines; embedded needs all roles in the one process that owns the data. */
const checkMode = (configuration: Configuration): void => {
  const { mode, roles } = configuration
  if (mode.value === "embedded") {
    if (roles.value.length < ROLES.length) throw new ConfigurationError(`TIDEMARK_ROLES is "${roles.value.join(",")}": roles run apart in distributed mode only. Unset it, or set TIDEMARK_MODE=distributed.`)
    return
  }
  for (const [property, name, example] of ENGINE_SETTINGS) {
    if (configuration[property].value === undefined) throw new ConfigurationError(`${name} is not set: distributed mode needs it, as in ${name}=${example}. Start engines on this machine with: npm run engines -- up`)
  }
}

/** Reads every setting; throws ConfigurationError with one sentence that says what to do. */
export const readConfiguration = (input: ConfigurationInput): Configuration => {
  const file = readFile(input.workingDirectory, "tidemark.json")
  const pick = <T>(name: string, fallback: T, parse: (text: string) => T): Setting<T> => {
    const flag = input.flags.get(name.replace("TIDEMARK_", "").toLowerCase().replaceAll("_", "-"))
    if (flag !== undefined) return { value: parse(flag), source: "flag" }
    const variable = input.environment[name]
    if (variable !== undefined && variable !== "") return { value: parse(variable), source: "environment" }
    if (file[name] !== undefined) return { value: parse(String(file[name])), source: "file" }
    return { value: fallback, source: "default" }
  }
  const optionalKey = (name: string) => pick<string | undefined>(name, undefined, (text) => key(name, text))
  const mode = pick<Mode>("TIDEMARK_MODE", "embedded", modeOf)
  const distributed = mode.value === "distributed"
  const started = distributed ? readEngines(input.workingDirectory) : {}
  const engine = (name: string): Setting<string | undefined> => {
    const setting = pick<string | undefined>(name, undefined, (text) => text)
    return setting.value === undefined && started[name] !== undefined ? { value: String(started[name]), source: "engines" } : setting
  }
  const partitions = pick("TIDEMARK_PARTITIONS", distributed ? 12 : 4, (text) => integer("TIDEMARK_PARTITIONS", text, 1, 1024))
  const configuration: Configuration = {
    mode,
    roles: pick<readonly Role[]>("TIDEMARK_ROLES", ROLES, rolesOf),
    namespace: pick("TIDEMARK_NAMESPACE", "tidemark", namespaceOf),
    host: pick("TIDEMARK_HOST", "127.0.0.1", (text) => text),
    port: pick("TIDEMARK_PORT", 4000, (text) => integer("TIDEMARK_PORT", text, 0, 65_535)),
    dataDir: pick("TIDEMARK_DATA_DIR", resolve(input.workingDirectory, ".tidemark"), (text) => resolve(input.workingDirectory, text)),
    partitions,
    lanes: pick("TIDEMARK_LANES", Math.min(partitions.value, 4), (text) => integer("TIDEMARK_LANES", text, 1, partitions.value)),
    demo: pick("TIDEMARK_DEMO", input.terminal && !distributed, (text) => onOrOff("TIDEMARK_DEMO", text)),
    rebuildThreads: pick("TIDEMARK_REBUILD_THREADS", availableParallelism(), (text) => integer("TIDEMARK_REBUILD_THREADS", text, 1, 64)),
    rebuildsMax: pick("TIDEMARK_REBUILDS_MAX", 1, (text) => integer("TIDEMARK_REBUILDS_MAX", text, 1, 64)),
    standbySeconds: pick("TIDEMARK_STANDBY_SECONDS", 86_400, (text) => integer("TIDEMARK_STANDBY_SECONDS", text, 0, 31_622_400)),
    dedupeBytesMax: pick("TIDEMARK_DEDUPE_BYTES_MAX", 1 << 30, (text) => integer("TIDEMARK_DEDUPE_BYTES_MAX", text, 1 << 20, 2 ** 40)),
    rejectedBytesMax: pick("TIDEMARK_REJECTED_BYTES_MAX", REJECTED_LIMITS.bytesMax, (text) => integer("TIDEMARK_REJECTED_BYTES_MAX", text, 1 << 20, 2 ** 40)),
    rejectedDays: pick("TIDEMARK_REJECTED_DAYS", REJECTED_LIMITS.keepMs / DAY_MS, (text) => integer("TIDEMARK_REJECTED_DAYS", text, 1, 3_650)),
    writeKey: optionalKey("TIDEMARK_WRITE_KEY"),
    readKey: optionalKey("TIDEMARK_READ_KEY"),
    adminKey: optionalKey("TIDEMARK_ADMIN_KEY"),
    kafkaBrokers: engine("TIDEMARK_KAFKA_BROKERS"),
    postgresUrl: engine("TIDEMARK_POSTGRES_URL"),
    elasticsearchUrl: engine("TIDEMARK_ELASTICSEARCH_URL"),
    redisUrl: engine("TIDEMARK_REDIS_URL"),
    eventstoreUrl: engine("TIDEMARK_EVENTSTORE_URL")
  }
  checkMode(configuration)
  if (!LOOPBACK.has(configuration.host.value) && configuration.adminKey.value === undefined) {
    throw new ConfigurationError(`TIDEMARK_HOST is ${configuration.host.value}: set TIDEMARK_ADMIN_KEY (at least ${KEY_LENGTH_MIN} characters) before listening beyond loopback.`)
  }
  return configuration
}

const DAY_MS = 86_400_000

/** How much of what ingest refused is kept. */
export const rejectedLimitsOf = ({ rejectedBytesMax, rejectedDays }: Configuration): RejectedLimits => ({ bytesMax: rejectedBytesMax.value, keepMs: rejectedDays.value * DAY_MS })

/** A value as it may be shown: keys masked, passwords in addresses too. */
const shown = (property: string, value: unknown): string => {
  if (property.endsWith("Key")) return value === undefined ? "generated at first start" : "********"
  return value === undefined ? "not set" : String(value).replace(/(:\/\/[^:@/]*):[^@/]*@/, "$1:********@")
}

/** One line per setting for `tidemark config explain`; keys are masked. */
export const explainConfiguration = (configuration: Configuration): readonly { name: string; value: string; source: Source }[] =>
  (Object.keys(configuration) as (keyof Configuration)[]).map((property) => {
    const setting: Setting<unknown> = configuration[property]
    const name = "TIDEMARK_" + property.replace(/[A-Z]/g, (letter) => "_" + letter).toUpperCase()
    return { name, value: shown(property, setting.value), source: setting.source }
  })
