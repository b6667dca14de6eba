/** What went wrong at a start, as one sentence that says what to do. */

/** Carries its sentence; ends the process with exit code 1. */
export class StartError extends Error {
  override readonly name = "StartError"
}

/** An engine of the distributed mode: the variable that names it, and its address without user and password. */
interface EngineAddress {
  readonly variable: string
  readonly address: string
}

/** Engines by the setting that names them. */
export type EngineAddresses = Readonly<Record<"kafkaBrokers" | "postgresUrl" | "elasticsearchUrl" | "redisUrl" | "eventstoreUrl", EngineAddress>>

export interface StartPlace {
  readonly dataDir: string
  readonly host: string
  readonly port: number
  /** Absent in embedded mode. */
  readonly engines?: EngineAddresses | undefined
}

const fieldsOf = (error: unknown): Readonly<Record<string, unknown>> => (typeof error === "object" && error !== null ? (error as Readonly<Record<string, unknown>>) : {})

/** The first error of a chain of causes. */
const rootOf = (error: unknown): unknown => {
  const { cause } = fieldsOf(error)
  return cause === undefined ? error : rootOf(cause)
}

const reasonOf = (error: unknown): string => {
  const root = rootOf(error)
  const { message } = fieldsOf(root)
  return typeof message === "string" && message !== "" ? message : String(root)
}

const listenSentence = (code: unknown, { host, port }: StartPlace): string | undefined => {
  if (code === "EADDRINUSE") return `Port ${port} on ${host} is in use: stop the program that uses it, or set TIDEMARK_PORT to another port.`
  if (code === "EACCES") return `Port ${port} may not be opened by this user: set TIDEMARK_PORT to a port above 1023.`
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") return `${host} is not an address of this machine: set TIDEMARK_HOST to one that is, or unset it.`
  return undefined
}

/** What fails where an engine was there when it was opened and then did not answer in time. */
const ENGINE_OF: Readonly<Record<string, keyof EngineAddresses>> = {
  LogUnavailableError: "kafkaBrokers", StoreUnavailableError: "postgresUrl", RejectedLogError: "postgresUrl", EventStoreUnavailableError: "eventstoreUrl",
  PubSubUnavailableError: "redisUrl", SearchUnavailableError: "elasticsearchUrl"
}

const engineSentence = (tag: unknown, error: unknown, { engines }: StartPlace): string | undefined => {
  const setting = typeof tag === "string" ? ENGINE_OF[tag] : undefined
  if (engines === undefined || setting === undefined) return undefined
  const { variable, address } = engines[setting]
  return `${variable} is ${address}: it was reached, and then did not do what a start needs: ${reasonOf(error).replace(/[.\s]+$/, "")}. See how that engine fares, and start again.`
}

const STORES = new Set(["LogOpenError", "StoreOpenError", "EnvironmentOpenError", "PartitionIndexError", "EventStoreUnavailableError", "RejectedLogError", "StoreUnavailableError", "LogUnavailableError"])

/** `error`: whatever a start failed with. */
export const startSentence = (error: unknown, place: StartPlace): string => {
  const { _tag: tag, name, message, pid, syscall, code, detail } = fieldsOf(error)
  if (name === "ConfigurationError" || name === "EngineUnreachableError" || name === "StartError") return String(message)
  if (fieldsOf(rootOf(error))["name"] === "NetworkFileSystemError") return reasonOf(error)
  if (tag === "LogLockedError") return `Tidemark already runs on ${place.dataDir} (process ${String(pid)}): stop it first, or set TIDEMARK_DATA_DIR to another directory.`
  if (tag === "LogIdentityError") {
    const { what, stored, wanted } = fieldsOf(error)
    const variable = what === "lanes" ? "TIDEMARK_LANES" : "TIDEMARK_PARTITIONS"
    return `${variable} is ${String(wanted)}, but the log in ${place.dataDir} was created with ${String(stored)}, and that is fixed: unset ${variable}, or set TIDEMARK_DATA_DIR to another directory.`
  }
  const listening = syscall === "listen" || syscall === "getaddrinfo" ? listenSentence(code, place) : undefined
  if (listening !== undefined) return listening
  if (tag === "InvalidSettingError") return `A key given in TIDEMARK_WRITE_KEY, TIDEMARK_READ_KEY or TIDEMARK_ADMIN_KEY cannot be taken (${String(detail)}): give another one.`
  if (tag === "KeyExistsError") return "A key given in TIDEMARK_WRITE_KEY, TIDEMARK_READ_KEY or TIDEMARK_ADMIN_KEY is used already: give each role a key of its own."
  if (tag === "SettingsCorruptError") return `The settings in ${place.dataDir} cannot be read: restore them from a backup.`
  const unanswered = engineSentence(tag, error, place)
  if (unanswered !== undefined) return unanswered
  if (typeof tag === "string" && STORES.has(tag)) return `The data in ${place.dataDir} cannot be opened (${reasonOf(error)}): make the directory writable, or set TIDEMARK_DATA_DIR to another one.`
  return `Tidemark cannot start: ${error instanceof Error ? (error.stack ?? error.message) : reasonOf(error)}`
}
