/**
 * Configuration: flag > environment > file > default. Each value knows where it came from.
 *
 * The file is `tidemark.json` in the working directory, keys as the variables are named. Names and defaults:
 * docs/reference (surfaces).
 */
import { existsSync, readFileSync } from "node:fs"
import { resolve } from "node:path"

export type Source = "flag" | "environment" | "file" | "default"

export interface Setting<T> {
  readonly value: T
  readonly source: Source
}

export interface Configuration {
  readonly mode: Setting<"embedded">
  readonly host: Setting<string>
  readonly port: Setting<number>
  readonly dataDir: Setting<string>
  readonly partitions: Setting<number>
  readonly lanes: Setting<number>
  readonly demo: Setting<boolean>
  readonly writeKey: Setting<string | undefined>
  readonly readKey: Setting<string | undefined>
  readonly adminKey: Setting<string | undefined>
}

/** A setting that cannot be used; the message says which, why and what to do. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError"
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

const readFile = (workingDirectory: string): Record<string, unknown> => {
  const path = resolve(workingDirectory, "tidemark.json")
  if (!existsSync(path)) return {}
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>
  } catch (error) {
    throw new ConfigurationError(`tidemark.json is not valid JSON: ${(error as Error).message}. Mend or remove it.`)
  }
}

const integer = (name: string, text: string, min: number, max: number): number => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new ConfigurationError(`${name} is "${text}": give a whole number from ${min} to ${max}.`)
  }
  return value
}

const key = (name: string, text: string): string => {
  if (text.length < KEY_LENGTH_MIN) throw new ConfigurationError(`${name} has ${text.length} characters: give at least ${KEY_LENGTH_MIN}.`)
  return text
}

/** Reads every setting; throws ConfigurationError with one sentence that says what to do. */
export const readConfiguration = (input: ConfigurationInput): Configuration => {
  const file = readFile(input.workingDirectory)
  const pick = <T>(name: string, fallback: T, parse: (text: string) => T): Setting<T> => {
    const flag = input.flags.get(name.replace("TIDEMARK_", "").toLowerCase().replaceAll("_", "-"))
    if (flag !== undefined) return { value: parse(flag), source: "flag" }
    const variable = input.environment[name]
    if (variable !== undefined && variable !== "") return { value: parse(variable), source: "environment" }
    if (file[name] !== undefined) return { value: parse(String(file[name])), source: "file" }
    return { value: fallback, source: "default" }
  }
  const optionalKey = (name: string) => pick<string | undefined>(name, undefined, (text) => key(name, text))
  const mode = pick<"embedded">("TIDEMARK_MODE", "embedded", (text) => {
    if (text === "embedded") return text
    throw new ConfigurationError(`TIDEMARK_MODE is "${text}": this version runs "embedded" only. Unset it.`)
  })
  const partitions = pick("TIDEMARK_PARTITIONS", 4, (text) => integer("TIDEMARK_PARTITIONS", text, 1, 1024))
  const configuration: Configuration = {
    mode,
    host: pick("TIDEMARK_HOST", "127.0.0.1", (text) => text),
    port: pick("TIDEMARK_PORT", 4000, (text) => integer("TIDEMARK_PORT", text, 0, 65_535)),
    dataDir: pick("TIDEMARK_DATA_DIR", resolve(input.workingDirectory, ".tidemark"), (text) => resolve(input.workingDirectory, text)),
    partitions,
    lanes: pick("TIDEMARK_LANES", Math.min(partitions.value, 4), (text) => integer("TIDEMARK_LANES", text, 1, partitions.value)),
    demo: pick("TIDEMARK_DEMO", input.terminal, (text) => text === "1" || text === "true"),
    writeKey: optionalKey("TIDEMARK_WRITE_KEY"),
    readKey: optionalKey("TIDEMARK_READ_KEY"),
    adminKey: optionalKey("TIDEMARK_ADMIN_KEY")
  }
  if (!LOOPBACK.has(configuration.host.value) && configuration.adminKey.value === undefined) {
    throw new ConfigurationError(`TIDEMARK_HOST is ${configuration.host.value}: set TIDEMARK_ADMIN_KEY (at least ${KEY_LENGTH_MIN} characters) before listening beyond loopback.`)
  }
  return configuration
}

/** One line per setting for `tidemark config explain`; keys are masked. */
export const explainConfiguration = (configuration: Configuration): readonly { name: string; value: string; source: Source }[] =>
  (Object.keys(configuration) as (keyof Configuration)[]).map((property) => {
    const setting: Setting<unknown> = configuration[property]
    const name = "TIDEMARK_" + property.replace(/[A-Z]/g, (letter) => "_" + letter).toUpperCase()
    const secret = property.endsWith("Key")
    const value = setting.value === undefined ? "generated at first start" : secret ? "********" : String(setting.value)
    return { name, value, source: setting.source }
  })
