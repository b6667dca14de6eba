/**
 * The CLI's way to a running Tidemark: URL and keys from flags, environment or the local data directory, HTTP and
 * GraphQL with errors that say what to do next.
 */
import { existsSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"

/** What a `CliError` may carry for whoever reads it with a program. */
interface Refusal {
  /** The server's own stable code, such as `schema` or `UNKNOWN_PROJECTION`. */
  readonly reason?: string
}

/** Ends the program with an exit code: 1 failed, 2 usage, 3 parity differs, 4 not caught up, 5 unreachable. */
export class CliError extends Error {
  override readonly name = "CliError"
  readonly exitCode: number
  readonly reason: string | undefined
  constructor(message: string, exitCode = 1, { reason }: Refusal = {}) {
    super(message)
    this.exitCode = exitCode
    this.reason = reason
  }
}

export type KeyRole = "write" | "read" | "admin"

export interface GlobalOptions {
  readonly url?: string
  readonly key?: string
  readonly tenant?: string
  readonly json?: boolean
}

export interface Client {
  readonly url: string
  readonly keyFor: (role: KeyRole) => string
  readonly request: (path: string, init?: RequestInit) => Promise<Response>
  readonly graphql: <T>(query: string, variables: Record<string, unknown>, role?: KeyRole) => Promise<T>
}

type Environment = Readonly<Record<string, string | undefined>>
type KeyFile = Readonly<Record<string, Partial<Record<KeyRole, string>>>>

const localKeys = (environment: Environment): KeyFile => {
  const file = join(resolve(environment["TIDEMARK_DATA_DIR"] ?? ".tidemark"), "keys.json")
  if (!existsSync(file)) return {}
  try {
    return JSON.parse(readFileSync(file, "utf8")) as KeyFile
  } catch (error) {
    throw new CliError(`The keys in ${file} cannot be read (${(error as Error).message}): mend the file, or give --key.`)
  }
}

/** Ways to give a key of this role. The environment's are keys of tenant `default`. */
const waysOf = (role: KeyRole, tenant: string): string =>
  `${tenant === "default" ? `set TIDEMARK_${role.toUpperCase()}_KEY, give` : "give"} --key, or run in the folder that holds .tidemark`

/** A key for the role: flag, then environment, then the local data directory's key file. */
const findKey = (role: KeyRole, options: GlobalOptions, environment: Environment): string => {
  if (options.key !== undefined) return options.key
  const tenant = options.tenant ?? "default"
  const variable = tenant === "default" ? (environment[`TIDEMARK_${role.toUpperCase()}_KEY`] ?? environment["TIDEMARK_ADMIN_KEY"]) : undefined
  if (variable !== undefined) return variable
  const keys = localKeys(environment)
  const found = keys[tenant]?.[role] ?? keys[tenant]?.admin
  if (found !== undefined) return found
  throw new CliError(`No ${role} key for tenant "${tenant}": ${waysOf(role, tenant)}.`, 2)
}

/** Errors that end with an exit code of their own: what was asked for is wrong, or it is not there yet. */
const EXIT_CODES: ReadonlyMap<string, number> = new Map([
  ["PARITY_DIFFERS", 3], ["TARGET_BEHIND", 4],
  ...["BAD_ARGUMENT", "BAD_CURSOR", "LIMIT_EXCEEDED", "UNKNOWN_PROJECTION", "UNKNOWN_DIMENSION", "UNKNOWN_MEASURE"].map((code) => [code, 2] as const)
])

/** The fields of an answer in `application/problem+json` that a person needs. */
export interface Problem {
  readonly code?: string
  readonly detail?: string
  readonly hint?: string
}

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1).replace(/\.$/, "")

/** What the server refused, why, and what to do. A hint about keys speaks of headers, so flags are named instead. */
export const refusalOf = (status: number, { code, detail, hint }: Problem, role: KeyRole): CliError => {
  const why = `${sentence(detail ?? "The server refused it")} (${code ?? status}).`
  const next = status === 401 ? `Give ${role === "admin" ? "an" : "a"} ${role} key with --key, or set TIDEMARK_${role.toUpperCase()}_KEY.` : hint === undefined ? "" : `${sentence(hint)}.`
  return new CliError(`${why} ${next}`.trim(), 1, code === undefined ? {} : { reason: code })
}

const baseUrl = (text: string): string => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) throw new CliError(`"${text}" is no address of a server: give one like http://127.0.0.1:4000 with --url or TIDEMARK_URL.`, 2)
  return text.replace(/\/+$/, "")
}

export const unreachable = (url: string): CliError => new CliError(`Tidemark does not answer at ${url}: start it with \`npm start\`, or set TIDEMARK_URL.`, 5)

/** The JSON of an answer; what is not JSON does not come from Tidemark. */
export const jsonOf = async <T>(response: Response): Promise<T> => {
  try {
    return (await response.json()) as T
  } catch {
    throw new CliError(`What answers at ${response.url} is not Tidemark (${response.status}, not JSON): look at TIDEMARK_URL and --url.`, 5)
  }
}

/** A client of the given options; nothing is sent before its first use. */
export const makeClient = (options: GlobalOptions, environment: Environment): Client => {
  const url = baseUrl(options.url ?? environment["TIDEMARK_URL"] ?? "http://127.0.0.1:4000")
  const request = async (path: string, init: RequestInit = {}): Promise<Response> => {
    try {
      return await fetch(url + path, init)
    } catch {
      throw unreachable(url)
    }
  }
  const graphql = async <T>(query: string, variables: Record<string, unknown>, role: KeyRole = "read"): Promise<T> => {
    const headers = { authorization: `Bearer ${findKey(role, options, environment)}`, "content-type": "application/json" }
    const response = await request("/graphql", { method: "POST", headers, body: JSON.stringify({ query, variables }) })
    const answer = await jsonOf<{ data?: T; errors?: { message: string; extensions?: { code?: string } }[] } & Problem>(response)
    const error = answer.errors?.[0]
    const code = error?.extensions?.code
    if (error !== undefined && response.status === 401) throw refusalOf(401, { detail: "The key is not valid", ...(code === undefined ? {} : { code }) }, role)
    if (error !== undefined) throw new CliError(`${error.message}${code === undefined ? "" : ` (${code})`}`, EXIT_CODES.get(code ?? ""), code === undefined ? {} : { reason: code })
    if (answer.data === undefined || answer.data === null) throw refusalOf(response.status, answer, role)
    return answer.data
  }
  return { url, keyFor: (role) => findKey(role, options, environment), request, graphql }
}
